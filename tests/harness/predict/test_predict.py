"""From traces to peaks and limits, on a small made-up step."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from benchmarks.harness.cli import main
from benchmarks.harness.errors import UserError
from benchmarks.harness.jobs.job import StartFile
from benchmarks.harness.jobs.trace_request import Answer, Ask, save
from benchmarks.harness.machine.gpu_types import gpu_types
from benchmarks.harness.predict import largest_batch, predictions, tracing
from benchmarks.harness.predict.allocators.blocks import MIB
from benchmarks.harness.predict.calibration import Calibration, calibrations
from benchmarks.harness.predict.footprint import Footprint, Process
from benchmarks.harness.predict.largest_batch import limit, share_of_examples
from benchmarks.harness.predict.predictions import predicted_limit
from benchmarks.harness.predict.text import sentence, text
from benchmarks.harness.predict.workload import Target, Workload, targets
from frameworks.contract import Recipe, StepTrace, backends
from tests.harness.limits.fakes import CPU, ready
from tests.results.sample_limits import prediction

pytestmark = pytest.mark.once
WEIGHTS, EACH = 200 * MIB, 30 * MIB


def step(batch: int, each: int = EACH) -> StepTrace:
    """Weights that stay, an activation per example that goes."""
    return StepTrace(
        bytes=np.array([WEIGHTS, each * batch, 4 * MIB]),
        allocated_at=np.array([0, 1, 3]),
        freed_at=np.array([5, 2, 4]),
        parts=("weights", "activations", "workspace"),
        events=5,
    )


def footprint(
    allocator: str = "cuda_cache", process: Process | None = None, each: int = EACH, **fields
) -> Footprint:
    made = Calibration(allocator=allocator, error=0.03, how="made up", **fields)
    return Footprint([step(2, each), step(6, each)], (2, 6), made, process)


@pytest.mark.parametrize("batch", [1, 2, 6, 7, 100])
def test_two_traces_give_the_buffers_at_any_batch_size(batch: int) -> None:
    assert footprint().buffers.sizes(batch).tolist() == step(batch).bytes.tolist()


def test_traces_that_differ_in_their_buffers_are_refused() -> None:
    other = step(6)
    other = StepTrace(other.bytes, other.allocated_at, np.array([5, 4, 2]), other.parts, 5)
    with pytest.raises(ValueError, match="other buffers"):
        Footprint([step(2), other], (2, 6), calibrations()["hf_torch"]["gpu"])


def test_the_parts_add_up_to_the_peak() -> None:
    peak = footprint(process=Process(1000), workspaces_bytes=(8 * MIB,)).peak(3)
    assert sum(peak.parts.values()) == peak.bytes
    assert peak.parts["weights"] == WEIGHTS
    assert peak.parts["activations"] == 3 * EACH
    assert peak.parts["process"] == 1000
    assert peak.parts["workspace"] == 8 * MIB


@pytest.mark.parametrize("cores", [1, 2, 8])
def test_stacks_of_more_threads_count(
    cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorFlow has two threads for each core, and the calibration comes from two cores."""
    for size in (2, 6):
        save(step(size), tmp_path / f"0-{size}.npz")
    start = StartFile(
        folder=tmp_path, architecture="bert", label_count=2, vocabulary_size=9, max_length=9
    )
    ask = Ask(recipe=Recipe(), start=start, device="cpu", phase="training", batch_sizes=(2, 6))
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cores)))
    answer = Answer(process_bytes=1000, resident_bytes=500, refusals={})
    made = tracing._footprint("hf_tf", ask, answer, tmp_path, 0)
    started = calibrations()["hf_tf"]["cpu"].started_bytes["fp32"]
    assert made.outside_bytes == 1000 + started + (cores - 2) * 2 * 8 * MIB


@pytest.mark.parametrize("backend", ["hf_tf", "keras_rnn"])
def test_on_a_gpu_tensorflow_has_one_region_of_its_budget(backend: str) -> None:
    """Regions that double would hold 512 MiB for these 290."""
    made = Footprint([step(2), step(6)], (2, 6), calibrations()[backend]["gpu"])
    assert made.peak(3).bytes == WEIGHTS + 3 * EACH


