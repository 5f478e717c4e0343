import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from benchmarks.harness.errors import UserError
from benchmarks.harness.machine import gpu_types
from frameworks.contract import MemoryModel, backends

MIB = 1024**2


def test_all_types_are_described():
    assert list(gpu_types.gpu_types()) == [
        "T4",
        "L4",
        "V100",
        "A10G",
        "A100-40",
        "A100-80",
        "H100",
        "H200",
    ]


@pytest.mark.parametrize("name", list(gpu_types.gpu_types()))
def test_figures_of_a_type_hold_together(name):
    row = gpu_types.gpu_type(name)
    peaks = row.peak_flops_per_second
    assert peaks["fp32"] <= peaks.get("tf32", peaks["fp32"]) <= peaks["fp16"]
    assert ("bf16" in peaks) == ("tf32" in peaks) == (row.compute_capability >= "8.0")
    assert 100e9 < row.bandwidth_bytes_per_second < 10e12
    if row.usable_bytes is not None:
        assert 0.85 * row.memory_bytes < row.usable_bytes < row.memory_bytes
    assert (row.usable_bytes is None) == (row.sources.usable is None)


@pytest.mark.parametrize(
    ("capability", "mib"),
    [("6.1", 500), ("7.5", 1050), ("8.0", 1536), ("8.9", 1536), ("9.0", 1800), ("12.0", 1800)],
)
def test_tensorflow_leaves_its_own_reserve(capability, mib):
    of_torch, of_tf = (
        gpu_types.room_of(30 * 1024 * MIB, memory, "T4", capability)
        for memory in (backends()[name].memory for name in ("hf_torch", "hf_tf"))
    )
    assert of_torch.bytes - of_tf.bytes == mib * MIB


def test_the_context_is_always_taken_off():
    t4, h100, h200 = map(gpu_types.gpu_type, ("T4", "H100", "H200"))
    assert gpu_types.room("T4", MemoryModel()) == gpu_types.Room(t4.usable_bytes - t4.context_bytes)
    largest = 512 * MIB
    room = gpu_types.room("H100", MemoryModel())
    assert room.bytes == h100.usable_bytes - largest and "CUDA context" in room.note
    room = gpu_types.room("H200", MemoryModel())
    assert 0.95 * h200.memory_bytes < room.bytes < h200.memory_bytes - largest
    assert "usable memory" in room.note and "CUDA context" in room.note


@pytest.mark.parametrize(
    ("device", "mib", "name"),
    [
        ("Tesla T4", 15360, "T4"),
        ("NVIDIA T4", 16384, "T4"),  # ECC off
        ("NVIDIA A100-SXM4-80GB", 81920, "A100-80"),
        ("NVIDIA A100-SXM4-40GB", 40536, "A100-40"),
        ("NVIDIA H100 80GB HBM3", 81559, "H100"),
        ("NVIDIA H100 80GB HBM3", 20096, None),  # a slice of one
        ("NVIDIA H100 PCIe", 81559, None),  # slower
        ("NVIDIA A10", 23028, None),  # faster than the A10G
        ("NVIDIA GeForce RTX 3090", 24576, None),
    ],
)
def test_a_device_is_matched_by_name_and_memory(device, mib, name):
    assert gpu_types.matching(device, mib * MIB) == name


def test_unknown_type_names_the_nearest():
    with pytest.raises(UserError, match=r"unknown GPU type 'A100-8'.*A100-80"):
        gpu_types.gpu_type("A100-8")


def test_a_mistyped_field_is_refused():
    file = Path(gpu_types.__file__).with_name("gpus.toml")
    row = tomllib.loads(file.read_text("utf-8"))["T4"]
    with pytest.raises(ValidationError, match="bandwith"):
        gpu_types.GpuType.model_validate(row | {"bandwith": 1.0})


@pytest.mark.parametrize(
    ("name", "precision", "rate", "plausible"),
    [
        ("H100", "bf16", 700e12, True),
        ("H100", "bf16", 100e12, False),  # the clock timed the calls
        ("H100", "fp32", 100e12, False),  # TF32 was on
        ("T4", "fp16", 25e12, True),
        ("T4", "bf16", 1e9, True),  # it has no figure to compare with
        (None, "fp32", 1e9, True),
    ],
)
def test_a_matrix_rate_is_compared_with_the_datasheet(name, precision, rate, plausible):
    assert gpu_types.is_plausible_rate(name, precision, rate) == plausible
