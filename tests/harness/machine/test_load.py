import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from benchmarks.harness.machine import load
from benchmarks.harness.machine.nvml import GpuState

BURN = "import time\nend = time.monotonic() + 30\nwhile time.monotonic() < end: pass"
PARENT_OF_BURNER = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BURN!r}])"

real_counters = pytest.mark.skipif(
    load.read().total is None, reason="this kernel hides the processor counters"
)


def reading(total=0, busy=0, stolen=0, own=0, one_minute_load=1.5):
    return load.Reading(total, busy, stolen, own, one_minute_load)


def test_shares_are_of_all_processor_time():
    found = load.between(reading(), reading(total=200, busy=120, stolen=20, own=80))
    assert found.stolen_share == pytest.approx(0.1)
    assert found.other_busy_share == pytest.approx(0.2)
    assert found.one_minute_load == 1.5


def test_rounding_of_ticks_never_shows_a_negative_share():
    assert load.between(reading(), reading(total=200, busy=99, own=100)).other_busy_share == 0


def test_too_short_a_window_has_no_shares():
    found = load.between(reading(), reading(total=load.SHORTEST_WINDOW_TICKS - 1, busy=5))
    assert (found.stolen_share, found.other_busy_share) == (None, None)


def gpu(*reasons, processes=0, clock=1410, capped_ns=0, at_ns=0):
    return GpuState(tuple(reasons), clock, processes, {"power cap": capped_ns}, at_ns)


def test_a_gpu_is_reported_by_both_ends():
    before, after = gpu("power cap", processes=2), gpu("power cap", "sync boost", clock=900)
    found = load.between(
        replace(reading(), gpu=before), replace(reading(total=200, busy=120), gpu=after)
    )
    assert found.throttle_reasons == ["power cap", "sync boost"]
    assert (found.sm_clock_mhz, found.gpu_processes) == (900, 2)
    assert found.other_busy_share == pytest.approx(0.6)


def test_throttling_within_a_window_is_a_share_of_it():
    """The GPU is idle when it is read, so the reasons at the two ends say nothing of the window."""
    before, after = gpu(capped_ns=5_000, at_ns=1_000), gpu(capped_ns=5_250, at_ns=2_000)
    found = load.between(replace(reading(), gpu=before), replace(reading(), gpu=after))
    assert (found.throttle_reasons, found.throttled_shares) == ([], {"power cap": 0.25})
    silent = replace(after, throttled_ns={}, throttle_reasons=None)
    found = load.between(replace(reading(), gpu=before), replace(reading(), gpu=silent))
    assert (found.throttle_reasons, found.throttled_shares) == (None, None)


def test_a_gpu_is_reported_where_the_processor_is_not():
    hidden = load.Reading(None, None, None, 0, None)
    found = load.between(replace(hidden, gpu=gpu()), replace(hidden, gpu=gpu(processes=None)))
    assert (found.throttle_reasons, found.gpu_processes, found.stolen_share) == ([], 0, None)


def test_without_a_gpu_nothing_is_said_of_one():
    found = load.between(reading(), replace(reading(total=200), gpu=gpu("power cap")))
    assert (found.throttle_reasons, found.sm_clock_mhz, found.gpu_processes) == (None, None, None)


def test_hidden_counters_give_no_shares():
    hidden = load.Reading(None, None, None, 0, None)
    assert load.between(hidden, hidden) == load.Load()


def test_counters_are_read_as_the_kernel_writes_them(tmp_path):
    (tmp_path / "stat").write_text("cpu  1 2 3 400 5 6 7 8 1 0\ncpu0 0 0 0 0 0 0 0 0 0 0\n")
    (tmp_path / "loadavg").write_text("0.50 0.40 0.30 1/100 999\n")
    own = tmp_path / str(os.getpid())
    own.mkdir()
    fields = ["S", *["0"] * 10, "30", "4", "500", "600", *["0"] * 20]  # utime, stime, cutime, ...
    (own / "stat").write_text(f"1 (a b) c) {' '.join(fields)}\n")
    assert load.read(proc=tmp_path) == load.Reading(432, 19, 8, 34, 0.5)


def test_a_sandbox_without_counters(tmp_path):
    assert load.read(proc=tmp_path) == load.Reading(None, None, None, 0, None)
    (tmp_path / "stat").write_text("cpu  0 0 0 0 0 0 0 0 0 0\n")
    assert load.read(proc=tmp_path).total is None


def burned_seconds(code, *, as_worker):
    """Processor seconds that were charged to others while `code` ran for about a second."""
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    worker = process.pid if as_worker else None
    try:
        time.sleep(0.5)
        before = load.read(worker)
        time.sleep(1.0)
        after = load.read(worker)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return (after.own - before.own) / os.sysconf("SC_CLK_TCK")


@real_counters
@pytest.mark.parametrize("code", [BURN, PARENT_OF_BURNER], ids=["worker", "its child"])
def test_the_workers_whole_tree_is_its_own(code):
    # A loaded machine may give the process less than a whole processor.
    assert burned_seconds(code, as_worker=True) > 0.1


@real_counters
def test_another_process_is_not():
    assert burned_seconds(BURN, as_worker=False) < 0.1


@real_counters
def test_a_reading_is_cheap():
    times = []
    for _ in range(20):
        began = time.perf_counter()
        load.read(os.getpid())
        times.append(time.perf_counter() - began)
    assert min(times) < 0.002
