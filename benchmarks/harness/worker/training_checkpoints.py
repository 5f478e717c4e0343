"""Checkpoints of a training, from which a run that is resumed continues it.

Each is a folder `step-N` of what the session wrote, what the harness knows of the training, and the
digests of all files. It is written whole or not at all; the last ones are kept; a damaged one is
never used; and those of another training are refused.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from benchmarks.harness.errors import first_line
from benchmarks.harness.jobs.events import TrainingNote
from benchmarks.harness.jobs.job import Job
from benchmarks.harness.jobs.pipe import Pipe
from benchmarks.harness.machine import packages
from frameworks.contract import Examples, Session, backends, callback_states, class_name
from results.schema import EvaluationPoint
from results.store import synchronize

MANIFEST, PROGRESS, BEST, SESSION = "manifest.json", "progress.json", "best.safetensors", "session"
CALLBACKS = "callbacks.json"


class AnotherTraining(Exception):
    """The checkpoints are of another training. One line: what differs, and how to fix it."""


class Progress(BaseModel):
    """What the harness knows of a training after `step` steps."""

    # A loss that diverged is written as "NaN": JSON has no such number.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    step: int
    training_seconds: float
    evaluation_seconds: float
    first_step_seconds: float
    evaluations: list[EvaluationPoint]
    best_value: float | None = None
    best_step: int | None = None
    resumed_at: list[int] = []  # steps after which the training was continued before


class Manifest(BaseModel):
    """Written last: what a checkpoint consists of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    training: dict[str, str]  # what identifies the training
    sha256: dict[str, str]  # of every other file, by its path in the folder


Weights = dict[str, np.ndarray]


class TrainingCheckpoints:
    """When and what a training writes, and what it continues from."""

    def __init__(
        self,
        session: Session,
        folders: CheckpointFolders,
        interval: int | Literal["epoch"],
        say: Callable[[str], None],
    ) -> None:
        """`say` shows the user a line."""
        feed = session.spec.feed
        self._session, self._folders, self._say = session, folders, say
        self._interval = feed.steps_per_epoch if interval == "epoch" else interval
        self._total, self._failing = feed.total_steps, False

    def due(self, step: int) -> bool:
        """Whether a checkpoint is written after this step. The last step needs none."""
        return bool(self._interval) and step % self._interval == 0 and step < self._total

    def save(self, progress: Progress, best: Weights | None) -> None:
        """Writes a checkpoint. Where that fails, it is said, and the training continues."""

        def fill(folder: Path) -> None:
            (folder / SESSION).mkdir()
            self._session.save_state(folder / SESSION)
            (folder / PROGRESS).write_text(progress.model_dump_json(), encoding="utf-8")
            states = json.dumps(callback_states(self._session.callbacks))
            (folder / CALLBACKS).write_text(states, encoding="utf-8")
            if best is not None:
                arrays = {name: np.ascontiguousarray(values) for name, values in best.items()}
                save_file(arrays, folder / BEST)

        try:
            self._folders.write(progress.step, fill)
        except NotImplementedError as error:
            self._interval = 0
            self._say(f"no checkpoints of this training: {error}")
        except (OSError, SafetensorError) as error:
            if not self._failing:  # once, not at every step
                self._say(
                    f"no checkpoint of step {progress.step} ({first_line(error)}): the training "
                    "continues, and earlier checkpoints are kept"
                )
            self._failing = True
        else:
            self._failing = False

    def load(self) -> tuple[Progress, Weights | None] | None:
        """Sets the session's state to the newest checkpoint that is not damaged, and returns what
        the harness knew then; None where there is none. Errors: AnotherTraining."""
        folder = self._folders.newest(self._say)
        if folder is None:
            return None
        progress = Progress.model_validate_json((folder / PROGRESS).read_text(encoding="utf-8"))
        self._session.load_state(folder / SESSION)
        file = folder / CALLBACKS
        states = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        self._session.callback_states = states
        names = [class_name(kind) for kind in self._session.spec.callbacks]
        without = ", ".join(name for name in names if name not in states)
        self._say(
            f"continues after step {progress.step} of {self._total}, from a checkpoint"
            + (
                f"; what these callbacks kept is lost, as they have no state(): {without}"
                if without
                else ""
            )
        )
        best = folder / BEST
        return progress, load_file(best) if best.exists() else None


