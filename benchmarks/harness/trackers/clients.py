"""The trackers' own clients behind one interface. Each is configured by its own variables and files, as
in any training; where they name no place, files lie in the run's folder or where its user interface
looks for them. Nothing is sent but what ftbench sends: no code, no git state, no machine statistics.
"""

from __future__ import annotations

import itertools
import os
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness.trackers.lines import Config, Metrics, Point

PROJECT = "ftbench"
FOLDER = "tracking"  # inside a run's


class Client(ABC):
    """One tracker. All methods raise what its library raises."""

    @abstractmethod
    def __init__(self, run: Path) -> None:
        """Imports the library and checks what can be checked without a training, such as the login.
        `run` is the folder of ftbench's run, whose name groups the trainings."""

    @abstractmethod
    def begin(self, name: str, config: Config) -> None:
        """Begins a run of the tracker."""

    @abstractmethod
    def log(self, points: Sequence[Point]) -> None:
        """Adds metrics of the run that began last; steps do not decrease."""

    @abstractmethod
    def end(self, failed: bool, summary: Metrics) -> None:
        """Ends that run with the metrics that belong to no step."""


class Wandb(Client):
    def __init__(self, run: Path) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        self._wandb, self._group = wandb, run.name
        self._folder = Path(os.environ.get("WANDB_DIR", run / FOLDER))
        self._folder.mkdir(parents=True, exist_ok=True)
        settings = wandb.setup().settings
        self._project = settings.project or PROJECT
        if settings.mode == "online":
            wandb.login()  # an error without a key: standard input is no terminal
        chosen = {
            "console": "off",
            "silent": True,
            "save_code": False,
            "disable_code": True,
            "disable_git": True,
            "x_disable_meta": True,
            "x_disable_stats": True,
            "x_disable_machine_info": True,
            "x_save_requirements": False,
        }
        known = type(settings).model_fields
        self._settings = {name: value for name, value in chosen.items() if name in known}

    def begin(self, name: str, config: Config) -> None:
        self._run: Any = self._wandb.init(
            project=self._project,
            group=self._group,
            name=name,
            config=config,
            dir=self._folder,
            settings=self._wandb.Settings(**self._settings),
        )

    def log(self, points: Sequence[Point]) -> None:
        for point in points:
            self._run.log(point.metrics, step=point.step)

    def end(self, failed: bool, summary: Metrics) -> None:
        self._run.summary.update(summary)
        self._run.finish(exit_code=int(failed))


class TensorBoard(Client):
    """A folder of event files for each training, and its configuration as a text."""

    def __init__(self, run: Path) -> None:
        from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2
        from tensorboard.plugins.text.metadata import create_summary_metadata
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._event, self._summary, self._tensor = event_pb2, summary_pb2, tensor_pb2
        self._text, self._new_writer = create_summary_metadata, EventFileWriter
        self._folder = run / FOLDER / "tensorboard"

    def begin(self, name: str, config: Config) -> None:
        folders = (self._folder / f"{name}{n}" for n in ("", *map("-{}".format, range(2, 1000))))
        folder = next(itertools.filterfalse(Path.exists, folders))  # others: of earlier attempts
        self._writer, self._step = self._new_writer(str(folder)), 0
        rows = [f"| {key} | {value} |" for key, value in config.items()]
        text = "\n".join(["| setting | value |", "| --- | --- |", *rows])
        tensor = self._tensor.TensorProto(dtype="DT_STRING", string_val=[text.encode()])
        tensor.tensor_shape.dim.add(size=1)
        self._add(0, tag="config/text_summary", metadata=self._text("config", ""), tensor=tensor)

    def log(self, points: Sequence[Point]) -> None:
        for point in points:
            self._step = point.step
            for name, value in point.metrics.items():
                self._add(point.step, tag=name, simple_value=value)
        self._writer.flush()

    def end(self, failed: bool, summary: Metrics) -> None:
        self.log([Point(step=self._step, metrics=summary)])
        self._writer.close()

    def _add(self, step: int, **value: Any) -> None:
        found = self._summary.Summary(value=[self._summary.Summary.Value(**value)])
        self._writer.add_event(self._event.Event(step=step, wall_time=time.time(), summary=found))


class Mlflow(Client):
    LARGEST_BATCH = 1000  # metrics in one request, a limit of its servers
    LARGEST_PARAMETERS = 100

    def __init__(self, run: Path) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param

        self._client, self._metric, self._parameter = MlflowClient(), Metric, Param
        self._group, self._step = run.name, 0
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        experiment = self._client.get_experiment_by_name(name)
        self._experiment = (
            experiment.experiment_id if experiment else self._client.create_experiment(name)
        )

    def begin(self, name: str, config: Config) -> None:
        tags = {"ftbench.run": self._group}
        run = self._client.create_run(self._experiment, tags=tags, run_name=name)
        self._run, self._step = run.info.run_id, 0
        values = [self._parameter(_mlflow_name(key), str(value)) for key, value in config.items()]
        for some in _batches(values, self.LARGEST_PARAMETERS):
            self._client.log_batch(self._run, params=some)

    def log(self, points: Sequence[Point]) -> None:
        now = int(time.time() * 1000)
        self._step = points[-1].step if points else self._step
        found = [
            self._metric(_mlflow_name(name), value, now, point.step)
            for point in points
            for name, value in point.metrics.items()
        ]
        for some in _batches(found, self.LARGEST_BATCH):
            self._client.log_batch(self._run, metrics=some)

    def end(self, failed: bool, summary: Metrics) -> None:
        self.log([Point(step=self._step, metrics=summary)])
        self._client.set_terminated(self._run, "FAILED" if failed else "FINISHED")


class Trackio(Client):
    def __init__(self, run: Path) -> None:
        import trackio

        self._trackio, self._group = trackio, run.name
        self._project = os.environ.get("TRACKIO_PROJECT", PROJECT)

    def begin(self, name: str, config: Config) -> None:
        self._step = 0
        self._run: Any = self._trackio.init(
            project=self._project,
            group=self._group,
            name=name,
            config=config,
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    def log(self, points: Sequence[Point]) -> None:
        for point in points:
            self._step = point.step
            self._run.log(point.metrics, step=point.step)

    def end(self, failed: bool, summary: Metrics) -> None:
        self.log([Point(step=self._step, metrics=summary)])
        self._run.finish()


def _mlflow_name(name: str) -> str:
    """MLflow takes no other characters in names."""
    return re.sub(r"[^/\w.\- ]", "_", name)


def _batches(values: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [values[start : start + size] for start in range(0, len(values), size)]


CLIENTS: dict[str, type[Client]] = {
    "wandb": Wandb,
    "tensorboard": TensorBoard,
    "mlflow": Mlflow,
    "trackio": Trackio,
}
