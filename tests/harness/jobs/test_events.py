"""Events cross the pipe unchanged, and every kind has a name of its own."""

from __future__ import annotations

import math
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from benchmarks.harness.jobs import events
from results.schema import Memory

EXAMPLES: list[Any] = [
    events.FrameworkLoaded(),
    events.TrainingProgress(step=3, total=9, loss=0.25, seconds=1.5),
    events.WindowEnded(worker_seconds=0.1, steps=2, examples=8, tokens=70, padded_tokens=128),
    events.WorkerFailed(status="failed", reason="no memory", text="MemoryError: no memory\nmore"),
    events.MemoryResult(
        memory=Memory(steps=3, peak_process_bytes=5, phase_peaks={"forward": 4}),
        gaps={"peak_allocated_bytes": "no_gpu"},
        effective={"precision": "fp32", "details": {"threads": 2.0, "fused": None}},
    ),
    events.FinderResult(answer=None, reason="accelerate cannot be imported"),
]


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: type(event).__name__)
def test_an_event_is_one_line_and_comes_back_as_it_was(event: Any) -> None:
    line = events.write_event(event)
    assert "\n" not in line
    assert events.read_event(line.encode()) == event


def test_a_loss_that_is_no_number_crosses_too() -> None:
    event = events.TrainingProgress(step=1, total=2, loss=math.nan, seconds=1.0)
    read = events.read_event(events.write_event(event))
    assert isinstance(read, events.TrainingProgress) and math.isnan(read.loss)


def test_every_kind_has_its_own_name() -> None:
    kinds = get_args(get_args(events.Event)[0])
    names = {kind.model_fields["event"].default for kind in kinds}
    assert len(kinds) > 10 and len(names) == len(kinds)


@pytest.mark.parametrize(
    "line", ["", "no JSON", '{"event": "unknown"}', '{"event": "building", "x": 1}']
)
def test_any_other_line_is_refused(line: str) -> None:
    with pytest.raises(ValidationError):
        events.read_event(line)
