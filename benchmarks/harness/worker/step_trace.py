"""The worker of a prediction: traces a backend's steps without computing them.

    python -m benchmarks.harness.worker.step_trace REQUEST.json FOLDER

It writes one `<request>-<batch size>.npz` per trace into `FOLDER`, and `answer.json`.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

# A job's worker imports the same modules, so both processes start with the same memory.
from benchmarks.harness.jobs import pipe
from benchmarks.harness.jobs.trace_request import Answer, Ask, Request, save
from benchmarks.harness.machine import process_memory
from benchmarks.harness.worker.imports import import_backend
from frameworks.contract import StepTrace, Unsupported, backends


def main() -> int:
    pipe.die_with_parent()
    request = Request.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    folder = Path(sys.argv[2])
    import_backend(request.backend)
    begun = process_memory.read_memory()
    assert begun is not None  # it is this process
    refusals = {}
    for i, ask in enumerate(request.asks):
        try:
            for size in ask.batch_sizes:
                save(_trace(request.backend, ask, size), folder / f"{i}-{size}.npz")
        except Unsupported as error:
            refusals[i] = str(error)
    answer = Answer(process_bytes=begun.data, resident_bytes=begun.resident, refusals=refusals)
    (folder / "answer.json").write_text(answer.model_dump_json(), encoding="utf-8")
    return 0


def _trace(backend: str, ask: Ask, batch_size: int) -> StepTrace:
    """Errors: Unsupported for a step that the backend cannot trace."""
    start = ask.start.start()
    package = backends()[backend].package
    trace: StepTrace
    if ask.published_step is None:
        own = importlib.import_module(f"{package}.step_trace")
        trace = own.step_trace(ask.recipe, start, batch_size, ask.device, ask.phase)
    else:
        published = importlib.import_module("benchmarks.studies.published_steps")
        trace = published.step_trace(ask.published_step, ask.recipe, start, batch_size, ask.device)
    return trace


if __name__ == "__main__":
    sys.exit(main())
