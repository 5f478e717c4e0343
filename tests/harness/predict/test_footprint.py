"""From the traces of a step to its peak and to the largest batch, on a small made-up step."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.harness.predict import largest_batch
from benchmarks.harness.predict.allocators.blocks import MIB
from benchmarks.harness.predict.calibration import calibrations
from benchmarks.harness.predict.footprint import Footprint, Process
from benchmarks.harness.predict.largest_batch import limit, share_of_examples
from benchmarks.harness.predict.predictions import predicted_limit
from benchmarks.harness.predict.workload import Target
from frameworks.contract import StepTrace
from tests.harness.predict.sample_steps import EACH, WEIGHTS, footprint, step

pytestmark = pytest.mark.once


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
    """The same 13.5 MiB: what is expected later finds room, what may follow does not, so that
    the region is none for a promise."""
    budget = 470 * MIB
    process = Process(5 * MIB, late_bytes=5 * MIB, more_bytes=15 * MIB)
    made = footprint("onednn_pool", process)
    assert made.at_worst().outside_bytes == 20 * MIB
    assert limit(made.at_worst(), budget) < 5 <= limit(made, budget)
    expected = predicted_limit(made, Target("470MiB", budget), made._calibration)
    assert expected.low <= limit(made.at_worst(), budget) and expected.limit == limit(made, budget)
    assert made.outside_bytes == 5 * MIB


@pytest.mark.parametrize("budget", range(500, 4000, 125))
def test_a_promise_fits_though_the_peak_be_higher_by_the_whole_error(budget: int) -> None:
    """Of which all is in the examples: the weights are what they are."""
    made = footprint("cuda_cache")
    expected = predicted_limit(made, Target("budget", budget * MIB), made._calibration)
    assert expected.limit == limit(made, budget * MIB)
    assert expected.low <= expected.limit <= expected.high and expected.low < expected.high
    error = made._calibration.error
    assert made.peak(expected.low).bytes * (1 + error) <= budget * MIB + EACH
    assert made.peak(expected.low + 2).bytes * (1 + error) > budget * MIB


def test_an_error_of_the_peak_is_a_larger_share_of_the_examples() -> None:
    """Half of the budget is weights: what holds the other half is off by twice the share."""
    made = footprint()
    constant = WEIGHTS + 4 * MIB
    assert share_of_examples(made, 0.03, 2 * constant) == pytest.approx(0.06)
    assert share_of_examples(made, 0.03, constant) > 1  # there is room for none
