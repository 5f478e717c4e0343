"""From traces to peaks and limits, on a small made-up step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.harness import cli, predict_check
from benchmarks.harness.allocators import MIB
from benchmarks.harness.errors import UserError
from benchmarks.harness.gpus import gpu_types
from benchmarks.harness.predict import Calibration, Footprint, calibrations
from benchmarks.harness.predict_check import published, step_of
from benchmarks.harness.predictions import Target, Work, predicted_limit, targets
from frameworks.contract import BACKENDS, Recipe, StepTrace
from results.schema import BatchLimit, Checkpoint, Device, JobKey, Measurement, Probe

pytestmark = pytest.mark.once
WEIGHTS, EACH = 200 * MIB, 30 * MIB


def step(batch: int, weights: int = WEIGHTS) -> StepTrace:
    """Weights that stay, an activation per example that goes."""
    return StepTrace(
        bytes=np.array([weights, EACH * batch, 4 * MIB]), taken=np.array([0, 1, 3]),
        given_back=np.array([5, 2, 4]), parts=("weights", "activations", "workspace"), events=5,
        phases={"forward": 2, "backward": 4, "optimizer": 5})


def footprint(allocator: str = "cuda_cache", outside_bytes: int = 0, **fields) -> Footprint:
    made = Calibration(allocator=allocator, error=0.03, how="made up", **fields)
    return Footprint([step(2), step(6)], (2, 6), made, outside_bytes)


@pytest.mark.parametrize("batch", [1, 2, 6, 7, 100])
def test_two_traces_give_the_buffers_at_any_batch_size(batch: int) -> None:
    assert footprint().sizes(batch).tolist() == step(batch).bytes.tolist()


def test_traces_that_differ_in_their_buffers_are_refused() -> None:
    other = step(6)
    other = StepTrace(other.bytes, other.taken, np.array([5, 4, 2]), other.parts, 5, other.phases)
    with pytest.raises(ValueError, match="other buffers"):
        Footprint([step(2), other], (2, 6), calibrations()["hf_torch"]["gpu"], 0)


def test_the_parts_add_up_to_the_peak() -> None:
    peak = footprint(outside_bytes=1000, workspaces_bytes=(8 * MIB,)).peak(3)
    assert sum(peak.parts.values()) == peak.bytes
    assert peak.parts["weights"] == WEIGHTS
    assert peak.parts["activations"] == 3 * EACH
    assert peak.parts["process"] == 1000
    assert peak.parts["workspace"] == 8 * MIB


@pytest.mark.parametrize("allocator", ["cuda_cache", "bfc_growth", "malloc"])
@pytest.mark.parametrize("budget", [230, 231, 500, 1000, 4096])
def test_the_limit_fits_and_the_next_batch_does_not(allocator: str, budget: int) -> None:
    made = footprint(allocator)
    limit = made.limit(budget * MIB)
    assert limit == 0 or made.fits(limit, budget * MIB)
    assert not made.fits(limit + 1, budget * MIB)


def test_nothing_fits_below_the_weights() -> None:
    assert footprint().limit(WEIGHTS) == 0


def test_the_process_counts_against_the_budget() -> None:
    assert footprint().limit(2000 * MIB) > footprint(outside_bytes=500 * MIB).limit(2000 * MIB)


def test_the_promise_lies_inside_its_interval() -> None:
    found = predicted_limit(footprint(), Target("2000MiB", 2000 * MIB), 0.06)
    assert found.low <= found.limit <= found.high
    assert found.low < found.high


def work(**fields) -> Work:
    return Work("hf_torch", "minilm", "gpu", "training", Recipe(**fields))


def test_every_gpu_type_is_a_target() -> None:
    found = targets(work(), list(gpu_types()), [])
    assert [t.label for t in found] == list(gpu_types())
    assert all(0 < t.budget_bytes < gpu_types()[t.label].memory_bytes for t in found)


def test_a_gpu_type_without_a_reading_says_what_its_budget_rests_on() -> None:
    notes = {t.label: t.note for t in targets(work(), ["T4", "H200"], [])}
    assert notes["T4"] is None
    assert "no reading" in (notes["H200"] or "")


def test_a_gpu_type_is_left_out_where_it_lacks_the_precision() -> None:
    assert [t.label for t in targets(work(precision="bf16"), ["T4", "L4"], [])] == ["L4"]


@pytest.mark.parametrize(("label", "said"), [("6 apples", "6 apples"), ("T4", "--gpu"),
                                             ("0GiB", "larger than 0")])
def test_a_wrong_budget_is_named(label: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        targets(work(), [], [label])


@pytest.mark.parametrize(("limit", "step"), [(1, 1), (63, 1), (64, 8), (200, 8), (320, 16)])
def test_the_step_of_a_search(limit: int, step: int) -> None:
    assert step_of(limit) == step


def test_every_backend_is_calibrated_for_both_kinds_of_device() -> None:
    assert set(calibrations()) == set(BACKENDS)
    for kinds in calibrations().values():
        assert set(kinds) == {"cpu", "gpu"}


def test_published_figures_name_their_source() -> None:
    assert published()
    assert all(row.source and (row.peak_bytes or row.fits) for row in published())


@pytest.mark.parametrize(("options", "said"), [
    (["--gpu", "T44"], "did you mean T4"),
    (["--budget", "lots"], "--budget 'lots'"),
    (["--backend", "hf_jax"], "unknown backend 'hf_jax'"),
    (["--checkpoint", "nothing-there"], "unknown checkpoint 'nothing-there'"),
    (["--checkpoint", "bert-base", "--length", "513"], "512 tokens"),
    (["--recipe", "precision=int4"], "recipe.precision"),
    (["--gpu", "T4", "--task", "cola"], "unknown task 'cola'"),
    (["--check", "nowhere"], "no run's folder"),
    (["--check", "nowhere", "--gpu", "T4"], "leave out --gpu"),
])
def test_bad_input_is_one_line_and_leaves_nothing(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["predict", *options, "--results", str(tmp_path / "results")]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert said in error[-1]
    assert not (tmp_path / "results").exists()


def limit_measurement(peak: int) -> Measurement:
    probe = Probe(batch_size=6, outcome="ok", peak_bytes=peak, steps=3, seconds=1.0)
    found = BatchLimit(phase="training", budget="1GiB", budget_bytes=1024 * MIB, emulated=False,
                       enforced_by="RLIMIT_DATA", limit=20, fails_at=21, highest=64,
                       probes=[probe])
    return Measurement(
        job=JobKey(id="limit", backend="hf_torch", task="imdb", question="batch_limit"),
        status="ok", started_at="2026-01-01", seconds=1.0, batch_limit=found,
        recipe=Recipe(length=64, seed=7).model_dump(), device=Device(
            kind="cpu", name="one", memory_bytes=1, cores=1),
        checkpoint=Checkpoint(name="minilm", architecture="bert", sha256="", random=False))


def test_probes_and_limits_become_cases() -> None:
    m = limit_measurement(400 * MIB)
    traced = predict_check.work_of(m)
    assert traced == Work("hf_torch", "minilm", "cpu", "training", Recipe(length=64))
    peak, limit = predict_check._measured(m, m.batch_limit, traced, footprint())
    assert (peak.unit, peak.batch_size, peak.measured) == ("bytes", 6, 400 * MIB)
    assert peak.predicted == footprint().peak(6).bytes
    assert (limit.unit, limit.budget, limit.measured) == ("examples", "1GiB", 20)
    assert limit.within_step == (abs(limit.predicted - 20) <= 1)
