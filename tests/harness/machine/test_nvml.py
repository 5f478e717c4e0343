"""The NVML half runs against a stand-in that answers as NVML's documentation says; the real
library is asked too, on whatever machine this is."""

import threading
import time

import pytest

from benchmarks.harness.errors import UserError
from benchmarks.harness.machine import device
from benchmarks.harness.machine import nvml as devices
from benchmarks.harness.machine.device_memory import DeviceMemory
from frameworks.contract import precision
from results.schema import Device
from tests.harness.machine.fake_nvml import (
    MIB,
    PARTS,
    UUIDS,
    BrokenDriver,
    FunctionNotFound,
    LostGpu,
    NoPermission,
    NotSupported,
    Nvml,
    Unknown,
    WithoutDriver,
    process,
)


@pytest.fixture(autouse=True)
def _every_gpu_visible(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_a_gpu_is_described():
    nvml = Nvml()
    found = device.describe(nvml)
    assert found == Device(
        kind="gpu",
        name="NVIDIA A100-SXM4-40GB",
        memory_bytes=40960 * MIB,
        cores=found.cores,
        driver="580.1",
        compute_capability="8.0",
        gpu_type="A100-40",
        uuid=UUIDS[0],
    )
    assert nvml.open == 0


def test_without_a_driver_the_processor_is_described():
    found = device.describe(WithoutDriver())
    assert (found.kind, found.driver, found.gpu_type) == ("cpu", None, None)
    assert found.name and found.cores >= 1 and found.memory_bytes > 2**28
    assert not devices.gpu_present(WithoutDriver())


def test_this_machine_is_described():
    found = device.describe()
    assert found.kind == ("gpu" if devices.gpu_present() else "cpu")


def test_a_broken_driver_is_no_machine_without_a_gpu():
    for ask in (device.describe, devices.gpu_present, devices.gpu_state):
        with pytest.raises(devices.NvmlFailed, match="version mismatch"):
            ask(BrokenDriver())


@pytest.mark.parametrize(
    ("visible", "name"),
    [("1", "B"), ("1,0", "B"), (UUIDS[1], "B"), ("GPU-89aa,GPU-8932", "B"), ("0,1", "A")],
)
def test_the_first_visible_gpu_is_meant(monkeypatch, visible, name):
    """By its index, its UUID or, as CUDA accepts it, the beginning of its UUID."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = device.describe(Nvml(names=("A", "B")))
    assert (found.name, found.uuid) == (name, UUIDS["AB".index(name)])


@pytest.mark.parametrize("visible", ["0", UUIDS[0], PARTS[0], PARTS[0][:8]])
def test_of_a_divided_gpu_the_first_part_is_meant(monkeypatch, visible):
    """CUDA shows no more than that; clocks and modes are only known of the whole."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    nvml = Nvml(mig=True)
    found = device.describe(nvml)
    assert (found.uuid, found.memory_bytes, found.gpu_type) == (PARTS[0], 4864 * MIB, None)
    assert found.compute_capability == "8.0"
    nvml.processes = [process(1)]
    state = devices.gpu_state(nvml)
    assert (state.throttle_reasons, state.sm_clock_mhz, state.throttled_ns) == (None, None, {})
    assert state.processes == 1


def test_a_part_can_be_chosen(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", PARTS[1])
    assert device.describe(Nvml(names=("A", "B"), mig=True)).uuid == PARTS[1]


@pytest.mark.parametrize(
    ("visible", "problem"), [("GPU-8", "more than one"), ("GPU-7", "is no GPU")]
)
def test_a_uuid_that_names_no_single_gpu(monkeypatch, visible, problem):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with (
        pytest.raises(devices.NoGpu, match=f"CUDA_VISIBLE_DEVICES={visible} .*{problem}"),
        devices.gpu_handle(Nvml(names=("A", "B"))),
    ):
        pass


@pytest.mark.parametrize("visible", ["", "-1", "7"])
def test_hidden_gpus_are_not_there(monkeypatch, visible):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert device.describe(Nvml()).kind == "cpu"


def test_clocks_and_what_holds_them_down():
    nvml = Nvml()
    nvml.reasons, nvml.processes = 0x1 | 0x4 | 0x40, [object()]
    state = devices.gpu_state(nvml)
    assert state.throttle_reasons == ("power cap", "hardware thermal slowdown")  # idle is none
    assert (state.sm_clock_mhz, state.processes) == (1410, 1)


def test_clocks_that_are_held_down_for_good_belong_to_the_device():
    """They would mark every window as disturbed."""
    nvml = Nvml()
    nvml.reasons = 0x2 | 0x100
    assert devices.gpu_state(nvml).throttle_reasons == ()
    clock_limits = device.describe(nvml).clock_limits
    assert clock_limits == ["clocks set by an application", "display clocks"]


def test_throttling_is_read_from_the_counters():
    nvml = Nvml()
    nvml.violations_ns = {0: 7_000, 1: 20}
    assert devices.gpu_state(nvml).throttled_ns == {"power cap": 7_000, "thermal": 20}


@pytest.mark.parametrize(
    ("call", "field", "value"),
    [
        ("nvmlDeviceGetCurrentClocksEventReasons", "throttle_reasons", ("power cap",)),
        ("nvmlDeviceGetClockInfo", "sm_clock_mhz", None),
        ("nvmlDeviceGetViolationStatus", "throttled_ns", {}),
        ("nvmlDeviceGetComputeRunningProcesses", "processes", None),
    ],
)
@pytest.mark.parametrize("error", [FunctionNotFound, NotSupported, NoPermission, Unknown])
def test_a_call_that_fails_costs_its_own_figure_only(call, field, value, error):
    """Drivers before 535 have the reasons under an older name."""
    nvml = Nvml()
    nvml.reasons, nvml.processes = 0x4, [process(1), process(2, version=1)]
    whole = devices.gpu_state(nvml)
    nvml.fails = {call: error}
    partial = devices.gpu_state(nvml)
    assert getattr(partial, field) == value
    for name in {"throttle_reasons", "sm_clock_mhz", "throttled_ns", "processes"} - {field}:
        assert getattr(partial, name) == getattr(whole, name) != None  # noqa: E711


@pytest.mark.parametrize(
    ("call", "field"),
    [
        ("nvmlDeviceGetUUID", {"uuid": None}),
        ("nvmlDeviceGetComputeMode", {"one_process": False}),
        ("nvmlDeviceGetMigMode", {}),
    ],
)
def test_a_device_is_described_by_what_the_driver_tells(call, field):
    nvml = Nvml()
    whole = device.describe(nvml)
    nvml.fails = {call: FunctionNotFound}
    assert device.describe(nvml) == whole.model_copy(update=field)


@pytest.mark.parametrize(("mode", "one"), [(0, False), (1, True), (2, False), (3, True)])
def test_a_gpu_may_admit_one_process_only(mode, one):
    nvml = Nvml()
    nvml.mode = mode
    assert device.describe(nvml).one_process == one


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (process(12), "python (process 12, 2.0 GiB)"),
        (process(12, version=1), "python (process 12, 2.0 GiB)"),
        (process(12, used=None), "python (process 12)"),
        (process(4_194_000), "a process (process 4194000, 2.0 GiB)"),  # of another namespace
    ],
)
def test_processes_are_named(entry, text):
    nvml = Nvml()
    nvml.processes = [entry]
    assert devices.compute_processes(nvml) == [text]


