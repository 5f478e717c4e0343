"""The worker process: one framework, one job.

python -m benchmarks.harness.worker JOB.json
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

from benchmarks.harness.data import examples
from benchmarks.harness.data.examples import load_examples
from benchmarks.harness.jobs.environment import thread_count
from benchmarks.harness.jobs.events import Building, FrameworkLoaded, Result, WorkerFailed
from benchmarks.harness.jobs.job import Built, Job
from benchmarks.harness.jobs.pipe import Pipe, die_with_parent
from benchmarks.harness.machine import process_memory
from benchmarks.harness.worker import user_code
from benchmarks.harness.worker.imports import import_backend
from benchmarks.harness.worker.in_force import check_device
from benchmarks.harness.worker.questions import (
    accuracy,
    batch_limit,
    equivalence,
    finders,
    memory,
    throughput,
)
from frameworks.contract import Session, SessionSpec, Unsupported

MESSAGE_CHARACTERS = 20_000  # of an exception's message, at most
QUESTIONS: dict[str, Callable[[Job, Built, Pipe], Result]] = {
    "equivalence": equivalence.measure,
    "throughput": throughput.measure,
    "memory": memory.measure,
    "batch_limit": batch_limit.measure,
    "accuracy": accuracy.measure,
}


def build(job: Job, pipe: Pipe) -> Built:
    module = backend(job, pipe)
    if job.key.question in ("throughput", "accuracy"):  # timed: until no other job computes
        pipe.wait_for_command()
    train, traced = load_examples(job.train), job.key.question == "equivalence"
    if traced:
        train = examples.take_spread(train, job.equivalence.examples(job.recipe.accumulation))
    if job.limit:
        train = examples.take_repeated(train, batch_limit.examples_needed(job, job.limit))
    before = process_memory.reset_peak() if job.key.question == "memory" else None
    pipe.send(Building())
    began = time.perf_counter()
    check_device(job.device, module.Session.device.found_device())
    spec = SessionSpec(
        recipe=job.recipe,
        start=job.start.start(),
        train=train,
        record=traced or job.key.question == "accuracy",
        hash_batches=traced,
        shared_start=traced,
        memory_limit_bytes=job.limit.framework_bytes if job.limit else None,
        threads=thread_count(job.key.backend, job.environment),
        callbacks=user_code.callbacks(job),
        own_model=user_code.own_model(job),
        resumable=job.checkpoints is not None,
    )
    norms = None
    if traced and job.equivalence.max_gradient_norm is None:
        spec, norms = equivalence.clipping_some(module.Session, spec)
    session: Session = module.Session(spec)
    return Built(session, time.perf_counter() - began, before, norms)


def backend(job: Job, pipe: Pipe) -> ModuleType:
    """Imports the backend and then applies a CPU's budget. Not earlier: a library that is refused
    memory while it is loaded may raise any error, end the process or hang."""
    module = import_backend(job.key.backend)
    if job.limit:
        batch_limit.apply_budget(job.limit)
    pipe.send(FrameworkLoaded())
    return module


def describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and its causes, as a traceback shows them. If a library that loads its parts
    late runs out of memory, only the cause says so."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def main() -> int:
    die_with_parent()
    pipe = Pipe()
    job = Job.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    try:
        if job.limit and job.limit.finder:
            pipe.send(finders.run(job, backend(job, pipe), pipe))
            return 0
        built = build(job, pipe)
        result = QUESTIONS[job.key.question](job, built, pipe)
    except Unsupported as error:
        pipe.send(WorkerFailed(status="unsupported", reason=str(error)))
        return 0
    except Exception as error:  # noqa: BLE001 - whatever it is, it is this job's outcome
        if job.limit:
            process_memory.remove_data_limit()  # or there may be no memory for the message
        traceback.print_exc()
        line = str(error).strip().splitlines()
        reason = f"{type(error).__name__}: {line[0] if line else 'no message'}"
        # Not in a search for a batch limit, where a model that runs out of memory is no mistake.
        if not job.limit and (place := user_code.blamed(error, user_code.names(job))):
            reason = f"your code failed ({place}): {reason}"
        text = "\n".join(map(describe, causes(error)))[:MESSAGE_CHARACTERS]
        pipe.send(WorkerFailed(status="failed", reason=reason, text=text))
        return 0
    pipe.send(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
