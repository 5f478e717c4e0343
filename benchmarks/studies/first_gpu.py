"""The first half hour on a GPU: does it do what ftbench assumes of it?

    python -m benchmarks.studies.first_gpu [--without-run]

Prints one page: what was checked, what was expected, what was found. In this order:

1. NVML describes the device, and a reading of clocks and throttling is complete and quick.
2. A process of each installed backend sees the same device and reaches a plausible matrix rate.
   NVML lists it while it lives and not after its end, and its CUDA context is measured.
3. `ftbench run --profile h100-smoke`: every job is finished, on the GPU, in its recipe's precision,
   with long windows, an MFU below 1 and a limit where it was predicted.

`tox -e tests-gpu` and the profile of the GPU come next. Exit code 0: all as expected; 1: not all;
2: there is no GPU to check.
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness.jobs.environment import process_environment, worker_environment
from benchmarks.harness.machine import gpu_types, nvml, packages, processor
from benchmarks.harness.machine.device import describe, unsupported_precision
from benchmarks.harness.worker.in_force import device_difference
from frameworks.contract import FoundDevice, Precision, Recipe, backends
from results import store
from results.schema import Device, Measurement

PROFILE = "h100-smoke"
PROBED: tuple[Precision, ...] = ("bf16", "fp16")  # precisions whose products need no switch
SHORTEST_WINDOW_SECONDS = 0.5
SLOWEST_READING_SECONDS = 0.02
LEAVES_WITHIN_SECONDS = 5.0
GIB = 2**30


@dataclass(frozen=True)
class Line:
    """One line of the page."""

    checked: str
    expected: str
    found: str
    good: bool


def main() -> int:
    options = argparse.ArgumentParser(description="Checks what ftbench assumes of a GPU.")
    options.add_argument("--without-run", action="store_true", help="leave out part 3")
    options.add_argument("--hold", metavar="BACKEND", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.hold:
        hold(chosen.hold)
        return 0
    try:
        device = describe()
    except nvml.NvmlFailed as error:
        print(f"first_gpu: the GPU cannot be read ({error}): repair its driver", file=sys.stderr)
        return 2
    if device.kind != "gpu":
        print(
            "first_gpu: no NVIDIA GPU is visible here, so there is nothing to check; run it on a "
            "machine with one, with CUDA_VISIBLE_DEVICES unset or naming it",
            file=sys.stderr,
        )
        return 2
    lines = [*driver_lines(device)]
    for backend in backends():
        if packages.missing_packages(backend) is None:
            lines += backend_lines(backend, device)
    if not chosen.without_run:
        lines += run_lines(device)
    print(page(device, lines))
    return 0 if all(line.good for line in lines) else 1


def page(device: Device, lines: list[Line]) -> str:
    rows = [("", "checked", "expected", "found")]
    rows += [("ok" if x.good else "!!", x.checked, x.expected, x.found) for x in lines]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    text = [f"{device.name}, driver {device.driver}, {device.memory_bytes / GIB:.1f} GiB", ""]
    for *first, last in rows:
        cells = [cell.ljust(width) for cell, width in zip(first, widths, strict=True)]
        text.append("  ".join([*cells, last]))
    unexpected = sum(not line.good for line in lines)
    return "\n".join([*text, "", f"{len(lines)} checked, {unexpected} not as expected"])


def driver_lines(device: Device) -> Iterator[Line]:
    known = device.gpu_type is not None
    yield Line("GPU type", "a table of gpus.toml", device.gpu_type or "none matches", known)
    yield Line(
        "compute mode", "several processes", str(not device.one_process), not device.one_process
    )
    limits = ", ".join(device.clock_limits) or "none"
    yield Line("lasting clock limits", "none", limits, not device.clock_limits)
    began = time.perf_counter()
    state = nvml.gpu_state()
    seconds = time.perf_counter() - began
    quick = seconds < SLOWEST_READING_SECONDS
    yield Line("a reading takes", f"< {SLOWEST_READING_SECONDS} s", f"{seconds:.4f} s", quick)
    counters = ", ".join(state.throttled_ns) or "none"
    yield Line("throttling counters", "power cap, thermal", counters, len(state.throttled_ns) == 2)
    others = nvml.compute_processes()
    shown = "not listed" if others is None else ", ".join(others) or "none"
    yield Line("processes on the GPU", "none", shown, others == [])


def hold(backend: str) -> None:
    """In a process of its own: computes on the GPU, reports, and holds it until its input has
    another line."""
    package = backends()[backend].package
    device = importlib.import_module(f"{package}.device")
    found = device.found_device()
    rates: dict[str, float] = {}
    if found.kind == "gpu":
        device.limit_memory(None)
        for precision in sys.stdin.readline().split():
            recipe = Recipe.model_validate({"precision": precision})
            rates[precision] = device.matmul_flops_per_second(recipe)
    report = {"device": asdict(found), "rates": rates}
    report["reserved_bytes"] = device.allocator().peak_reserved_bytes
    print(json.dumps(report), flush=True)
    sys.stdin.readline()


def backend_lines(backend: str, device: Device) -> Iterator[Line]:
    able = [p for p in PROBED if unsupported_precision(device, p) is None]
    before = nvml.free_bytes()
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.studies.first_gpu", "--hold", backend],
        env=process_environment(worker_environment(backend, device, processor.usable_cores())),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdin is not None and child.stdout is not None
        print(" ".join(able), file=child.stdin, flush=True)
        answers = _answer(child)
        if answers is None:
            yield Line(f"{backend}: starts", "a report", f"exit code {child.wait()}", False)
            return
        yield from _same_device(backend, device, answers)
        yield from _rates(backend, device, answers["rates"])
        listed = nvml.compute_processes()
        shown = "not listed" if listed is None else str(len(listed))
        yield Line(f"{backend}: processes listed", "1", shown, len(listed or []) == 1)
        if answers["reserved_bytes"] is not None:
            yield _context(backend, device, before - nvml.free_bytes() - answers["reserved_bytes"])
        print(file=child.stdin, flush=True)
        child.wait()
    ended = time.monotonic()
    while nvml.compute_processes() and time.monotonic() - ended < LEAVES_WITHIN_SECONDS:
        time.sleep(0.05)
    seconds = time.monotonic() - ended
    gone = seconds < LEAVES_WITHIN_SECONDS
    yield Line(f"{backend}: leaves the list", "< 5 s", f"{seconds:.2f} s", gone)


def _answer(child: subprocess.Popen[str]) -> dict[str, Any] | None:
    """The child's report, which is its only line that is JSON; None if it ended without one."""
    assert child.stdout is not None
    for line in child.stdout:
        if line.startswith("{"):
            report: dict[str, Any] = json.loads(line)
            return report
    return None