class CheckpointFolders:
    """The checkpoints of one training on disk."""

    def __init__(self, folder: Path, keep: int, training: Mapping[str, str]) -> None:
        self._folder, self._keep, self._training = folder, keep, dict(training)

    def steps(self) -> list[int]:
        """The steps that have a checkpoint, in order."""
        names = (re.fullmatch(r"step-(\d+)", path.name) for path in self._folder.glob("step-*"))
        return sorted(int(name[1]) for name in names if name)

    def write(self, step: int, fill: Callable[[Path], None]) -> None:
        """Makes the checkpoint of a step: `fill` writes it into an empty folder, which gets its name
        when everything is on the disk. Then removes the oldest ones.

        Errors: OSError and what `fill` raises; earlier checkpoints stay as they were."""
        partial, target = self._folder / f".step-{step}.partial", self._path(step)
        shutil.rmtree(partial, ignore_errors=True)
        try:
            partial.mkdir(parents=True)
            fill(partial)
            digests = {str(path.relative_to(partial)): digest(path) for path in files(partial)}
            manifest = Manifest(training=self._training, sha256=digests)
            (partial / MANIFEST).write_text(manifest.model_dump_json(), encoding="utf-8")
            for path in [*files(partial), *folders(partial)]:
                synchronize(path)
            if target.exists():
                shutil.rmtree(target)
            partial.rename(target)
            synchronize(self._folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        for old in self.steps()[: -self._keep]:
            shutil.rmtree(self._path(old), ignore_errors=True)

    def newest(self, say: Callable[[str], None]) -> Path | None:
        """The folder of the newest checkpoint that is not damaged. Damaged ones are removed, and that
        is said. Errors: AnotherTraining."""
        steps = self.steps()
        while steps:
            folder, step = self._path(steps[-1]), steps.pop()
            problem = self._problem(folder)
            if problem is None:
                return folder
            used = f"the one of step {steps[-1]} is used" if steps else "there is no earlier one"
            say(f"the checkpoint of step {step} is damaged ({problem}): {used}")
            shutil.rmtree(folder)
        return None

    def _path(self, step: int) -> Path:
        return self._folder / f"step-{step}"

    def _problem(self, folder: Path) -> str | None:
        """Why a checkpoint cannot be used; None if it can. Errors: AnotherTraining."""
        try:
            text = (folder / MANIFEST).read_text(encoding="utf-8")
            manifest = Manifest.model_validate_json(text)
            for name, expected in manifest.sha256.items():
                if digest(folder / name) != expected:
                    return f"{name} has other content"
        except ValidationError:
            return f"{MANIFEST} cannot be read"
        except (OSError, ValueError) as error:
            return first_line(error)
        for name in {**self._training, **manifest.training}:
            was, now = manifest.training.get(name), self._training.get(name)
            if was != now:
                raise AnotherTraining(
                    f"{self._folder} has checkpoints of another training: {name} was {was}, now it "
                    f"is {now}; undo the change, or delete the folder to train from the beginning"
                )
        return None


def training_checkpoints(
    job: Job, session: Session, evaluations: Mapping[str, Examples], pipe: Pipe
) -> TrainingCheckpoints | None:
    """The checkpoints that a job asks for; None if it asks for none."""

    def say(text: str) -> None:
        pipe.send(TrainingNote(text=text))

    plan = job.checkpoints
    if plan is None:
        return None
    training = identity(job, session.spec.train, evaluations)
    folders = CheckpointFolders(plan.folder, plan.keep, training)
    return TrainingCheckpoints(session, folders, plan.interval, say)


def identity(job: Job, train: Examples, evaluations: Mapping[str, Examples]) -> dict[str, str]:
    """What must be the same for a training to continue exactly, in words."""
    recipe = {f"recipe.{name}": str(value) for name, value in job.recipe.model_dump().items()}
    found = {
        **recipe,
        "backend": job.key.backend,
        "device": job.device.name,
        "metrics": ", ".join(job.metrics),
        "training data": content(train),
        "weights to start from": digest(job.start.folder / "model.safetensors"),
    }
    if model := backends()[job.key.backend].own_model:
        module = model.partition(":")[0]
        found[f"code of {module}"] = digest(Path(str(sys.modules[module].__file__)))
    found |= {f"evaluation set {name}": content(examples) for name, examples in evaluations.items()}
    return found | {f"version of {name}": text for name, text in packages.versions().items()}


def content(examples: Examples) -> str:
    """SHA-256 of all tokens and labels."""
    sha256 = hashlib.sha256()
    for values in (examples.ids, examples.offsets, examples.second_starts, examples.labels):
        sha256.update(np.ascontiguousarray(values, "<i8").tobytes())
    return sha256.hexdigest()


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def folders(folder: Path) -> list[Path]:
    """The folder and all in it, the innermost first."""
    return [*reversed([path for path in sorted(folder.rglob("*")) if path.is_dir()]), folder]
