"""Where does a step of PyTorch's Trainer spend more than the bare loop?

    python -m benchmarks.studies.overhead.phases --recipe batch_size=16 --recipe length=128

Trainer and the bare loop train the same batches by the same recipe, each in a process of its own,
in the order Trainer, bare, bare, Trainer, so that a machine that drifts slows both. Inside, marks
at the borders of a step's phases time each phase; on a GPU the device is synchronised at every mark.
Printed are the medians over the steps, and one step of each AdamW that PyTorch has, on the same
weights.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness.data.examples import load_examples
from benchmarks.harness.data.tasks import task_names
from benchmarks.harness.errors import UserError
from benchmarks.harness.jobs.attempt import Ready
from benchmarks.harness.jobs.environment import process_environment
from benchmarks.harness.jobs.job import Job
from benchmarks.harness.plan.expand import make_plan
from benchmarks.harness.plan.plan import Choice
from benchmarks.harness.plan.profile import load_profile
from benchmarks.harness.plan.validation import parse_overrides
from benchmarks.harness.run.folder import RunFolder
from benchmarks.harness.run.run import Run
from frameworks.contract import SessionSpec
from results.analysis.statistics import median

PHASES = ("batch", "forward and loss", "backward", "clipping", "optimizer", "all else")
LOOPS = ("trainer", "bare")
SKIPPED = 3  # steps until caches are warm
OPTIMIZERS = {
    "fused": {"fused": True},
    "foreach": {"foreach": True},
    "one by one": {"foreach": False},
}
Phases = dict[str, list[float]]  # seconds by step


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.studies.overhead.phases",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--profile", default="quick", metavar="NAME")
    parser.add_argument("--task", default="imdb", metavar="NAME")
    parser.add_argument("--checkpoint", metavar="NAME")
    parser.add_argument("--recipe", action="append", default=[], metavar="FIELD=VALUE")
    parser.add_argument("--steps", type=int, default=12)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="ftbench-phases-") as folder:
        try:
            job = prepared(options, Path(folder))
        except UserError as error:
            print(f"phases: {error}", file=sys.stderr)
            return 2
        measured: dict[str, Phases] = {loop: defaultdict(list) for loop in LOOPS}
        for loop in (*LOOPS, *reversed(LOOPS)):
            for phase, seconds in child(job, Path(folder), loop).items():
                measured[loop][phase] += seconds
        print_table(job, measured)
        for name, seconds in child(job, Path(folder), "optimizers").items():
            print(f"one step of AdamW, {name}: {1000 * median(seconds):.1f} ms")
    return 0


def prepared(options: argparse.Namespace, folder: Path) -> Job:
    """One throughput job of PyTorch, its batches all of one width. Errors: UserError."""
    recipe = {"padding": "max", **parse_overrides(options.recipe), "steps": options.steps}
    choice = Choice(
        profile=options.profile,
        backends=["hf_torch"],
        tasks=[options.task],
        questions=["throughput"],
        checkpoint=options.checkpoint,
        recipe=recipe,
    )
    plan = make_plan(choice, load_profile(choice.profile), task_names(), "")
    plan = plan.model_copy(update={"jobs": plan.jobs[:1]})
    run = Run(RunFolder.new(folder, plan), print, lambda key, event: None)
    (ready,) = run.prepare(plan.jobs).values()
    if not isinstance(ready, Ready):
        raise UserError(f"{ready.status}: {ready.reason}")
    return ready.job.model_copy(
        update={"recipe": ready.job.recipe.model_copy(update={"steps": options.steps})}
    )


def child(job: Job, folder: Path, loop: str) -> Phases:
    """What one process measures."""
    file = folder / "job.json"
    file.write_text(job.model_dump_json())
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from benchmarks.studies.overhead import phases; phases.measure()",
            file,
            loop,
        ],
        capture_output=True,
        text=True,
        env=process_environment(job.environment),
    )
    if done.returncode:
        raise SystemExit(f"{loop} failed:\n{done.stderr[-3000:]}")
    found: Phases = json.loads(done.stdout.splitlines()[-1])
    return found


def print_table(job: Job, measured: Mapping[str, Phases]) -> None:
    """Prints the table: milliseconds of the median step by phase, and what Trainer adds."""
    recipe = job.recipe
    print(
        f"{recipe.batch_size} x {recipe.length}, {recipe.precision}, compile = "
        f"{str(recipe.compile).lower()}; milliseconds of the median step"
    )
    print(f"{'':18}{'Trainer':>10}{'bare':>10}{'Trainer adds':>14}{'of bare':>10}")
    whole = median(measured["bare"]["step"])
    for phase in (*PHASES, "step"):
        ours, theirs = (median(measured[loop][phase]) for loop in LOOPS)
        print(
            f"{phase:18}{1000 * ours:10.1f}{1000 * theirs:10.1f}{1000 * (ours - theirs):14.1f}"
            f"{(ours - theirs) / whole:10.1%}"
        )


class Marks:
    """Attributes the time since the last mark to a phase; a watch that ends its steps."""

    def __init__(self, wait: Callable[[], None]) -> None:
        self._wait, self._step = wait, defaultdict[str, float](float)
        self._steps: list[dict[str, float]] = []
        self._last = time.perf_counter()

    def mark(self, phase: str) -> None:
        self._wait()
        now = time.perf_counter()
        self._step[phase] += now - self._last
        self._last = now

    def around(self, owner: Any, name: str, phase: str) -> None:
        """Makes a function of the framework's say when it begins and ends."""
        real = getattr(owner, name)

        def marked(*arguments: Any, **named: Any) -> Any:
            self.mark(BEFORE.get(phase, "all else"))
            try:
                return real(*arguments, **named)
            finally:
                self.mark(phase)

        setattr(owner, name, marked)

    def begin(self) -> None:
        self._last = time.perf_counter()

    def step_end(self, step: int) -> bool:
        self.mark("all else")
        self._steps.append(dict(self._step))
        self._step.clear()
        return False

    @property
    def phases(self) -> Phases:
        kept = self._steps[SKIPPED:]
        found = {phase: [step.get(phase, 0.0) for step in kept] for phase in PHASES}
        return {**found, "step": [sum(step.values()) for step in kept]}


