"""The display: plain lines where the output is no terminal, a live one where it is."""

from __future__ import annotations

import io
import time

from rich.console import Console

from benchmarks.harness.cli.terminal.progress import Display, duration
from benchmarks.harness.jobs.events import (
    Building,
    LaunchesDone,
    ThroughputResult,
    TrainingProgress,
    WindowEnded,
    WorkerFailed,
)
from results.schema import JobKey

KEY = JobKey(id="accuracy-imdb-hf_torch", backend="hf_torch", task="imdb", question="accuracy")
STEP = TrainingProgress(step=50, total=200, seconds=25.0, loss=0.5)
WINDOW = WindowEnded(steps=4, worker_seconds=2.0, examples=1, tokens=1, padded_tokens=1)
RESULT = ThroughputResult(
    build_seconds=1,
    first_step_seconds=1,
    model_flops_per_token=None,
    matmul_flops_per_second=None,
    effective={},
)


def shown(terminal: bool) -> str:
    output = io.StringIO()
    console = Console(file=output, force_terminal=terminal, width=150, soft_wrap=True)
    with Display(1, console) as display:
        display.watch(KEY, Building())
        display.watch(KEY, STEP)
        display.watch(KEY, STEP.model_copy(update={"step": 51}))
        until = time.monotonic() + 10
        while terminal and "2.04 steps/s" not in output.getvalue() and time.monotonic() < until:
            time.sleep(0.01)  # a live display is drawn ten times a second
        display.watch(KEY, WINDOW)
        display.watch(KEY, RESULT)
        display.watch(KEY, RESULT)  # of a second launch
        display.watch(KEY, LaunchesDone(launches=2))
    return output.getvalue()


def test_plain_lines() -> None:
    lines = shown(terminal=False).splitlines()
    assert lines == [
        "accuracy-imdb-hf_torch: building the model",
        "accuracy-imdb-hf_torch: step 50 of 200  2.00 steps/s  loss 0.5000  1:15 left",
        "[1/1] accuracy-imdb-hf_torch: done, 2 launches",
    ]


def test_a_terminal_gets_a_live_display() -> None:
    assert "\x1b[" in shown(terminal=True)
    assert "2.04 steps/s  loss 0.5000" in shown(terminal=True)


def test_a_window_of_evaluation_counts_batches() -> None:
    output = io.StringIO()
    with Display(1, Console(file=output, width=150)) as display:
        display.watch(KEY, WINDOW.model_copy(update={"phase": "evaluation"}))
    assert "evaluation 2.00 batches/s" in output.getvalue()


def test_markup_in_names_is_shown_as_it_is() -> None:
    output = io.StringIO()
    with Display(1, Console(file=output, width=150)) as display:
        display.watch(KEY, WorkerFailed(status="failed", reason="[red]no[/red] memory"))
    assert "[red]no[/red] memory" in output.getvalue()


def test_durations() -> None:
    assert [duration(s) for s in (0, 61.4, 3600, 7325)] == ["0:00", "1:01", "1:00:00", "2:02:05"]
