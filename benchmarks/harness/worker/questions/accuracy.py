"""Accuracy: trains to the recipe's end and scores every evaluation set as a whole.

Loss, gradient norm and learning rate are recorded at every step. The curve holds every
`log_interval`-th of them, the same steps in every backend. Evaluation and checkpoints do not count as
training time.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from math import isfinite
from pathlib import Path

import numpy as np
from safetensors import SafetensorError

from benchmarks.harness.data.examples import load_examples
from benchmarks.harness.jobs.events import (
    AccuracyResult,
    EvaluationBegan,
    EvaluationEnded,
    TrainingNote,
    TrainingProgress,
)
from benchmarks.harness.jobs.job import Built, Job, SavedModel
from benchmarks.harness.jobs.pipe import Pipe
from benchmarks.harness.plan.metrics import Metrics
from benchmarks.harness.worker import training
from benchmarks.harness.worker.imports import show_all
from benchmarks.harness.worker.scores import (
    evaluations_since_best,
    score,
    score_of,
    undefined_metrics,
)
from benchmarks.harness.worker.tokens import count_steps
from benchmarks.harness.worker.training_checkpoints import (
    Progress,
    TrainingCheckpoints,
    training_checkpoints,
)
from frameworks.contract import LOSS, Curve, Feed, Recipe, Session
from results.schema import Accuracy, CurvePoint, EvaluationPoint, Score

PROGRESS_SECONDS = 1.0  # between two progress events


class TrainingWatch(training.JobWatch):
    """Evaluates at the recipe's interval, keeps the best weights and ends the training early if the
    recipe says so, and writes checkpoints if the job says so."""

    def __init__(self, job: Job, session: Session, pipe: Pipe) -> None:
        self._recipe, self._session, self._pipe = job.recipe, session, pipe
        self._tracked, self._sent = job.tracked, 0  # the curve is sent up to this step
        self._total = Feed(session.spec.train, job.recipe).total_steps
        show_all()  # the user's metrics may be scikit-learn's
        self._metrics = Metrics(job.metrics, job.code_folder)
        self._sets = {name: load_examples(path) for name, path in job.evaluations.items()}
        self._checkpoints = training_checkpoints(job, session, self._sets, pipe)
        self._called = self._last_progress = time.perf_counter()
        self.evaluation_seconds = self.first_step_seconds = 0.0
        self._earlier_seconds = 0.0  # of training, before it was stopped
        self._paused_seconds = 0.0  # since the loop's call, for all that is not training
        self.evaluations: list[EvaluationPoint] = []
        self._logits: dict[str, np.ndarray] | None = None  # of the last evaluation
        self._undefined: set[str] = set()  # metrics that were, at some evaluation
        self.steps, self.stopped_early = 0, False
        self.resumed_at: list[int] = []
        self.best: tuple[float, int, dict[str, np.ndarray]] | None = None

    @property
    def training_seconds(self) -> float:
        """From the loop's call, without evaluation, checkpoints and the check of the recipe."""
        now = time.perf_counter()
        return self._earlier_seconds + now - self._called - self._paused_seconds

    def resume(self) -> None:
        """Continues from the newest checkpoint, if there is one."""
        found = self._checkpoints.load() if self._checkpoints else None
        if found is None:
            return
        progress, best = found
        self.steps, self._earlier_seconds = progress.step, progress.training_seconds
        self.evaluation_seconds = progress.evaluation_seconds
        self.first_step_seconds = progress.first_step_seconds
        self.evaluations = list(progress.evaluations)
        self.resumed_at = [*progress.resumed_at, progress.step]
        if best is not None and progress.best_value is not None and progress.best_step is not None:
            self.best = progress.best_value, progress.best_step, best

    def begin(self) -> None:
        if self.resumed_at:  # what came before was no training
            self._called = time.perf_counter()

    def first_step(self, seconds: float, check_seconds: float) -> None:
        self._paused_seconds += check_seconds
        if not self.resumed_at:
            self.first_step_seconds = seconds

    def step_end(self, step: int) -> bool:
        self.steps = step
        now = time.perf_counter()
        if now - self._last_progress > PROGRESS_SECONDS:
            self._last_progress = now
            curve = self._session.curve()  # on the device until here: read once a second
            self._pipe.send(
                TrainingProgress(
                    step=step,
                    total=self._total,
                    loss=curve.loss[-1],
                    seconds=self.training_seconds,
                    points=self._new_points(curve),
                )
            )
        interval = self._recipe.evaluation_interval
        if interval and step % interval == 0 and step < self._total:
            self.evaluate(step)
            if lost_patience(self.evaluations, self._recipe):
                self.stopped_early = True
                return True
        if self._checkpoints and self._checkpoints.due(step):
            self._write_checkpoint(step, self._checkpoints)
        return False

    def final_logits(self) -> dict[str, np.ndarray]:
        """Of every evaluation set after the last step."""
        if self._logits is not None and self.evaluations[-1].step == self.steps:
            return self._logits
        return self.evaluate(self.steps)

    def evaluate(self, step: int) -> dict[str, np.ndarray]:
        """Evaluates now; the logits of every evaluation set."""
        self._session.device.synchronize()
        training_seconds, began = self.training_seconds, time.perf_counter()
        logits, scores = {}, {}
        for name, examples in self._sets.items():
            self._pipe.send(EvaluationBegan(evaluation_set=name, examples=len(examples), step=step))
            logits[name] = self._session.predict(examples, batch_size=self._recipe.batch_size)
            scores[name] = score(logits[name], examples.labels, self._metrics)
        point = EvaluationPoint(step=step, training_seconds=training_seconds, scores=scores)
        self.evaluations.append(point)
        for metric, problem in undefined_metrics(scores).items():
            if metric not in self._undefined:  # said once: the training may still define it
                self._undefined.add(metric)
                text = f"{problem} after step {step}; that is recorded as not a number"
                self._pipe.send(TrainingNote(text=text))
        if self._tracked:
            points = self._new_points(self._session.curve())
            self._pipe.send(EvaluationEnded(evaluation=point, points=points))
        self._keep_if_best(step, next(iter(scores.values())))
        self._logits = logits
        seconds = time.perf_counter() - began
        self.evaluation_seconds += seconds
        self._paused_seconds += seconds
        return logits

    def _new_points(self, curve: Curve) -> list[CurvePoint]:
        """Those of the curve that were not sent before, for a tracker."""
        if not self._tracked:
            return []
        after, self._sent = self._sent, len(curve.loss)
        return curve_points(curve, self._recipe, self._total, after)

    def _write_checkpoint(self, step: int, checkpoints: TrainingCheckpoints) -> None:
        self._session.device.synchronize()
        training_seconds, began = self.training_seconds, time.perf_counter()
        value, best_step, best = self.best or (None, None, None)
        progress = Progress(
            step=step,
            training_seconds=training_seconds,
            evaluation_seconds=self.evaluation_seconds,
            first_step_seconds=self.first_step_seconds,
            evaluations=self.evaluations,
            best_value=value,
            best_step=best_step,
            resumed_at=self.resumed_at,
        )
        checkpoints.save(progress, best)
        self._paused_seconds += time.perf_counter() - began

    def _keep_if_best(self, step: int, first_set: Score) -> None:
        if self._recipe.keep_best is None:
            return
        value = score_of(first_set, self._recipe.keep_best)
        if isfinite(value) and (self.best is None or value > self.best[0]):
            self.best = (value, step, self._session.weights())

    def labels(self, name: str) -> np.ndarray:
        return self._sets[name].labels