@pytest.mark.parametrize(
    ("seen", "own", "others"), [(3, 3, 0), (3, 1, 2), (0, 2, None), (1, 2, None)]
)
def test_processes_of_ones_own_are_no_others(seen, own, others):
    """A container may not list even one's own: then nothing is known of others."""
    nvml = Nvml()
    nvml.processes = [object()] * seen
    assert devices.gpu_state(nvml, own_processes=own).processes == others


@pytest.mark.parametrize("error", [NotSupported, NoPermission, Unknown])
def test_processes_that_are_not_listed_are_not_known(error):
    silent = Nvml(fails={"nvmlDeviceGetComputeRunningProcesses": error})
    assert devices.gpu_state(silent, own_processes=1).processes is None
    assert devices.compute_processes(silent) is None
    assert devices.compute_processes(Nvml()) == []


def test_device_memory_is_the_peak_above_the_use_before():
    nvml = Nvml(used=[500 * MIB, 700 * MIB, 2500 * MIB, 900 * MIB])
    with DeviceMemory(interval_seconds=0.001, nvml=nvml) as memory:
        deadline = time.monotonic() + 10
        while memory.samples < 6 and time.monotonic() < deadline:
            time.sleep(0.001)
    assert memory.used_before_bytes == 500 * MIB
    assert memory.peak_bytes == 2000 * MIB
    assert not memory.shared
    assert nvml.open == 0
    assert "device-memory" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.parametrize(
    ("before", "during", "shared", "listed"),
    [(0, 1, False, True), (1, 1, True, True), (0, 2, True, True), (0, 0, False, False)],
)
def test_a_shared_gpu_is_reported(before, during, shared, listed):
    """Where not even the worker is listed, nobody can tell."""
    nvml = Nvml()
    nvml.processes = [object()] * before
    with DeviceMemory(interval_seconds=0.001, nvml=nvml) as memory:
        nvml.processes = [object()] * during
        deadline, seen = time.monotonic() + 10, memory.samples
        while memory.samples < seen + 3 and time.monotonic() < deadline:
            time.sleep(0.001)
    assert (memory.shared, memory.listed) == (shared, listed)


def test_device_memory_without_a_gpu():
    with DeviceMemory(nvml=WithoutDriver()) as memory:
        pass
    with pytest.raises(devices.NoGpu):
        _ = memory.peak_bytes


def test_a_gpu_that_is_lost_gives_no_figure():
    with DeviceMemory(interval_seconds=0.001, nvml=LostGpu(used=[1, 2])) as memory:
        time.sleep(0.5)  # also on a loaded machine
    with pytest.raises(devices.NvmlFailed, match="lost"):
        _ = memory.peak_bytes


@pytest.mark.parametrize(
    ("capability", "precision", "able"),
    [
        ("7.0", "fp16", True),
        ("7.5", "bf16", False),
        ("7.5", "tf32", False),
        ("8.0", "bf16", True),
        ("9.0", "tf32", True),
        ("6.1", "fp16", False),
        ("6.1", "fp32", True),
    ],
)
def test_precisions_of_a_gpu(capability, precision, able):
    gpu = Device(kind="gpu", name="x", memory_bytes=1, cores=1, compute_capability=capability)
    why = device.unsupported_precision(gpu, precision)
    assert (why is None) == able
    assert able or capability in why


def test_precisions_of_a_processor(monkeypatch):
    cpu = Device(kind="cpu", name="x", memory_bytes=1, cores=1)
    monkeypatch.setattr(precision, "processor_flags", lambda: frozenset({"avx2", "avx512_bf16"}))
    assert device.unsupported_precision(cpu, "fp32") is None
    assert device.unsupported_precision(cpu, "bf16") is None
    assert "emulate" in device.unsupported_precision(cpu, "fp16")
    assert "NVIDIA" in device.unsupported_precision(cpu, "tf32")


def test_a_driver_that_fails_later_ends_a_command_in_one_line():
    with (
        pytest.raises(UserError, match="the GPU cannot be read .*--device cpu"),
        device.readable_gpu(),
    ):
        devices.free_bytes(BrokenDriver())
