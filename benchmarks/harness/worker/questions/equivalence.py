"""Equivalence: records one training step by step, to be compared with another backend's.

The batches are hashed as they reach the model. Loss, gradient norm and learning rate are read at
every optimizer step, logits and weights before and after training. Nothing here is timed.
"""

from __future__ import annotations

import dataclasses
import gc
import time
from collections.abc import Callable
from math import isfinite
from statistics import median

import numpy as np

from benchmarks.harness.data.examples import load_examples, take_spread
from benchmarks.harness.equivalence.count_sketch import sketches
from benchmarks.harness.equivalence.trace import Arrays, write_arrays
from benchmarks.harness.jobs.events import TraceResult, TrainingProgress
from benchmarks.harness.jobs.job import Built, Job
from benchmarks.harness.jobs.pipe import Pipe
from benchmarks.harness.worker.training import Checked, JobWatch, effective
from frameworks.contract import Examples, Feed, Session, SessionSpec, learning_rate
from results.schema import Trace

PROGRESS_SECONDS = 1.0  # between two progress events
CALIBRATION_STEPS = 8  # an even number: their median lies between two norms


class FirstUpdate(JobWatch):
    """Copies the weights right after the first step whose learning rate is not 0."""

    def __init__(self, session: Session, on_step: Callable[[int], None]) -> None:
        recipe, total = session.spec.recipe, session.spec.feed.total_steps
        rates = [learning_rate(recipe, step, total) for step in range(total)]
        self.step = next((s + 1 for s, rate in enumerate(rates) if rate > 0), total)
        self.weights: dict[str, np.ndarray] = {}
        self._session, self._on_step = session, on_step

    def step_end(self, step: int) -> bool:
        if step == self.step:
            self.weights = self._session.weights()
        self._on_step(step)
        return False


def first_norms(make: Callable[[SessionSpec], Session], spec: SessionSpec) -> list[float]:
    """The gradient norms of a training's first steps, in fp32 and without clipping, in a session of
    their own. Backends agree on them as they agree on a step's norm, whatever precision the trace
    itself has."""
    plain = {"precision": "fp32", "compile": False, "max_gradient_norm": 0.0}
    recipe = spec.recipe.model_copy(update=plain)
    session = make(dataclasses.replace(spec, recipe=recipe, record=True, hash_batches=False))
    session.train(FirstSteps())
    norms = session.curve().gradient_norm
    del session
    gc.collect()  # its model would stay on the device beside the trace's
    return norms


def clipping_some(
    make: Callable[[SessionSpec], Session], spec: SessionSpec
) -> tuple[SessionSpec, list[float]]:
    """The training with a clipping that is at work in a part of its steps, whatever the number of
    labels: at the median norm of its first steps, which are returned as well.

    Errors: ValueError if one of them is not a number."""
    norms = first_norms(make, spec)
    if not all(map(isfinite, norms)):
        raise ValueError(f"the first gradient norms are {norms}: the training diverges at once")
    recipe = spec.recipe.model_copy(update={"max_gradient_norm": median(norms)})
    return dataclasses.replace(spec, recipe=recipe), norms


class FirstSteps(JobWatch):
    """Ends a training after `CALIBRATION_STEPS`."""

    def step_end(self, step: int) -> bool:
        return step == CALIBRATION_STEPS


def trace(
    session: Session,
    train: Callable[[JobWatch], None],
    evaluation: Examples,
    *,
    calibration_norms: list[float] | None = None,
    keep_weights: bool = False,
    on_step: Callable[[int], None] = lambda step: None,
) -> tuple[Trace, Arrays]:
    """Trains a session that records and hashes its batches to the end, by `train`. `on_step` is
    called after every optimizer step."""
    feed, size = session.spec.feed, session.spec.recipe.batch_size
    before = session.weights()
    start_logits = session.predict(evaluation, batch_size=size)
    watch = FirstUpdate(session, on_step)
    train(watch)
    session.device.synchronize()
    after, curve = session.weights(), session.curve()
    update = {
        name: values.astype(np.float64) - before[name] for name, values in watch.weights.items()
    }
    arrays = Arrays(
        start_logits=start_logits,
        end_logits=session.predict(evaluation, batch_size=size),
        start=sketches(before),
        update=sketches(update),
        end=sketches(after),
        weights=after if keep_weights else None,
    )
    return Trace(
        steps=len(curve.loss),
        steps_per_epoch=feed.steps_per_epoch,
        update_step=watch.step,
        examples=step_examples(feed, len(curve.loss)),
        batches=curve.batch_digests,
        batch_steps=[feed.step_of(batch) + 1 for batch in range(len(curve.batch_digests))],
        loss=curve.loss,
        gradient_norm=curve.gradient_norm,
        learning_rate=curve.learning_rate,
        evaluation_examples=len(evaluation),
        calibration_norms=calibration_norms,
    ), arrays


def step_examples(feed: Feed, steps: int) -> list[int]:
    """The number of examples in each of the first `steps` optimizer steps."""
    counts = [0] * (steps + 1)
    for batch in range(feed.total_batches):
        counts[min(feed.step_of(batch), steps)] += feed.examples_in(batch)
    return counts[:steps]


def measure(job: Job, built: Built, pipe: Pipe) -> TraceResult:
    session, plan = built.session, job.equivalence
    evaluation = take_spread(
        load_examples(next(iter(job.evaluations.values()))), plan.evaluation_examples
    )
    began = last_report = time.perf_counter()
    total = session.spec.feed.total_steps

    def report_progress(step: int) -> None:
        nonlocal last_report
        now = time.perf_counter()
        if now - last_report > PROGRESS_SECONDS:
            last_report = now
            loss = session.curve().loss[-1]
            pipe.send(TrainingProgress(step=step, total=total, loss=loss, seconds=now - began))

    recorded, arrays = trace(
        session,
        lambda watch: session.train(Checked(watch, session)),
        evaluation,
        calibration_norms=built.calibration_norms,
        keep_weights=plan.keep_weights,
        on_step=report_progress,
    )
    weights_file = write_arrays(job.predictions, arrays)
    recorded = recorded.model_copy(
        update={"arrays_file": job.predictions.name, "weights_file": weights_file}
    )
    return TraceResult(
        trace=recorded,
        max_gradient_norm=session.spec.recipe.max_gradient_norm,
        effective=effective(session, recorded.steps),
    )
