"""Budgets in words and bytes, and what bounds a process to them."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.harness.errors import UserError
from benchmarks.harness.limits.probe import require_exclusive_gpu
from benchmarks.harness.machine import cgroup, nvml, processor
from benchmarks.harness.machine.budgets import (
    Budget,
    check_device,
    check_label,
    find_budget,
    size_bytes,
    sort_budgets,
)
from benchmarks.harness.machine.gpu_types import gpu_type, gpu_types
from benchmarks.harness.machine.process_memory import DataPeak, read_memory
from benchmarks.harness.predict.workload import Workload, targets
from frameworks.contract import Recipe
from results.schema import Device

MIB, GIB = 2**20, 2**30
CPU = Device(kind="cpu", name="Some CPU", memory_bytes=16 * GIB, cores=2)
H100 = Device(
    kind="gpu",
    name="NVIDIA H100 80GB HBM3",
    memory_bytes=80 * GIB,
    cores=8,
    gpu_type="H100",
    compute_capability="9.0",
)
T4 = Device(
    kind="gpu",
    name="Tesla T4",
    memory_bytes=15 * GIB,
    cores=8,
    gpu_type="T4",
    compute_capability="7.5",
)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("6GiB", 6 * GIB),
        ("1.5GiB", 3 * GIB // 2),
        ("512MiB", GIB // 2),
        ("8GB", 8 * 10**9),
        ("6", None),
        ("6 GiB", None),
        ("-6GiB", None),
        ("T4", None),
        ("GiB", None),
        ("6gib", None),
    ],
)
def test_sizes(text: str, size: int | None) -> None:
    assert size_bytes(text) == size


def test_what_is_no_budget_is_reported() -> None:
    for label in ("6GiB", "T4", "device"):
        check_label(label, "budget")
    for label in ("6", "six", "0GiB", "T5"):
        with pytest.raises(UserError, match=f"budget '{label}'"):
            check_label(label, "budget")


def test_what_the_device_does_not_have_is_reported() -> None:
    check_device("6GiB", CPU)
    check_device("device", CPU)
    check_device("T4", H100)
    check_device("A10G", H100)
    check_device("T4", T4)
    with pytest.raises(UserError, match="Some CPU has 16.0 GiB"):
        check_device("17GiB", CPU)
    with pytest.raises(UserError, match="`ftbench predict --gpu T4`"):
        check_device("T4", CPU)
    with pytest.raises(
        UserError,
        match="cannot be emulated. Use a smaller type, or `ftbench predict --gpu A100-40`",
    ):
        check_device("A100-40", T4)


def test_a_size_bounds_the_process_on_a_cpu_and_is_emulated_on_a_gpu() -> None:
    assert find_budget("6GiB", "hf_tf", CPU) == Budget(6 * GIB)
    for backend in ("hf_torch", "hf_tf"):
        assert find_budget("6GiB", backend, H100) == Budget(
            6 * GIB, emulated=True, bounds_framework=True
        )


def test_a_gpu_types_budget_on_a_bigger_gpu_and_on_itself() -> None:
    of_torch, of_tf = (find_budget("T4", backend, H100) for backend in ("hf_torch", "keras_rnn"))
    assert of_torch.bytes - of_tf.bytes == 1050 * MIB
    for found in (of_torch, of_tf):
        assert found.emulated and found.bounds_framework and found.note is None
    own, own_tf = (find_budget("T4", backend, T4) for backend in ("hf_torch", "hf_tf"))
    assert own == Budget(of_torch.bytes)
    assert own_tf == Budget(of_tf.bytes, bounds_framework=True)


@pytest.mark.parametrize("name", list(gpu_types()))
@pytest.mark.parametrize("backend", ["hf_torch", "hf_tf"])
def test_a_limit_and_a_prediction_have_the_same_budget(name: str, backend: str) -> None:
    work = Workload(backend, "minilm", "gpu", "training", Recipe())
    (target,) = targets(work, [name], [])
    bigger = H100.model_copy(update={"memory_bytes": 1000 * GIB})
    found = find_budget(name, backend, bigger)
    assert (found.bytes, found.note) == (target.budget_bytes, target.note)


def test_the_whole_device(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0 < find_budget("device", "hf_torch", CPU).bytes <= processor.memory_bytes()
    monkeypatch.setattr(nvml, "free_bytes", lambda: 15 * GIB)
    context, reserve = gpu_type("T4").context_bytes, 1050 * MIB
    assert context is not None
    assert find_budget("device", "hf_torch", T4) == Budget(15 * GIB - context)
    assert find_budget("device", "hf_tf", T4) == Budget(
        15 * GIB - context - reserve, bounds_framework=True
    )
    other = T4.model_copy(update={"gpu_type": None})
    found = find_budget("device", "hf_torch", other)
    assert found.bytes == 15 * GIB - GIB // 2 and "CUDA context" in (found.note or "")


def test_smallest_first() -> None:
    assert sort_budgets(["device", "8GiB", "T4", "900MiB", "8GiB"]) == [
        "900MiB",
        "8GiB",
        "T4",
        "device",
    ]


def test_memory_left_of_a_group(tmp_path: Path) -> None:
    group = tmp_path / "sys/fs/cgroup"
    for file, text in (
        ("proc/self/cgroup", "0::/\n"),
        ("proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 900 kB\n"),
    ):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text)
    group.mkdir(parents=True)
    assert processor.available_bytes(tmp_path) == 900 * 1024
    (group / "memory.max").write_text("500000")
    (group / "memory.current").write_text("300000")
    (group / "memory.stat").write_text("anon 100000\ninactive_file 50000\n")
    assert processor.available_bytes(tmp_path) == 250_000


def test_a_group_is_made_below_ones_own_or_not_at_all(tmp_path: Path) -> None:
    with cgroup.memory_group(GIB, tmp_path) as folder:  # nothing is mounted there
        assert folder is None
    with cgroup.memory_group(GIB) as folder:
        if folder is not None:
            limits = [folder / name for name in cgroup.LIMIT_FILES]
            limit = next(int(f.read_text()) for f in limits if f.exists())
            assert limit == GIB + cgroup.SLACK_BYTES
    assert folder is None or not folder.exists()


CHILD = """
import sys, time
def take(mib):
    block = bytearray(mib * 2**20)
    time.sleep(0.3)  # many samples, on a busy machine too