def _same_device(backend: str, device: Device, report: dict[str, Any]) -> Iterator[Line]:
    found = FoundDevice(**report["device"])
    problem = device_difference(device, found)
    yield Line(f"{backend}: device", device.name, problem or found.name, problem is None)


def _rates(backend: str, device: Device, rates: dict[str, float]) -> Iterator[Line]:
    for precision, rate in rates.items():
        good = gpu_types.is_plausible_rate(device.gpu_type, precision, rate)  # type: ignore[arg-type]
        peak = None
        if device.gpu_type:
            peaks: dict[Any, float] = gpu_types.gpu_type(device.gpu_type).peak_flops_per_second
            peak = peaks.get(precision)
        expected = f"15 to 105 % of {peak / 1e12:.0f} TFLOP/s" if peak else "no datasheet figure"
        yield Line(f"{backend}: {precision} products", expected, f"{rate / 1e12:.0f} TFLOP/s", good)


def _context(backend: str, device: Device, context: int) -> Line:
    assumed = gpu_types.context_bytes(device.gpu_type)
    return Line(
        f"{backend}: CUDA context",
        f"up to {assumed / GIB:.2f} GiB",
        f"{context / GIB:.2f} GiB",
        0 < context <= assumed,
    )


def run_lines(device: Device) -> Iterator[Line]:
    """Part 3. The run stays in its folder, to be read."""
    folder = Path(tempfile.mkdtemp(prefix="first-gpu-"))
    command = ["run", "--profile", PROFILE, "--device", "gpu", "--results", str(folder)]
    began = time.monotonic()
    code = subprocess.call([sys.executable, "-m", "benchmarks.harness.cli", *command])
    minutes = (time.monotonic() - began) / 60
    yield Line(f"run {PROFILE}", "exit code 0", f"{code}, results in {folder}", code == 0)
    yield Line(f"run {PROFILE} takes", "< 15 minutes", f"{minutes:.1f} minutes", minutes < 15)
    run = store.latest_run(folder)
    if run is None:
        return
    for m in store.read_run(run)[1]:
        yield from measured_lines(m)


def measured_lines(m: Measurement) -> Iterator[Line]:
    """What is expected of any measurement on a GPU."""
    name = m.job.id
    if m.status == "not_installed":
        return
    yield Line(
        name, "ok", m.status if m.status == "ok" else f"{m.status}: {m.reason}", m.status == "ok"
    )
    effective = m.effective or {}
    if effective:
        where, precision = str(effective["device"]), m.recipe["precision"]
        yield Line(f"{name}: device", "gpu", where, where.startswith("gpu"))
        same = effective["precision"] == precision
        yield Line(f"{name}: precision", str(precision), str(effective["precision"]), same)
    if m.throughput:
        seconds = statistics.median(w.seconds for w in m.throughput.windows)
        long = seconds >= SHORTEST_WINDOW_SECONDS
        yield Line(f"{name}: window", f">= {SHORTEST_WINDOW_SECONDS} s", f"{seconds:.2f} s", long)
        words = {word for w in m.throughput.windows for word in w.load.disturbances}
        yield Line(f"{name}: disturbances", "none", ", ".join(sorted(words)) or "none", not words)
        share = mfu(m)
        good = share is not None and 0 < share < 1
        shown = "not measured" if share is None else f"{share:.0%}"
        yield Line(f"{name}: MFU", "below 100 %", shown, good)
    if m.memory:
        device, reserved = m.memory.peak_device_bytes, m.memory.peak_reserved_bytes
        good = device is not None and device > (reserved or 0)
        shown = "not measured" if device is None else f"{device / GIB:.2f} GiB"
        yield Line(f"{name}: use by NVML", f"> {(reserved or 0) / GIB:.2f} GiB", shown, good)
    if m.batch_limit and m.batch_limit.expected:
        limit, expected = m.batch_limit.limit, m.batch_limit.expected.limit
        good = limit is not None and abs(limit - expected) <= 0.1 * max(limit, expected)
        yield Line(f"{name}: limit", f"{expected} (10 %)", str(limit), good)


def mfu(m: Measurement) -> float | None:
    assert m.throughput is not None
    flops, rate = m.throughput.model_flops_per_token, m.throughput.matmul_flops_per_second
    if not flops or not rate:
        return None
    speed = statistics.median(w.tokens / w.seconds for w in m.throughput.windows)
    return flops * speed / rate


if __name__ == "__main__":
    sys.exit(main())