# What has been done when a phase begins; all else otherwise.
BEFORE = {"backward": "forward and loss"}


def measure() -> None:
    """In a process of its own: trains by one of the loops and prints its phases."""
    import torch
    from torch.utils.data import dataloader

    from frameworks.hf_torch import bare, device, train

    job, loop = Job.model_validate_json(Path(sys.argv[1]).read_text()), sys.argv[2]
    session = train.Session(SessionSpec(job.recipe, job.start.start(), load_examples(job.train)))
    if loop == "optimizers":
        print(
            json.dumps(
                {name: optimizer_steps(session, fields) for name, fields in OPTIMIZERS.items()}
            )
        )
        return
    marks = Marks(device.synchronize)
    marks.around(dataloader._BaseDataLoaderIter, "__next__", "batch")
    marks.around(torch.Tensor, "backward", "backward")
    for owner in (torch.nn.utils, bare):
        marks.around(owner, "clip_grad_norm_", "clipping")
    marks.around(session.optimizer, "step", "optimizer")
    (session.train if loop == "trainer" else session.train_bare)(marks)
    print(json.dumps(marks.phases))


def optimizer_steps(session: Any, fields: Mapping[str, bool], count: int = 6) -> list[float]:
    """Seconds of steps of one kind of AdamW on the session's weights, without the first."""
    import torch

    from frameworks.hf_torch import device

    optimizer = torch.optim.AdamW(session.model.parameters(), lr=1e-5, **fields)
    for parameter in session.model.parameters():
        parameter.grad = torch.randn_like(parameter)
    found = []
    for _ in range(1 + count):
        device.synchronize()
        began = time.perf_counter()
        optimizer.step()
        device.synchronize()
        found.append(time.perf_counter() - began)
    return found[1:]


if __name__ == "__main__":
    sys.exit(main())
