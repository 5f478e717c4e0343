"""The folder of a run: its plan, its measurements, and what is still to be measured."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil

from benchmarks.harness.equivalence.certify import certify_run
from benchmarks.harness.errors import UserError, unknown
from benchmarks.harness.jobs.environment import left_out
from benchmarks.harness.machine import packages
from benchmarks.harness.machine.device import choose_device
from benchmarks.harness.plan.plan import JobSpec, Plan
from benchmarks.harness.run.environments import share_environment
from benchmarks.harness.run.prepare import check_device
from results import store
from results.schema import Certificate, Measurement, RunInfo, TrackerOutcome

LONGEST_JOB = 150  # characters; files of a job add to its name, and systems allow 255
LONGEST_PROFILE = 60
SAFE_NAME = re.compile(r"[A-Za-z0-9_=+,@-][A-Za-z0-9_=+,.@-]*")
# What a resumed run does not repeat. Jobs that failed, were killed or timed out are tried again.
SETTLED = {"ok", "unsupported", "not_installed", "refused"}


class RunFolder:
    """One run on disk. The folder itself is made by `create`, after the input was checked, so that
    bad input leaves nothing behind."""

    def __init__(self, path: Path, plan: Plan) -> None:
        # Absolute: workers, which are given this path, run in another working directory.
        self.path, self.plan = path.absolute(), plan
        self.device = choose_device(plan.device)
        self._shared = False
        self._own = False  # made or resumed by this object

    @classmethod
    def new(cls, root: Path, plan: Plan, name: str | None = None) -> RunFolder:
        """Errors: UserError for a root in which no folder can be made, for a device that is missing or
        lacks a precision of the plan, and for a job whose name cannot be a file name."""
        check_writable(root)
        if name is None:
            name = began = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{file_name_part(plan.profile)}"
            for number in itertools.count(2):
                if not (root / "runs" / name).exists():
                    break
                name = f"{began}-{number}"
        folder = cls(root / "runs" / name, plan)
        if folder.device.kind == "gpu":
            folder.plan = plan.on_gpu()
        check_device(plan.jobs, folder.device)
        check_job_names(plan)
        return folder

    @classmethod
    def shared(cls, root: Path, plan: Plan) -> RunFolder:
        """The one run of all environments that a single parent process calls, such as one call of
        tox. It is named after that process and made by whichever environment comes first."""
        parent = psutil.Process(os.getppid())
        began = datetime.fromtimestamp(parent.create_time(), UTC)
        name = f"{began:%Y%m%d-%H%M%S}-{file_name_part(plan.profile)}-{parent.pid}"
        folder = cls.new(root, plan, name)
        folder._shared = True
        return folder

    @classmethod
    def resume(cls, root: Path, name: str) -> RunFolder:
        """An earlier run, by its name or as 'last'.

        Errors: UserError where there is no such run or its plan cannot be read."""
        known = {
            path.name: path for path in store.runs(root) if (path / store.PLAN_FILE).is_file()
        }  # a prediction has no plan
        if name == "last" and known:
            name = list(known)[-1]
        if name not in known:
            if known and Path(name).is_dir():
                raise UserError(
                    f"--resume {name}: use the name of a run in {root / 'runs'}, or --results with "
                    "another folder"
                )
            raise unknown("run", name, known) if known else no_run(root)
        file = known[name] / store.PLAN_FILE
        try:
            plan = Plan.model_validate_json(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:  # a ValidationError is a ValueError
            raise UserError(
                f"--resume {name}: {file} cannot be read ({str(error).splitlines()[0]}): "
                "start a new run"
            ) from None
        folder = cls(known[name], plan)
        folder._own = True
        return folder

    def create(self) -> None:
        """Makes the folder with run.json and plan.json. A run that is resumed has them, and so may
        one that several environments share, which records what this one can run.

        Errors: UserError when the folder cannot be written, or when another run made it in the same
        second."""
        try:
            if not self._own and not (self._shared and self.path.is_dir()):
                store.create_run(self.path.parents[1], self._info(), self.plan)
                self._own = True
            if self._shared:
                share_environment(self.path, {spec.key.backend for spec in self.plan.jobs})
        except (store.StoreError, OSError) as error:
            raise UserError(f"{error}; choose another folder with --results") from None

    @property
    def left_out(self) -> list[str]:
        """The variables of this shell that workers do not inherit and that would have changed what
        they do."""
        return left_out({spec.key.backend for spec in self.plan.jobs})

    def _info(self) -> RunInfo:
        return RunInfo(
            run=self.path.name,
            profile=self.plan.profile,
            command=self.plan.command,
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
            ftbench_version=packages.own_version(),
            device=self.device,
            accuracy_margin=self.plan.accuracy.margin,
            target_accuracies=self.plan.target_accuracies,
            left_out=self.left_out,
        )

    def measurements(self) -> list[Measurement]:
        return store.read_run(self.path)[1] if self.path.is_dir() else []

    def certificates(self) -> list[Certificate]:
        """Compares all traces that the run has by now, also those of other environments."""
        return certify_run(self.path, self.measurements())

    def pending(self) -> list[JobSpec]:
        """The jobs that are still to be done. A race is repeated as a whole if one of its jobs is
        not done: timed alone, that job could not be compared with the others."""
        return pending_jobs(self.plan, {m.job.id: m.status for m in self.measurements()})

    def record_trackers(self, outcomes: Sequence[TrackerOutcome]) -> None:
        """Adds to run.json what became of the trackers."""
        info = store.read_run(self.path)[0] if outcomes else None
        if info is not None:
            trackers = [*info.trackers, *outcomes]
            with contextlib.suppress(store.StoreError):  # it was said when it happened
                file = self.path / store.RUN_FILE
                store.write_record(file, info.model_copy(update={"trackers": trackers}))

    def record(self, measurement: Measurement) -> None:
        """Writes a measurement. One that says that a framework is not installed, or that a race was
        stopped, never replaces an earlier one.

        Errors: UserError when it cannot be written, such as on a full disk."""
        path = self.path / f"{measurement.job.id}.json"
        stopped = (measurement.status, measurement.job.question) == ("interrupted", "throughput")
        if path.exists() and (stopped or measurement.status == "not_installed"):
            return
        try:
            store.write_measurement(self.path, measurement)
        except store.StoreError as error:
            raise UserError(
                f"{error}; finished measurements are kept: continue with "
                f"`ftbench run --resume {self.path.name}`"
            ) from None


def file_name_part(text: str) -> str:
    """The text as a short part of a file name: letters, digits, '.', '_' and '-'."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text)[:LONGEST_PROFILE].strip("-.") or "profile"


