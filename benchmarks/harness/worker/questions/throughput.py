"""Speed: windows of optimizer steps inside the framework's real training loop.

The first step is timed alone, from the call of the loop to the synchronised end of the step.
Warm-up windows follow, then the windows that count. At the end of each window the device is
synchronised and the worker waits inside the framework's callback for the next command, so the
parent's clock times real training steps and nothing else. It waits after its last window too,
because what follows would run while another participant's window is timed. Steps are counted as
they were executed, with exactly their examples and tokens.
"""

from __future__ import annotations

import dataclasses
import json
import time
import traceback

from benchmarks.harness.data.examples import load_examples, take_repeated
from benchmarks.harness.jobs.environment import chosen_variables
from benchmarks.harness.jobs.events import (
    ThroughputResult,
    TrainingEnded,
    WaitingForWindow,
    WindowEnded,
)
from benchmarks.harness.jobs.job import Built, Job
from benchmarks.harness.jobs.pipe import Pipe
from benchmarks.harness.worker import flops, training
from benchmarks.harness.worker.tokens import StepCounts, count_evaluation, count_steps
from frameworks.contract import USERS_MODELS, Examples, Feed, Recipe, Session, backends
from results.schema import Gap, Phase


class WindowWatch(training.JobWatch):
    """Times windows of as many steps as the parent asks for. The loop continues for as long as it
    asks for windows."""

    def __init__(self, job: Job, session: Session, pipe: Pipe) -> None:
        self._plan, self._session, self._pipe = job.throughput, session, pipe
        self._feed = Feed(session.spec.train, job.recipe)
        self._window_start = 0  # executed steps when the window began
        self._window_steps = self._plan.steps_per_window
        self._began = time.perf_counter()
        self.first_step_seconds = 0.0
        self.steps = 0

    def first_step(self, seconds: float, check_seconds: float) -> None:
        self.first_step_seconds = seconds

    def step_end(self, step: int) -> bool:
        self.steps = step
        if step == 1:
            return self._wait(step)
        if step - self._window_start < self._window_steps:
            return False
        self._session.device.synchronize()
        seconds = time.perf_counter() - self._began
        counted = count_steps(self._feed, self._window_start, step)
        self._pipe.send(window(seconds, step - self._window_start, counted))
        return self._wait(step)

    def _wait(self, step: int) -> bool:
        self._pipe.send(WaitingForWindow(step=step))
        ends = self._pipe.wait_for_command() != "go"
        self._window_steps = self._pipe.window_steps or self._plan.steps_per_window
        self._window_start, self._began = step, time.perf_counter()
        return ends


def window(
    seconds: float, steps: int, counted: StepCounts, phase: Phase = "training"
) -> WindowEnded:
    counts = dataclasses.asdict(counted)
    return WindowEnded(worker_seconds=seconds, steps=steps, phase=phase, **counts)


def measure(job: Job, built: Built, pipe: Pipe) -> ThroughputResult:
    """Takes training windows, then evaluation windows, and sends each when it ends."""
    session = built.session
    watch = WindowWatch(job, session, pipe)
    training.run(job, session, watch)
    examples = load_examples(next(iter(job.evaluations.values())))
    sized: dict[int, tuple[Examples, StepCounts]] = {}
    pipe.send(TrainingEnded())
    while pipe.wait_for_command() == "go":
        batches = pipe.window_steps or job.throughput.evaluation_batches
        if batches not in sized:  # the first window of a size does not count, and the clock runs
            sized[batches] = repeated(examples, batches, job.recipe)
        pipe.send(evaluation_window(session, *sized[batches], batches))
    matmul, gaps = matmul_rate(session) if job.measures_matrix_rate else (None, {})
    model_flops = model_flops_per_token(job, session)
    if model_flops is None:
        gaps["model_flops_per_token"] = "unsupported"
    return ThroughputResult(
        build_seconds=built.seconds,
        first_step_seconds=watch.first_step_seconds,
        model_flops_per_token=model_flops,
        matmul_flops_per_second=matmul,
        gaps=gaps,
        effective=training.effective(session, watch.steps)
        | {"variables": chosen_variables(job.key.backend, job.environment)},
    )


def repeated(examples: Examples, batches: int, recipe: Recipe) -> tuple[Examples, StepCounts]:
    """Examples for so many full batches, repeated where there are too few, and their counts."""
    taken = take_repeated(examples, batches * recipe.batch_size)
    return taken, count_evaluation(taken, recipe)


def evaluation_window(
    session: Session, examples: Examples, counted: StepCounts, batches: int
) -> WindowEnded:
    began = time.perf_counter()
    session.predict(examples, batch_size=session.spec.recipe.batch_size)
    session.device.synchronize()
    return window(time.perf_counter() - began, batches, counted, "evaluation")


def matmul_rate(session: Session) -> tuple[float | None, dict[str, Gap]]:
    """The matrix rate, and why there is none. It is measured last and beside other participants, so
    a GPU may be full; the windows do not depend on it."""
    try:
        return session.device.matmul_flops_per_second(session.spec.recipe), {}
    except Exception:  # noqa: BLE001 - whatever it is, the windows are kept
        traceback.print_exc()
        return None, {"matmul_flops_per_second": "failed"}


def model_flops_per_token(job: Job, session: Session) -> float | None:
    """Training FLOPs per token without padding, at the sequence length of the mean token. Padding
    does not count as work, so it lowers MFU. None for a model of the user's: how often it uses a weight
    for a token is not known."""
    about = backends()[job.key.backend]
    if about.family == USERS_MODELS:
        return None
    if not about.pretrained:
        sizes = session.effective()
        return flops.recurrent(sizes.parameters - sizes.embedding_parameters)
    lengths = session.spec.train.lengths.astype(float)
    config = json.loads((job.start.folder / "config.json").read_text(encoding="utf-8"))
    of_mean_token = float((lengths**2).sum() / lengths.sum())
    return flops.transformer(config, of_mean_token, job.start.label_count)