@pytest.mark.parametrize("allocator", ["cuda_cache", "bfc", "malloc"])
@pytest.mark.parametrize("budget", [230, 231, 500, 1000, 4096])
def test_the_limit_fits_and_the_next_batch_does_not(allocator: str, budget: int) -> None:
    made = footprint(allocator)
    found = limit(made, budget * MIB)
    assert found == 0 or made.fits(found, budget * MIB)
    assert not made.fits(found + 1, budget * MIB)


def test_nothing_fits_below_the_weights() -> None:
    assert limit(footprint(), WEIGHTS) == 0


@pytest.mark.parametrize("guess", [20, 90, 110, 150, 170, 400])
def test_a_size_that_fails_below_larger_ones_ends_the_limit(
    guess: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where an allocator turns to another kind of block from some size on."""
    made = footprint("malloc")
    monkeypatch.setattr(made, "fits", lambda batch, budget: batch <= 100 or 120 < batch <= 160)
    monkeypatch.setattr(largest_batch, "_guess", lambda footprint, budget: guess)
    assert limit(made, MIB) == 100
    assert limit(made, MIB, 0.25) == 80


def test_the_process_counts_against_the_budget() -> None:
    assert limit(footprint(), 2000 * MIB) > limit(footprint(process=Process(500 * MIB)), 2000 * MIB)


def test_a_limit_is_found_where_what_is_held_rises_in_leaps() -> None:
    """Regions of 256 MiB hold 4 examples as well as 16."""
    made = footprint("onednn_pool", each=MIB)
    assert made.peak(4).bytes == made.peak(16).bytes
    found = limit(made, 600 * MIB)
    assert made.fits(found, 600 * MIB) and not made.fits(found + 1, 600 * MIB)


def test_what_is_in_use_is_less_than_what_is_held() -> None:
    """PyTorch's cache cuts 4 MiB from a segment of 20."""
    made = footprint(workspaces_bytes=(4 * MIB,))
    assert made.in_use(3, 4096 * MIB) == 4 * MIB + WEIGHTS + 3 * EACH
    assert made.peak(3).bytes == 20 * MIB + WEIGHTS + 3 * EACH


def test_without_a_count_what_is_held_is_in_use() -> None:
    made = footprint("malloc", process=Process(5 * MIB))
    assert made.in_use(3, 4096 * MIB) == made.peak(3).bytes


@pytest.mark.parametrize(
    ("resident", "in_use"), [(100, 300 + 8 + 256 + 90), (500, 500 + 2 * 8 + 200 + 90)]
)
def test_in_use_on_a_cpu_is_the_count_or_what_is_resident(resident: int, in_use: int) -> None:
    """The weights' region of 256 MiB is not cut for them and counts whole; of another the
    activation takes 90. The handles of each take 8."""
    process = Process(1000 * MIB, begun_bytes=300 * MIB, resident_bytes=resident * MIB)
    made = footprint("onednn_pool", process)
    assert made.in_use(3, 4096 * MIB) == in_use * MIB
    assert made.peak(3).bytes == (1000 + 2 * (256 + 8)) * MIB


def test_a_probe_saw_its_own_budget() -> None:
    """A region that the budget cuts short is given out whole, as there is less left over."""
    made = footprint("onednn_pool", Process())
    assert made.in_use(3, 4096 * MIB) == (256 + 8 + 90) * MIB
    assert made.in_use(3, 420 * MIB) > (256 + 8 + 90) * MIB


def test_what_comes_late_must_find_room() -> None:
    """The activation's region of 256 MiB is cut to 186.6 at the third try, which leaves 13.5 of the
    470: room for 5 MiB that come late, not for 20."""
    budget = 470 * MIB
    assert footprint("onednn_pool", Process()).fits(5, budget)
    assert footprint("onednn_pool", Process(5 * MIB, late_bytes=5 * MIB)).fits(5, budget)
    late = footprint("onednn_pool", Process(20 * MIB, late_bytes=20 * MIB))
    assert not late.fits(5, budget)
    assert late.fits(5, 600 * MIB)


def test_a_promise_has_room_for_all_that_may_come_late() -> None:
    """The same 13.5 MiB: what is told to come finds room, what may come besides does not, so that
    the region is none for a promise."""
    budget = 470 * MIB
    process = Process(5 * MIB, late_bytes=5 * MIB, more_bytes=15 * MIB)
    made = footprint("onednn_pool", process)
    assert made.at_worst().outside_bytes == 20 * MIB
    assert limit(made.at_worst(), budget) < 5 <= limit(made, budget)
    told = predicted_limit(made, Target("470MiB", budget), made._calibration)
    assert told.low <= limit(made.at_worst(), budget) and told.limit == limit(made, budget)
    assert made.outside_bytes == 5 * MIB


def test_hopper_takes_larger_workspaces() -> None:
    known = calibrations()["hf_torch"]["gpu"]
    assert known.workspaces("9.0") == (32 * MIB,) * 2
    assert known.workspaces("8.0") == known.workspaces(None) == (8_519_680,) * 2
    found = {t.label: t.compute_capability for t in targets(work(), ["H100", "H200", "L4"], [])}
    assert found == {"H100": "9.0", "H200": "9.0", "L4": "8.9"}
    made = footprint(
        workspaces_bytes=(30 * MIB,), workspaces_by_capability={"9.0": (30 * MIB + 2 * EACH,)}
    )
    assert made.on("9.0").peak(3).bytes == made.peak(3).bytes + 2 * EACH
    limits = [
        predicted_limit(
            made, Target("GPU", 2000 * MIB, compute_capability=c), made._calibration
        ).limit
        for c in ("8.0", "9.0")
    ]
    assert limits[0] == limits[1] + 2


@pytest.mark.parametrize("budget", range(500, 4000, 125))
def test_a_promise_fits_though_the_peak_be_higher_by_the_whole_error(budget: int) -> None:
    """Of which all is in the examples: the weights are what they are."""
    made = footprint("cuda_cache")
    told = predicted_limit(made, Target("budget", budget * MIB), made._calibration)
    assert told.limit == limit(made, budget * MIB)
    assert told.low <= told.limit <= told.high and told.low < told.high
    error = made._calibration.error
    assert made.peak(told.low).bytes * (1 + error) <= budget * MIB + EACH
    assert made.peak(told.low + 2).bytes * (1 + error) > budget * MIB


def test_an_error_of_the_peak_is_a_larger_share_of_the_examples() -> None:
    """Half of the budget is weights: what holds the other half is off by twice the share."""
    made = footprint()
    constant = WEIGHTS + 4 * MIB
    assert share_of_examples(made, 0.03, 2 * constant) == pytest.approx(0.06)
    assert share_of_examples(made, 0.03, constant) > 1  # there is room for none


def test_a_trace_that_takes_too_long_or_fails_is_told(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    start = StartFile(
        folder=tmp_path, architecture="bert", label_count=2, vocabulary_size=100, max_length=512
    )
    ask = Ask(recipe=Recipe(), start=start, device="cpu", phase="training", batch_sizes=(2, 6))
    with pytest.raises(UserError, match="PyTorch could not be traced within 0 s"):
        tracing.footprints("hf_torch", [ask], seconds=0.01)
    with pytest.raises(UserError, match="PyTorch could not be traced: .*config.json"):
        tracing.footprints("hf_torch", [ask])


def test_a_search_gets_the_predicted_limit_of_its_own_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced by the Python and within the time that it is given, and once for all budgets."""
    asked: list[tuple[str, Ask, Path, float]] = []

    def traced(backend: str, asks: list[Ask], python: Path, seconds: float) -> list[Footprint]:
        asked.append((backend, asks[0], python, seconds))
        return [footprint()]

    monkeypatch.setattr(predictions, "footprints", traced)
    expect = predictions.expectation(CPU, Path("python-of-the-backend"))
    found = [expect(ready("1GiB").job, budget * MIB) for budget in (500, 1000)]
    assert [e.limit for e in found] == [limit(footprint(), b * MIB) for b in (500, 1000)]
    assert {e.source for e in found} == {"predicted"} and all(e.seconds >= 0 for e in found)
    ((backend, ask, python, seconds),) = asked
    assert (backend, python, seconds) == ("hf_torch", Path("python-of-the-backend"), 10)
    assert (ask.device, ask.phase, ask.batch_sizes) == ("cpu", "training", (2, 6))


def test_a_step_that_cannot_be_traced_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = tracing.Refusal("compile")
    monkeypatch.setattr(predictions, "footprints", lambda *asked: [refusal])
    predictions._kept_footprint.cache_clear()
    with pytest.raises(UserError, match="compile"):
        predictions.expectation(CPU, Path("another-python"))(ready("1GiB").job, 2**30)


def work(**fields) -> Workload:
    return Workload("hf_torch", "minilm", "gpu", "training", Recipe(**fields))


def test_every_gpu_type_is_a_target() -> None:
    found = targets(work(), list(gpu_types()), [])
    assert [t.label for t in found] == list(gpu_types())
    assert all(0 < t.budget_bytes < gpu_types()[t.label].memory_bytes for t in found)


def test_a_gpu_type_without_a_reading_says_what_its_budget_rests_on() -> None:
    notes = {t.label: t.note for t in targets(work(), ["T4", "H200"], [])}
    assert notes["T4"] is None
    assert "was not measured" in (notes["H200"] or "")


def test_a_gpu_type_is_left_out_where_it_lacks_the_precision() -> None:
    assert [t.label for t in targets(work(precision="bf16"), ["T4", "L4"], [])] == ["L4"]


@pytest.mark.parametrize(
    ("label", "said"), [("6 apples", "6 apples"), ("T4", "--gpu"), ("0GiB", "larger than 0")]
)
def test_a_wrong_budget_is_named(label: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        targets(work(), [], [label])


def test_every_backend_is_calibrated_for_both_kinds_of_device() -> None:
    assert set(calibrations()) == set(backends())
    for kinds in calibrations().values():
        assert set(kinds) == {"cpu", "gpu"}


@pytest.mark.parametrize(("assumed", "said"), [(True, "assumed range"), (False, "95 % interval")])
def test_the_text_says_what_stands_behind_a_range(assumed: bool, said: str) -> None:
    told = text(prediction(assumed=assumed))
    assert f"with {said}" in told and f"({said} " in told
    assert ("95 %" in told) is not assumed


def test_a_baseline_goes_by_its_own_name() -> None:
    made = prediction("keras_rnn", 64, checkpoint="minilm", tokenizer_only=True)
    assert sentence(made).startswith("Keras LSTM on the tokens of minilm, length 64, fp32: about ")
    assert sentence(prediction(length=64)).startswith("minilm, length 64, fp32, PyTorch")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--gpu", "T44"], "did you mean T4"),
        (["--budget", "lots"], "--budget 'lots'"),
        (["--backend", "hf_jax"], "unknown backend 'hf_jax'"),
        (["--checkpoint", "nothing-there"], "unknown checkpoint 'nothing-there'"),
        (["--backend", "hf_torch", "--checkpoint", "bert-base", "--length", "513"], "512 tokens"),
        (["--recipe", "precision=int4"], "recipe.precision"),
        (["--gpu", "T4", "--task", "cola"], "unknown task 'cola'"),
        (["--check", "nowhere"], "not a run's folder"),
        (["--profile", "t4"], "--profile t4: a profile has one recipe per task: add --task"),
        (["--length", "0"], "length"),
        (["--check", "nowhere", "--gpu", "T4"], "leave out --gpu"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["predict", *options, "--results", str(tmp_path / "results")]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert said in error[-1]
    assert not (tmp_path / "results").exists()
