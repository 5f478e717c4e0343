import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from benchmarks.harness import gpus
from benchmarks.harness.errors import UserError

MIB = 1024**2
TENSORFLOW_RESERVE_BYTES = {"7": 1050 * MIB, "8": 1536 * MIB, "9": 1800 * MIB}


def test_all_types_are_described():
    assert list(gpus.gpu_types()) == [
        "T4", "L4", "V100", "A10G", "A100-40", "A100-80", "H100", "H200"]


@pytest.mark.parametrize("name", list(gpus.gpu_types()))
def test_figures_of_a_type_hold_together(name):
    row = gpus.gpu_type(name)
    peaks = row.peak_flops_per_second
    assert peaks["fp32"] <= peaks.get("tf32", peaks["fp32"]) <= peaks["fp16"]
    assert ("bf16" in peaks) == ("tf32" in peaks) == (row.compute_capability >= "8.0")
    assert 100e9 < row.bandwidth_bytes_per_second < 10e12
    for usable in row.usable_bytes.values():
        assert 0.85 * row.memory_bytes < usable < row.memory_bytes
    assert bool(row.usable_bytes) == (row.sources.usable is not None)


@pytest.mark.parametrize("name", [n for n, row in gpus.gpu_types().items() if row.usable_bytes])
def test_tensorflow_leaves_its_own_reserve(name):
    row = gpus.gpu_type(name)
    reserve = TENSORFLOW_RESERVE_BYTES[row.compute_capability[0]]
    assert row.usable_bytes["torch"] - row.usable_bytes["tensorflow"] == reserve


def test_budget_leaves_out_the_context_where_it_is_known():
    t4, h100 = gpus.gpu_type("T4"), gpus.gpu_type("H100")
    assert t4.budget_bytes("torch") == t4.usable_bytes["torch"] - t4.context_bytes
    assert h100.budget_bytes("torch") == h100.usable_bytes["torch"]
    assert gpus.gpu_type("H200").budget_bytes("tensorflow") is None


@pytest.mark.parametrize(("device", "mib", "name"), [
    ("Tesla T4", 15360, "T4"),
    ("NVIDIA T4", 16384, "T4"),  # ECC off
    ("NVIDIA A100-SXM4-80GB", 81920, "A100-80"),
    ("NVIDIA A100-SXM4-40GB", 40536, "A100-40"),
    ("NVIDIA H100 80GB HBM3", 81559, "H100"),
    ("NVIDIA H100 80GB HBM3", 20096, None),  # a slice of one
    ("NVIDIA H100 PCIe", 81559, None),  # slower
    ("NVIDIA A10", 23028, None),  # faster than the A10G
    ("NVIDIA GeForce RTX 3090", 24576, None),
])
def test_a_device_is_matched_by_name_and_memory(device, mib, name):
    assert gpus.matching(device, mib * MIB) == name


def test_unknown_type_names_the_nearest():
    with pytest.raises(UserError, match=r"unknown GPU type 'A100-8'.*A100-80"):
        gpus.gpu_type("A100-8")


def test_a_mistyped_field_is_refused():
    file = Path(gpus.__file__).with_name("gpus.toml")
    row = tomllib.loads(file.read_text("utf-8"))["T4"]
    with pytest.raises(ValidationError, match="bandwith"):
        gpus.GpuType.model_validate(row | {"bandwith": 1.0})
