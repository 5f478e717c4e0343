"""How a worker's end is read. The texts are what the frameworks say, here or in users' reports."""

from __future__ import annotations

import signal

import pytest

from benchmarks.harness.jobs.outcomes import of_end, of_exception, telling_line
from benchmarks.harness.worker.__main__ import causes, describe

PLAIN = [
    "MemoryError: ",
    "MemoryError: std::bad_alloc",  # TensorFlow, where an error itself finds no memory
    "_ArrayMemoryError: Unable to allocate 184. MiB for an array with shape (64, 26) and data type "
    "float32",
    "RuntimeError: [enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't "
    "allocate memory: you tried to allocate 6291456 bytes. Error code 12 (Cannot allocate memory)",
    "RuntimeError: [enforce fail at alloc_cpu.cpp:83] data. DefaultCPUAllocator: not enough "
    "memory: you tried to allocate 402653184 bytes.",
    "OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity "
    "of 14.56 GiB of which 1.10 GiB is free.",
    "RuntimeError: CUDA error: out of memory",
    "ResourceExhaustedError: Graph execution error:\n\nDetected at node 'Softmax' defined at\n"
    "OOM when allocating tensor with shape[64,12,512,512] and type float on "
    "/job:localhost/replica:0/task:0/device:CPU:0 by allocator cpu",
    "InternalError: RESOURCE_EXHAUSTED: Out of memory while trying to allocate 1073741824 bytes.",
]
DISGUISED = [
    "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    "RuntimeError: cuDNN error: CUDNN_STATUS_NOT_SUPPORTED. This error may appear if you passed in "
    "a non-contiguous input.",
    "InternalError: Graph execution error:\n\nFailed to call ThenRnnForward with model config: "
    "[rnn_mode, rnn_input_mode, rnn_direction_mode]: 2, 0, 0",
    "InternalError: Failed to call DoRnnBackward with model config: [rnn_mode]: 2",
    "RuntimeError: std::bad_alloc",
    "RuntimeError: could not create a primitive",
    "RuntimeError: can't start new thread",
    "SystemError: <function _find_and_load at 0x7f3d> returned NULL without setting an exception",
    "EncodeError: Failed to serialize proto",
    "InternalError: Failed copying input tensor from /job:localhost/replica:0/task:0/device:CPU:0 to "
    "/job:localhost/replica:0/task:0/device:GPU:0 in order to run _EagerConst: Dst tensor is not "
    "initialized.",
    "InternalError: Graph execution error:\n\nNo BLAS support in stream",
    "InternalError: Failed to initialize BLAS support",
    "UnimplementedError: Graph execution error:\n\nDNN library initialization failed. Look at the "
    "errors above for more details.",
    "UnimplementedError: No DNN in stream executor.",
    "InternalError: Could not create cudnn handle: CUDNN_STATUS_INTERNAL_ERROR",
    "InternalError: CUDA runtime implicit initialization on GPU:0 failed. Status: out of memory",
    "InternalError: cudaSetDevice() on GPU:0 failed. Status: out of memory",
    "RuntimeError: CUDA error: CUBLAS_STATUS_INTERNAL_ERROR when calling `cublasGemmEx`",
    "RuntimeError: CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`",
    "SystemError: error return without exception set",
    "SystemError: <class 'type'> returned a result with an exception set",
    "ImportError: libtorch_cpu.so: failed to map segment from shared object",
    "OSError: [Errno 12] Cannot allocate memory",
    "BlockingIOError: [Errno 11] Resource temporarily unavailable",
]
NEITHER = [
    "ValueError: the loss is not a number",
    "KeyError: 'memory'",
    "RuntimeError: The size of tensor a (512) must match the size of tensor b (128)",
    "RuntimeError: CUDA error: device-side assert triggered",
    "RecipeOverridden: recipe asks for precision = 'fp32', but the framework computes in 'tf32'; "
    "remove the setting that overrides it",
    "InvalidArgumentError: Graph execution error:\n\nindices[0,0] = 40000 is not in [0, 30522)",
    "OSError: [Errno 28] No space left on device",
    "InductorError: NoTritonConfigsError: No valid triton configs. OutOfMemoryError: out of resource: "
    "triton_tem_fused_mm Required: 131072 Hardware limit: 65536 Reducing block sizes may help.",
    "OutOfResources: out of resource: shared memory, Required: 147456, Hardware limit: 101376.",
    "RuntimeError: Expected canUse32BitIndexMath(input) && canUse32BitIndexMath(output) to be true",
    "ImportError: cannot import name 'Trainer'",
]


@pytest.mark.parametrize("text", PLAIN)
def test_the_framework_says_it(text: str) -> None:
    assert of_exception(text) == "oom"


@pytest.mark.parametrize("text", DISGUISED)
def test_the_framework_says_it_in_other_words(text: str) -> None:
    assert of_exception(text) == "disguised_oom"


@pytest.mark.parametrize("text", NEITHER)
def test_other_errors_never_count_as_memory(text: str) -> None:
    assert of_exception(text) == "error"


def message_of(within: Exception, error: Exception, *, hidden: bool = False) -> str:
    """What a worker says of an error that came while another one was handled."""
    error.__context__, error.__suppress_context__ = within, hidden
    return "\n".join(map(describe, causes(error)))


def test_what_an_error_came_of_tells_too() -> None:
    """transformers loads its parts late, and says only which one it could not load."""
    late = ModuleNotFoundError("Could not import module 'Trainer'")
    assert of_exception(message_of(MemoryError(), late)) == "oom"
    try:
        raise late from MemoryError()
    except ModuleNotFoundError as error:
        assert of_exception("\n".join(map(describe, causes(error)))) == "oom"
    late.__cause__ = None
    assert of_exception(message_of(OSError(12, "Cannot allocate memory"), late)) == "disguised_oom"
    assert of_exception(message_of(KeyError("memory"), late)) == "error"
    assert (
        of_exception(message_of(MemoryError(), ValueError("no such recipe"), hidden=True))
        == "error"
    )


@pytest.mark.parametrize(
    ("exit_code", "outcome"),
    [
        (-signal.SIGKILL, "host_oom"),
        (-signal.SIGABRT, "disguised_oom"),
        (-signal.SIGSEGV, "disguised_oom"),
        (1, "disguised_oom"),
        (134, "disguised_oom"),
        (0, "error"),
        (-signal.SIGTERM, "error"),
        (-signal.SIGINT, "error"),
    ],
)
def test_ends_without_an_exception(exit_code: int, outcome: str) -> None:
    assert of_end(exit_code) == outcome


def test_a_library_that_ends_its_process_says_why() -> None:
    """TensorFlow's kernels count elements in 32 bits and abort beyond; memory is not the reason."""
    overflow = "F0000 gpu_launch_config.h:129] Check failed: work_element_count >= 0 (-2147 vs. 0)"
    assert of_end(-signal.SIGABRT, ["a warning", overflow]) == "error"
    assert of_end(-signal.SIGABRT, ["terminate called after std::bad_alloc"]) == "disguised_oom"


def test_memory_that_ran_out_beside_another_error_counts() -> None:
    text = f"{NEITHER[-3]}\n{PLAIN[5]}"
    assert of_exception(text) == "oom"


def test_the_line_that_says_most() -> None:
    assert telling_line(PLAIN[7]).startswith("OOM when allocating tensor with shape[64")
    assert telling_line("ValueError: first\nsecond") == "ValueError: first"
    assert telling_line("\n") == "no message"
    assert len(telling_line("x" * 5000)) == 300
