"""A step's buffers as the TensorFlow backends trace them, on tiny models."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frameworks._tensorflow import executor
from frameworks.contract import Recipe, Start, StepTrace, Unsupported
from tests.frameworks.conftest import LENGTH, make_spec, needed, new_session

BACKENDS = ("hf_tf", "keras_rnn")


def trace(
    backend: str,
    start: Start,
    batch: int = 2,
    phase: str = "training",
    device: str = "cpu",
    **fields: Any,
) -> StepTrace:
    needed(backend)
    recipe = Recipe(**{"length": LENGTH, "dropout": 0.1, **fields})
    module = importlib.import_module(f"frameworks.{backend}.step_trace")
    return module.step_trace(recipe, start, batch, device, phase)


def by_part(trace: StepTrace, event: int) -> dict[str, int]:
    """Bytes alive at an event."""
    alive = (trace.allocated_at <= event) & (trace.freed_at > event)
    parts = np.array(trace.parts)
    return {part: int(trace.bytes[alive & (parts == part)].sum()) for part in set(trace.parts)}


def peak(trace: StepTrace) -> int:
    change = np.zeros(trace.events + 1, np.int64)
    np.add.at(change, trace.allocated_at, trace.bytes)
    np.add.at(change, trace.freed_at, -trace.bytes)
    return int(change[:-1].cumsum().max())


@pytest.mark.parametrize("backend", BACKENDS)
def test_weights_and_optimizer_are_all_there_at_the_end(
    backend: str, starts: dict[str, Start]
) -> None:
    found = trace(backend, starts["bert"])
    session = new_session(backend, make_spec(starts["bert"]))
    weights = sum(values.size for values in session.weights().values()) * 4
    left = by_part(found, found.events - 1)
    assert left["weights"] == weights
    assert 2 * weights <= left["optimizer"] < 2 * weights + 1000  # and counters
    assert left["activations"] == left["gradients"] == 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_only_sizes_depend_on_the_batch(backend: str, starts: dict[str, Start]) -> None:
    """Two traces predict every other batch size."""
    two, three, large = (trace(backend, starts["bert"], size) for size in (2, 3, 32))
    for other in (three, large):
        assert np.array_equal(two.allocated_at, other.allocated_at)
        assert np.array_equal(two.freed_at, other.freed_at)
        assert two.parts == other.parts
    assert np.array_equal(two.bytes + 30 * (three.bytes - two.bytes), large.bytes)
    # With 16 threads or more, the peak of a small batch lies in the update, whatever its size.
    assert peak(large) > peak(two)


@pytest.mark.parametrize("architecture", ["bert", "distilbert", "gpt2"])
def test_attention_is_a_part_of_its_own(architecture: str, starts: dict[str, Start]) -> None:
    found = trace("hf_tf", starts[architecture], batch=3)
    squares = [
        size for size, part in zip(found.bytes, found.parts, strict=True) if part == "attention"
    ]
    assert squares and max(squares) == 3 * 2 * LENGTH * LENGTH * 4  # examples, heads, fp32


@pytest.fixture
def two_layers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The LSTM as workers have it."""
    needed("keras_rnn")
    from frameworks.keras_rnn import model, step_trace

    step_trace._traced.cache_clear()
    monkeypatch.setattr(model, "LAYERS", {"lower": True, "upper": False})
    yield
    step_trace._traced.cache_clear()


def test_a_loops_inputs_and_their_gradients_are_lists(
    starts: dict[str, Start], two_layers: None
) -> None:
    """Two layers in two directions: each keeps its inputs, a buffer per token, and adds their
    gradients up in as many."""
    found = trace("keras_rnn", starts["bert"], batch=3)
    inputs = found.bytes == 3 * 128 * 4
    change = np.zeros(found.events + 1, np.int64)
    np.add.at(change, found.allocated_at[inputs], 1)
    np.add.at(change, found.freed_at[inputs], -1)
    assert 8 * LENGTH <= change.cumsum().max() < 9 * LENGTH


@pytest.mark.parametrize("backend", BACKENDS)
def test_accumulation_keeps_a_sum_of_the_gradients(backend: str, starts: dict[str, Start]) -> None:
    plain, summed = (trace(backend, starts["bert"], accumulation=n) for n in (1, 3))
    ends = [by_part(t, t.events - 1) for t in (plain, summed)]
    assert ends[0].get("gradients", 0) == 0
    assert ends[1]["gradients"] == ends[1]["weights"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_recipe_counts(backend: str, starts: dict[str, Start]) -> None:
    def traced(**fields: Any) -> StepTrace:
        return trace(backend, starts["bert"], 8, device="gpu", **fields)

    assert peak(traced(phase="evaluation")) < peak(traced()) / 2
    end = by_part(adafactor := traced(optimizer="adafactor"), adafactor.events - 1)
    assert end["optimizer"] < 1.5 * end["weights"]
    with pytest.raises(Unsupported, match="compile"):
        traced(compile=True)
    with pytest.raises(Unsupported, match="gradient_checkpointing"):
        traced(gradient_checkpointing=True)


@pytest.mark.parametrize("threads", [None, 3])
def test_operations_run_on_the_threads_that_are_set_or_one_for_every_core(
    threads: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed("hf_tf")
    from frameworks._tensorflow import tracing

    monkeypatch.setenv("TF_NUM_INTEROP_THREADS", str(threads or ""))
    seen: list[int] = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(7)))
    monkeypatch.setattr(executor, "replay", lambda *arguments: seen.append(arguments[-1]))
    tracing.replay([], {True: [], False: []}, 0, 1, "cpu")
    assert seen == [threads or 7]


def test_the_baseline_never_meets_another_keras_backend() -> None:
    """Its workers use TensorFlow, whatever the user has set; the calling process stays as it is."""
    code = (
        "import os; from benchmarks.harness.jobs.environment import worker_environment;"
        "print(worker_environment('keras_rnn', None, 1)['KERAS_BACKEND'], os.environ['KERAS_BACKEND'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[3],
        text=True,
        env={**os.environ, "KERAS_BACKEND": "torch"},
        capture_output=True,
    )
    assert done.stdout.split() == ["tensorflow", "torch"], done.stderr


def test_cudnn_takes_the_place_of_the_loop(starts: dict[str, Start]) -> None:
    on_gpu = trace("keras_rnn", starts["bert"], 8, device="gpu")
    assert len(on_gpu.bytes) < len(trace("keras_rnn", starts["bert"], 8).bytes) / 2
