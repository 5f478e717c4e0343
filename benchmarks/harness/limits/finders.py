"""Other ways to find a batch limit, each run in one worker under the search's own budget."""

from __future__ import annotations

import time

from benchmarks.harness.jobs.events import Event, FinderResult, FinderTries
from benchmarks.harness.jobs.process import WorkerEnded
from benchmarks.harness.limits.probe import Prober, failure_reason
from results.schema import Finder

TIME_LIMIT_PROBES = 6  # a finder gets the time limit of as many probes


def run_finder(prober: Prober, name: str) -> Finder:
    """The finder's answer, or the reason why it gave none."""
    job = prober.job(f"finder_{name}", finder=name)
    job = job.model_copy(update={"time_limit_seconds": TIME_LIMIT_PROBES * job.time_limit_seconds})
    tried: list[int] = []

    def watch(event: Event) -> None:
        if isinstance(event, FinderTries):
            tried.append(event.batch_size)

    began = time.monotonic()
    try:
        with prober.worker(job, watch) as worker:
            result = worker.expect(FinderResult)
    except WorkerEnded as ended:
        at = f"ended at batch {tried[-1]}" if tried else "ended before its first batch"
        result = FinderResult(answer=None, reason=f"{at}: {failure_reason(ended)}")
    prober.check_gpu()
    return Finder(
        name=name,
        answer=result.answer,
        probes=len(tried),
        seconds=time.monotonic() - began,
        reason=result.reason,
    )
