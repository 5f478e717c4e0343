"""Other ways to a batch limit, each in one process on the same work under the same budget, so that
they can be compared with the search.

* `doubling` - 1, 2, 4 ... up to the first failure, then halving on the grid of the search;
* those that a backend's users call, in the `finders.py` of its folder.

A probe builds a new session and takes the same steps; nothing is left out for a finder.
"""

from __future__ import annotations

import gc
import importlib
from collections.abc import Callable
from types import ModuleType

from benchmarks.harness.data.examples import load_examples, take_repeated
from benchmarks.harness.jobs import outcomes
from benchmarks.harness.jobs.events import FinderResult, FinderTries
from benchmarks.harness.jobs.job import DOUBLING, Job
from benchmarks.harness.jobs.pipe import Pipe
from benchmarks.harness.plan.batch_sizes import grid
from benchmarks.harness.worker import user_code
from benchmarks.harness.worker.in_force import check_device
from benchmarks.harness.worker.questions.batch_limit import examples_needed, take_steps
from frameworks.contract import SessionSpec, backends
from results.schema import MEMORY_OUTCOMES

Trial = Callable[[int], None]  # trains at a batch size, or raises whatever training raises


def run(job: Job, backend: ModuleType, pipe: Pipe) -> FinderResult:
    """The answer of the job's finder. Every probe is reported before it begins, because it may end
    this process."""
    assert job.limit is not None and job.limit.finder is not None
    examples, limit = load_examples(job.train), job.limit
    finder = _find_finder(job.key.backend, job.limit.finder)
    check_device(job.device, backend.Session.device.found_device())

    def trial(batch: int) -> None:
        pipe.send(FinderTries(batch_size=batch))
        at = job.model_copy(update={"recipe": job.recipe.model_copy(update={"batch_size": batch})})
        session = backend.Session(
            SessionSpec(
                recipe=at.recipe,
                start=job.start.start(),
                train=take_repeated(examples, examples_needed(at, limit)),
                memory_limit_bytes=limit.framework_bytes,
                own_model=user_code.own_model(job),
            )
        )
        take_steps(at, session)

    return FinderResult(answer=finder(trial, limit.highest), reason=None)


def _find_finder(backend: str, name: str) -> Callable[[Trial, int], int]:
    if name == DOUBLING:
        return doubling
    module = importlib.import_module(f"{backends()[backend].package}.finders")
    finder: Callable[[Trial, int], int] = getattr(module, name)
    return finder


def doubling(trial: Trial, highest: int) -> int:
    """The largest batch that fits; 0 if not even one example does."""
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
    except Exception as error:  # noqa: BLE001 - classified here, and raised again
        if outcomes.of_exception(f"{type(error).__name__}: {error}") not in MEMORY_OUTCOMES:
            raise
        return False
    finally:
        gc.collect()
    return True