take(200)
print("allocated", flush=True)
sys.stdin.readline()
"""


def test_the_peak_of_a_data_segment_is_seen_from_outside() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        with DataPeak(child.pid) as peak:
            assert child.stdout is not None and child.stdout.readline() == "allocated\n"
        left = read_memory(child.pid)
        assert left is not None
        assert 195 * 2**20 < peak.highest.data - left.data < 205 * 2**20
        assert 0 < left.resident < left.data
        child.kill()
        child.wait()
        began = time.monotonic()
        with DataPeak(child.pid) as gone:  # of a process that is not there
            pass
        assert gone.highest == (0, 0) and time.monotonic() - began < 1


@pytest.mark.parametrize(("others", "known"), [([], True), (None, False)])
def test_whether_a_gpu_is_free_may_not_be_told(
    monkeypatch: pytest.MonkeyPatch, others: list[str] | None, known: bool
) -> None:
    monkeypatch.setattr("benchmarks.harness.limits.probe.compute_processes", lambda: others)
    assert require_exclusive_gpu(CPU) and require_exclusive_gpu(H100) == known


def test_company_on_the_gpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "benchmarks.harness.limits.probe.compute_processes",
        lambda: ["python (process 4711, 4.2 GiB)"],
    )
    monkeypatch.setattr("benchmarks.harness.limits.probe.PATIENCE_SECONDS", 0)
    assert require_exclusive_gpu(CPU)
    with pytest.raises(UserError, match="process 4711"):
        require_exclusive_gpu(H100)


def test_the_driver_may_list_a_process_for_a_while_after_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lists = iter([["python (process 12)"], ["python (process 12)"], []])
    monkeypatch.setattr("benchmarks.harness.limits.probe.compute_processes", lambda: next(lists))
    assert require_exclusive_gpu(H100)
    assert next(lists, None) is None