def lost_patience(evaluations: Sequence[EvaluationPoint], recipe: Recipe) -> bool:
    """Whether the recipe ends the training after the last of these evaluations."""
    name = recipe.keep_best or LOSS
    return bool(recipe.patience) and evaluations_since_best(evaluations, name) >= recipe.patience


def measure(job: Job, built: Built, pipe: Pipe) -> AccuracyResult:
    session = built.session
    watch = TrainingWatch(job, session, pipe)
    watch.resume()
    training.run(job, session, watch)
    session.device.synchronize()
    training_seconds = watch.training_seconds
    logits = watch.final_logits()
    kept = watch.steps
    if watch.best is not None and watch.best[1] != kept:
        kept = watch.best[1]
        session.load_weights(watch.best[2])
        logits = watch.evaluate(kept)
    check_final(watch.evaluations[-1])
    save_predictions(job.predictions, logits, watch)
    curve = session.curve()
    accuracy = Accuracy(
        seed=job.recipe.seed,
        steps=watch.steps,
        examples=count_steps(session.spec.feed, 0, watch.steps).examples,
        training_seconds=training_seconds,
        first_step_seconds=watch.first_step_seconds,
        evaluation_seconds=watch.evaluation_seconds,
        scores=watch.evaluations[-1].scores,
        kept_step=kept,
        resumed_at_steps=watch.resumed_at,
        stopped_early=watch.stopped_early,
        curve=curve_points(curve, job.recipe, len(curve.loss)),
        evaluations=watch.evaluations,
        predictions_file=job.predictions.name,
    )
    return AccuracyResult(
        accuracy=accuracy,
        effective=training.effective(session, watch.steps),
        save_problem=save_model(job.model, session) if job.model else None,
    )


def check_final(point: EvaluationPoint) -> None:
    """Errors: ValueError where a metric has no value for the weights that are kept."""
    for problem in undefined_metrics(point.scores).values():
        raise ValueError(
            f"{problem} after step {point.step}, whose weights are kept: return a finite number, "
            "or leave the metric out"
        )


def save_model(model: SavedModel, session: Session) -> str | None:
    """Saves the weights that were scored. Returns why that failed: a full disk must not cost the
    scores of a long training."""
    shutil.rmtree(model.partial, ignore_errors=True)
    try:
        model.partial.mkdir(parents=True)
        session.save(model.partial)
    except (OSError, NotImplementedError, SafetensorError) as error:
        shutil.rmtree(model.partial, ignore_errors=True)
        return " ".join(str(error).split()) or type(error).__name__
    return None


def save_predictions(path: Path, logits: dict[str, np.ndarray], watch: TrainingWatch) -> None:
    """Writes logits and labels of every set, so that anyone can recompute the scores."""
    arrays = {f"{name}_logits": values for name, values in logits.items()}
    arrays |= {f"{name}_labels": watch.labels(name) for name in logits}
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


def curve_points(curve: Curve, recipe: Recipe, last: int, after: int = 0) -> list[CurvePoint]:
    """The points beyond step `after`: of every `log_interval`-th step and of step `last`."""
    return [
        CurvePoint(
            step=step,
            loss=curve.loss[step - 1],
            gradient_norm=curve.gradient_norm[step - 1],
            learning_rate=curve.learning_rate[step - 1],
        )
        for step in range(after + 1, len(curve.loss) + 1)
        if step % recipe.log_interval == 0 or step == last
    ]
