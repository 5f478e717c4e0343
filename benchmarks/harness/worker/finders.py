"""Other ways to a batch limit, each in one process on the same work under the same budget, so that
they can be held against the search.

* `accelerate` - accelerate's own `find_executable_batch_size`, as a user calls it: it begins at
  128 and takes nine tenths after every failure that it recognises.
* `doubling` - 1, 2, 4 ... up to the first failure, then halving on the grid of the search.

A probe builds a session anew and takes the same steps; nothing is left out for a finder's sake.
"""

from __future__ import annotations

import gc
import importlib
from collections.abc import Callable
from types import ModuleType

from benchmarks.harness.data.examples import load_examples, take_repeated
from benchmarks.harness.jobs import outcomes
from benchmarks.harness.jobs.events import FinderResult, FinderTries
from benchmarks.harness.jobs.job import FinderName, Job
from benchmarks.harness.jobs.pipe import Pipe
from benchmarks.harness.plan.batch_sizes import grid
from benchmarks.harness.worker.batch_limit import needed, take_steps
from frameworks.contract import Work
from results.schema import MEMORY_OUTCOMES

Trial = Callable[[int], None]  # trains at a batch size, or raises whatever training raises


class NoAnswer(Exception):
    """A finder gave up; one line that says why."""


def take(job: Job, backend: ModuleType, pipe: Pipe) -> FinderResult:
    """The answer of the job's finder; every probe is told before it begins, because it may end
    this process."""
    assert job.limit is not None and job.limit.finder is not None
    examples, limit, finder = load_examples(job.train), job.limit, FINDERS[job.limit.finder]

    def trial(batch: int) -> None:
        pipe.send(FinderTries(batch_size=batch))
        at = job.model_copy(update={"recipe": job.recipe.model_copy(update={"batch_size": batch})})
        session = backend.Session(
            Work(
                recipe=at.recipe,
                start=job.start.start(),
                train=take_repeated(examples, needed(at, limit)),
                memory_limit_bytes=limit.framework_bytes,
            )
        )
        take_steps(at, session)

    try:
        return FinderResult(answer=finder(trial, limit.highest), reason=None)
    except NoAnswer as error:
        return FinderResult(answer=None, reason=str(error))


def accelerate(trial: Trial, highest: int) -> int:
    """Errors: NoAnswer where accelerate is not installed."""
    try:
        utils = importlib.import_module("accelerate.utils")
    except ImportError as error:
        raise NoAnswer(f"accelerate cannot be imported: {error}") from None

    @utils.find_executable_batch_size  # type: ignore[untyped-decorator]
    def train(batch_size: int) -> int:
        trial(batch_size)
        return batch_size

    answer: int = train()
    return answer


def doubling(trial: Trial, highest: int) -> int:
    """0 where not even one example fits."""
    fits, batch = 0, 1
    while _fits(trial, batch):
        fits = batch
        if batch == highest:
            return highest
        batch = min(2 * batch, highest)
    fails = batch
    while between := [size for size in grid(highest) if fits < size < fails]:
        middle = between[len(between) // 2]
        if _fits(trial, middle):
            fits = middle
        else:
            fails = middle
    return fits


def _fits(trial: Trial, batch: int) -> bool:
    try:
        trial(batch)
    except Exception as error:  # noqa: BLE001 - classified right here, and raised again
        if outcomes.of_exception(f"{type(error).__name__}: {error}") not in MEMORY_OUTCOMES:
            raise
        return False
    finally:
        gc.collect()
    return True


FINDERS: dict[FinderName, Callable[[Trial, int], int]] = {
    "accelerate": accelerate,
    "doubling": doubling,
}
