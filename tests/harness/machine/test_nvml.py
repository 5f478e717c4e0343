"""The NVML half runs against a stand-in that answers as NVML's documentation says; the real
library is asked too, on whatever machine this is."""

import threading
import time
from types import SimpleNamespace

import pytest

from benchmarks.harness.machine import device
from benchmarks.harness.machine import nvml as devices
from frameworks.contract import precision
from results.schema import Device

MIB = 1024**2


class NvmlError(Exception):
    pass


class LibraryNotFound(NvmlError):
    pass


class NotSupported(NvmlError):
    pass


class Nvml:
    """One GPU, or as many as named."""

    NVMLError = NvmlError
    NVMLError_LibraryNotFound = NVMLError_DriverNotLoaded = NVMLError_NotFound = LibraryNotFound
    NVMLError_NotSupported = NVMLError_NoPermission = NotSupported
    NVML_CLOCK_SM, NVML_CLOCK_MEM = 1, 2

    def __init__(self, names=("NVIDIA A100-SXM4-40GB",), total=40960 * MIB, used=(500 * MIB,)):
        self.names, self.total, self.used = names, total, list(used)
        self.open, self.reasons, self.processes = 0, 0, []
        self.capability = (8, 0)

    def nvmlInit(self):
        self.open += 1

    def nvmlShutdown(self):
        self.open -= 1

    def nvmlDeviceGetCount(self):
        return len(self.names)

    def nvmlDeviceGetHandleByIndex(self, index):
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid):
        return int(uuid.removeprefix("GPU-"))

    def nvmlDeviceGetName(self, handle):
        return self.names[handle]

    def nvmlDeviceGetMemoryInfo(self, handle):
        used = self.used.pop(0) if len(self.used) > 1 else self.used[0]
        return SimpleNamespace(total=self.total, used=used)

    def nvmlDeviceGetCudaComputeCapability(self, handle):
        return self.capability

    def nvmlSystemGetDriverVersion(self):
        return "580.1"

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle):
        return self.reasons

    def nvmlDeviceGetClockInfo(self, handle, clock):
        return {1: 1410, 2: 1215}[clock]

    def nvmlDeviceGetComputeRunningProcesses(self, handle):
        return self.processes


class WithoutDriver(Nvml):
    def nvmlInit(self):
        raise LibraryNotFound("NVML Shared Library Not Found")


class BrokenDriver(Nvml):
    def nvmlInit(self):
        raise NvmlError("Driver/library version mismatch")


class LostGpu(Nvml):
    """Answers a few times, then falls off the bus."""

    def nvmlDeviceGetMemoryInfo(self, handle):
        if not self.used:
            raise NvmlError("GPU is lost")
        return SimpleNamespace(total=self.total, used=self.used.pop(0))


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
    ("visible", "name"), [("1", "B"), ("1,0", "B"), ("GPU-1", "B"), ("0,1", "A")]
)
def test_the_first_visible_gpu_is_meant(monkeypatch, visible, name):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert device.describe(Nvml(names=("A", "B"))).name == name


@pytest.mark.parametrize("visible", ["", "-1", "7"])
def test_hidden_gpus_are_not_there(monkeypatch, visible):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert device.describe(Nvml()).kind == "cpu"


def test_clocks_and_what_holds_them_down():
    nvml = Nvml()
    nvml.reasons, nvml.processes = 0x1 | 0x4 | 0x40, [object()]
    state = devices.gpu_state(nvml)
    assert state.throttle_reasons == ("power cap", "hardware thermal slowdown")  # idle is none
    assert (state.sm_clock_mhz, state.memory_clock_mhz, state.processes) == (1410, 1215, 1)


@pytest.mark.parametrize(("seen", "own", "others"), [(3, 3, 0), (3, 1, 2), (0, 2, 0)])
def test_processes_of_ones_own_are_no_others(seen, own, others):
    """A container may list fewer than there are: never below none."""
    nvml = Nvml()
    nvml.processes = [object()] * seen
    assert devices.gpu_state(nvml, own_processes=own).processes == others


def test_processes_that_are_not_listed_are_not_known():
    class Silent(Nvml):
        def nvmlDeviceGetComputeRunningProcesses(self, handle):
            raise NotSupported("Not Supported")

    assert devices.gpu_state(Silent(), own_processes=1).processes is None
    assert devices.compute_processes(Silent()) is None
    assert devices.compute_processes(Nvml()) == []


def test_device_memory_is_the_peak_above_the_use_before():
    nvml = Nvml(used=[500 * MIB, 700 * MIB, 2500 * MIB, 900 * MIB])
    with devices.DeviceMemory(interval_seconds=0.001, nvml=nvml) as memory:
        deadline = time.monotonic() + 10
        while memory.samples < 6 and time.monotonic() < deadline:
            time.sleep(0.001)
    assert memory.used_before_bytes == 500 * MIB
    assert memory.peak_bytes == 2000 * MIB
    assert not memory.shared
    assert nvml.open == 0
    assert "device-memory" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.parametrize(
    ("before", "during", "shared"), [(0, 1, False), (1, 1, True), (0, 2, True)]
)
def test_a_shared_gpu_is_reported(before, during, shared):
    nvml = Nvml()
    nvml.processes = [object()] * before
    with devices.DeviceMemory(interval_seconds=0.001, nvml=nvml) as memory:
        nvml.processes = [object()] * during
        deadline, seen = time.monotonic() + 10, memory.samples
        while memory.samples < seen + 3 and time.monotonic() < deadline:
            time.sleep(0.001)
    assert memory.shared == shared


def test_device_memory_without_a_gpu():
    with pytest.raises(devices.NoGpu), devices.DeviceMemory(nvml=WithoutDriver()):
        pass


def test_a_gpu_that_is_lost_gives_no_figure():
    with devices.DeviceMemory(interval_seconds=0.001, nvml=LostGpu(used=[1, 2])) as memory:
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
