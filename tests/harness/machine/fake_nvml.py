"""A stand-in for NVML that answers as its documentation says, for machines without a GPU."""

from __future__ import annotations

from types import SimpleNamespace

MIB = 1024**2
UUIDS = ("GPU-8932f937-d72c-4106-c12f-20bd9faed9f6", "GPU-89aa10b2-9e4c-0dd1-7a41-3c4cbb4a4c77")
PARTS = ("MIG-1b2c3d4e-0000-5555-9999-aaaaaaaaaaaa", "MIG-77777777-0000-5555-9999-bbbbbbbbbbbb")


class NvmlError(Exception):
    pass


class LibraryNotFound(NvmlError):
    pass


class NotSupported(NvmlError):
    pass


class NoPermission(NvmlError):
    pass


class FunctionNotFound(NvmlError):
    """The driver is older than the call."""


class Unknown(NvmlError):
    """What a virtual GPU or a sandbox may answer."""


def process(pid: int, used: int | None = 2048 * MIB, version: int = 3) -> SimpleNamespace:
    """An entry of the process list; version 3 of the structure knows the parts of a GPU. In a
    container's own namespace the pid is the host's, and on some systems the memory is unknown."""
    entry = SimpleNamespace(pid=pid, usedGpuMemory=used)
    if version == 3:
        entry.gpuInstanceId = entry.computeInstanceId = 0xFFFFFFFF
    return entry


class Nvml:
    """NVML's own functions, as many as are called. One GPU, or as many as named. `fails` names calls that raise, with the error of each."""

    NVMLError = NvmlError
    NVMLError_LibraryNotFound = NVMLError_DriverNotLoaded = NVMLError_NotFound = LibraryNotFound
    NVMLError_NotSupported, NVMLError_NoPermission = NotSupported, NoPermission
    NVML_CLOCK_SM = 1
    NVML_PERF_POLICY_POWER, NVML_PERF_POLICY_THERMAL = 0, 1
    NVML_COMPUTEMODE_DEFAULT, NVML_COMPUTEMODE_EXCLUSIVE_THREAD = 0, 1
    NVML_COMPUTEMODE_PROHIBITED, NVML_COMPUTEMODE_EXCLUSIVE_PROCESS = 2, 3

    def __init__(
        self,
        names=("NVIDIA A100-SXM4-40GB",),
        total=40960 * MIB,
        used=(500 * MIB,),
        fails: dict[str, type[NvmlError]] | None = None,
        mig: bool = False,
    ):
        self.names, self.total, self.used = names, total, list(used)
        self.open, self.reasons, self.processes = 0, 0, []
        self.capability, self.mode = (8, 0), 0
        self.violations_ns = {0: 0, 1: 0}
        self.fails, self.mig = fails or {}, mig

    def __getattribute__(self, name):
        if name.startswith("nvml") and name in (fails := super().__getattribute__("fails")):

            def fail(*arguments):
                raise fails[name](name)

            return fail
        return super().__getattribute__(name)

    def nvmlInit(self):
        self.open += 1

    def nvmlShutdown(self):
        self.open -= 1

    def nvmlDeviceGetCount(self):
        return len(self.names)

    def nvmlDeviceGetHandleByIndex(self, index):
        return index

    def nvmlDeviceGetUUID(self, handle):
        return handle if isinstance(handle, str) else UUIDS[handle]

    def nvmlDeviceGetMigMode(self, handle):
        if isinstance(handle, str):
            raise NotSupported("a part has no mode")
        return [int(self.mig and handle == 0)] * 2

    def nvmlDeviceGetMaxMigDeviceCount(self, handle):
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle, index):
        if index >= len(PARTS):
            raise LibraryNotFound("no such part")
        return PARTS[index]

    def nvmlDeviceGetDeviceHandleFromMigDeviceHandle(self, handle):
        if not isinstance(handle, str):
            raise Unknown("not a part")
        return 0

    def nvmlDeviceGetName(self, handle):
        return f"{self.names[0]} MIG 1g.5gb" if isinstance(handle, str) else self.names[handle]

    def nvmlDeviceGetMemoryInfo(self, handle):
        used = self.used.pop(0) if len(self.used) > 1 else self.used[0]
        total = 4864 * MIB if isinstance(handle, str) else self.total
        return SimpleNamespace(total=total, used=used, free=total - used)

    def nvmlDeviceGetCudaComputeCapability(self, handle):
        return self._of_whole(handle, self.capability)

    def nvmlDeviceGetComputeMode(self, handle):
        return self._of_whole(handle, self.mode)

    def nvmlSystemGetDriverVersion(self):
        return "580.1"

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle):
        return self._of_whole(handle, self.reasons)

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle):
        return self._of_whole(handle, self.reasons)

    def nvmlDeviceGetViolationStatus(self, handle, policy):
        counter = SimpleNamespace(referenceTime=1, violationTime=self.violations_ns[policy])
        return self._of_whole(handle, counter)

    def nvmlDeviceGetClockInfo(self, handle, clock):
        return self._of_whole(handle, 1410)

    def nvmlDeviceGetComputeRunningProcesses(self, handle):
        return self.processes

    def nvmlSystemGetProcessName(self, pid):
        if pid > 4_000_000:
            raise LibraryNotFound("no process of this namespace")
        return b"python"

    def _of_whole(self, handle, answer):
        """Clocks and modes belong to the whole GPU."""
        if isinstance(handle, str):
            raise NotSupported("a part of a GPU")
        return answer


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