def check_job_names(plan: Plan) -> None:
    """A job's files are named after it, so its name is checked before anything is measured.

    Errors: UserError for a name that is too long, unsafe, or that two jobs have."""
    known: set[str] = set()
    for spec in plan.jobs:
        name = spec.key.id
        if name.casefold() in known:
            raise UserError(
                f"two jobs have the name {name!r}: list every value once in the profile's vary, "
                "seeds, accumulations, budgets and questions"
            )
        known.add(name.casefold())
        if len(name) > LONGEST_JOB:
            raise UserError(
                f"job name {name[:40]!r}... has {len(name)} characters, at most {LONGEST_JOB} are "
                f"possible: shorten the name of task {spec.key.task[:40]!r} or of the profile's "
                "changes"
            )
        if not SAFE_NAME.fullmatch(name):
            raise UserError(
                f"job name {name!r} cannot be a file name: use letters, digits, '-', '_', '=', "
                "'+', ',', '@' and '.' (not first) in the names of tasks and changes"
            )


def pending_jobs(plan: Plan, status: Mapping[str, str]) -> list[JobSpec]:
    """See `RunFolder.pending`; `status` holds the measured jobs' by id."""
    undone = {spec.key.id for spec in plan.jobs if status.get(spec.key.id) not in SETTLED}
    races = {
        spec.comparison
        for spec in plan.jobs
        if spec.key.id in undone and spec.key.question == "throughput"
    }
    return [
        spec
        for spec in plan.jobs
        if spec.key.id in undone or (spec.comparison in races and status[spec.key.id] == "ok")
    ]


def run_folder(root: Path, name: str) -> Path:
    """The folder of a run below `root`, by its name, or of a run anywhere, by its path.

    Errors: UserError for neither, and for a run of which nothing can be read."""
    known = {path.name: path for path in store.runs(root)}
    if name in known:
        return _readable(known[name])
    with contextlib.suppress(OSError):  # a name that is too long
        if (Path(name) / store.RUN_FILE).is_file():
            return _readable(Path(name))
    if not known:
        raise UserError(
            f"{name}: not a run's folder (it has no {store.RUN_FILE}), and there are no runs in "
            f"{root / 'runs'}"
        )
    raise unknown("run", name, known)


def _readable(folder: Path) -> Path:
    info, measurements, problems = store.read_run(folder)
    if info is None and not measurements and not store.read_predictions(folder)[0]:
        raise UserError(f"{problems[0]}: copy the run again, or choose another")
    return folder


def check_writable(root: Path) -> None:
    """Called before the work, which can take minutes.

    Errors: UserError where no folder can be made at `root`."""
    nearest = next(
        path for path in (root.absolute(), *root.absolute().parents) if os.path.exists(path)
    )
    if not nearest.is_dir():
        problem = "is not a folder"
    elif not os.access(nearest, os.W_OK | os.X_OK):
        problem = "cannot be written to"
    else:
        return
    raise UserError(f"--results {root}: {nearest} {problem}; choose another folder with --results")


def no_run(root: Path) -> UserError:
    return UserError(f"there are no runs in {root / 'runs'}: choose another folder with --results")
