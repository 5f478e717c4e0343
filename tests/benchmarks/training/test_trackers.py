"""A run with every tracker that is installed, by the trackers' own clients and without a network."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.machine import packages
from benchmarks.harness.trackers.tracking import DISTRIBUTIONS
from results.schema import Accuracy
from results.store import latest_run, read_run
from tests.benchmarks.conftest import ftbench, measured, refused, write_profile

pytestmark = pytest.mark.once

INSTALLED = [
    name
    for name, distributions in DISTRIBUTIONS.items()
    if any(packages.version(distribution) for distribution in distributions)
]
JOB = "accuracy-imdb-logistic-seed_42"
RECIPE = "learning_rate = 1e-2\nevaluation_interval = 6\nlog_interval = 4\nkeep_best = 'accuracy'"
Found = tuple[dict[str, str], dict[str, dict[int, float]]]  # settings; values by name and step


@pytest.fixture(scope="module")
def run(logistic: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a run with one training."""
    results = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "WANDB_MODE": "offline",
            "MLFLOW_TRACKING_URI": f"sqlite:///{results}/mlflow.db",
            "TRACKIO_DIR": str(results / "trackio"),
            "HF_HUB_OFFLINE": "1",
        }.items():
            patch.setenv(name, value)
        file = write_profile(results, [logistic], ("accuracy",), recipe=RECIPE)
        options = [word for name in INSTALLED for word in ("--track", name)]
        code, output, errors = ftbench("run", "--profile", file, "--results", results, *options)
        assert code == 0, output + errors
        folder = latest_run(results)
        assert folder is not None
        yield folder


@pytest.mark.parametrize("name", list(DISTRIBUTIONS))
def test_it_has_the_whole_training(name: str, run: Path) -> None:
    if name not in INSTALLED:
        pytest.skip(f"{name} is not installed: pip install -e '.[{name}]'")
    info, _, _ = read_run(run)
    assert info is not None
    (outcome,) = [one for one in info.trackers if one.tracker == name]
    assert outcome.problem is None and outcome.trainings == 1
    settings, values = READERS[name](run, JOB)
    accuracy = measured(run.parents[1])[JOB].require(Accuracy)
    assert settings["recipe/learning_rate"] == "0.01" and settings["backend"] == "logistic"
    assert list(values["train/loss"]) == [point.step for point in accuracy.curve] == [4, 8, 12, 16]
    for point in accuracy.curve:
        assert values["train/loss"][point.step] == pytest.approx(point.loss)
        assert values["train/learning_rate"][point.step] == pytest.approx(point.learning_rate)
    evaluated = {point.step: point.scores["test"].loss for point in accuracy.evaluations}
    assert values["evaluation/test/loss"] == pytest.approx(evaluated) and set(evaluated) == {
        6,
        12,
        16,
    }
    (final,) = values["final/test/accuracy"].values()
    assert final == pytest.approx(accuracy.scores["test"].accuracy)
    assert list(values["final/failed"].values()) == [0]
    _, values = READERS[name](run, f"summary-{run.name}")
    (seconds,) = values[f"{JOB}/training_seconds"].values()
    assert seconds == pytest.approx(accuracy.training_seconds)


def test_the_report_says_what_was_tracked(run: Path) -> None:
    text = (run / "report.html").read_text("utf-8")
    for name in INSTALLED:
        assert f"{name} tracked 1 training." in " ".join(text.split())


def test_traces_are_not_tracked(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    line = refused(capsys, "certify", "--track", "tensorboard", "--results", tmp_path)
    assert "--track tensorboard: certificates have nothing to track" in line


def from_tensorboard(run: Path, name: str) -> Found:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tracking" / "tensorboard" / name))
    events.Reload()
    (text,) = events.Tensors("config/text_summary")
    table = text.tensor_proto.string_val[0].decode()
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    values = {
        tag: {e.step: e.value for e in events.Scalars(tag)} for tag in events.Tags()["scalars"]
    }
    return {row[0]: row[-1] for row in rows}, values


def from_mlflow(run: Path, name: str) -> Found:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{run.parents[1]}/mlflow.db")
    experiment = client.get_experiment_by_name("ftbench")
    (found,) = (
        one
        for one in client.search_runs([experiment.experiment_id])
        if one.info.run_name == name and one.data.tags["ftbench.run"] == run.name
    )
    assert found.info.status == "FINISHED"
    history = client.get_metric_history
    values = {
        key: {point.step: point.value for point in history(found.info.run_id, key)}
        for key in found.data.metrics
    }
    return found.data.params, values


def from_trackio(run: Path, name: str) -> Found:
    from trackio.sqlite_storage import SQLiteStorage

    values: dict[str, dict[int, float]] = {}
    for entry in SQLiteStorage.get_logs("ftbench", name):
        step = entry.pop("step")
        for key, value in entry.items():
            values.setdefault(key, {})[step] = value
    settings = SQLiteStorage.get_run_config("ftbench", name) or {}
    return {key: str(value) for key, value in settings.items()}, values


def from_wandb(run: Path, name: str) -> Found:
    """Reads the file that `wandb sync` would send."""
    import json

    from wandb.proto import wandb_internal_pb2

    for file in (run / "tracking" / "wandb").glob("offline-run-*/run-*.wandb"):
        settings: dict[str, str] = {}
        values: dict[str, dict[int, float]] = {}
        last: dict[str, float] = {}
        title = ""
        for content in log_records(file.read_bytes()[7:]):
            record: Any = wandb_internal_pb2.Record.FromString(content)
            title = record.run.display_name or title
            for item in record.run.config.update:
                settings["/".join(item.nested_key) or item.key] = str(json.loads(item.value_json))
            step = record.history.step.num
            for item in record.history.item:
                key = "/".join(item.nested_key) or item.key
                values.setdefault(key, {})[step] = json.loads(item.value_json)
            for item in record.summary.update:
                last["/".join(item.nested_key) or item.key] = json.loads(item.value_json)
        if title == name:
            return settings, {key: {0: value} for key, value in last.items()} | values
    raise AssertionError(f"no run {name}")


def log_records(content: bytes) -> Iterator[bytes]:
    """Records of a LevelDB log, whose blocks of 32 KiB hold whole records or parts of them."""
    at, parts = 7, b""  # positions count from the start of the file, with its header
    while at < len(content) + 7:
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        _, size, kind = struct.unpack("<IHB", content[at - 7 : at])
        parts += content[at : at + size]
        at += 7 + size
        if kind in (1, 4):  # whole, or the last part
            yield parts
            parts = b""


READERS: dict[str, Callable[[Path, str], Found]] = {
    "tensorboard": from_tensorboard,
    "mlflow": from_mlflow,
    "trackio": from_trackio,
    "wandb": from_wandb,
}
