"""What both TensorFlow backends say about their framework. Imports no framework."""

from frameworks.contract import MemoryModel

THREAD_VARIABLES = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
VARIABLES = ("TF_*", "TF2_*", "KERAS_*", "AUTOGRAPH_*", "ITEX_*")
ENVIRONMENT = {
    # Keras reads its precision and more from a file in this folder, which can never exist.
    "KERAS_HOME": "/dev/null/keras",
    # TensorFlow's package has no kernels for GPUs from Hopper on. The driver compiles them when they
    # are first used, and keeps them only if its cache is larger than it is by itself.
    "CUDA_CACHE_MAXSIZE": str(4 * 2**30),
}
ALTERNATIVE_PACKAGES = {"tensorflow": "tensorflow-cpu"}

MEMORY = MemoryModel(
    # `MinSystemMemory` of core/common_runtime/gpu/gpu_device.cc.
    reserve_mib={6: 500, 7: 1050, 8: 1536, 9: 1800},
    # Then it takes one region of that size, whose filling does not depend on how regions happen
    # to double.
    takes_budget_at_once=True,
    out_of_memory=(
        r"\bResourceExhaustedError\b",
        r"\bRESOURCE_EXHAUSTED\b",  # XLA too
        r"\bOOM when allocating\b",
        r"\bCUDA_ERROR_OUT_OF_MEMORY\b",
    ),
    disguised_out_of_memory=(
        r"\bfailed to create cublas handle\b",
        r"\bFailed to (call|launch) (Then|Do|Cudnn)RNN\w*",
        r"\bBlas \w*gemm\w* launch failed\b",
        r"\bBLAS support\b.*\bstream\b|\bFailed to initialize BLAS support\b",
        r"\bNo (BLAS|DNN) (support )?in stream\b",
        r"\bDNN library initialization failed\b",
        r"\bCould not create cudnn handle\b",
        r"\bDst tensor is not initialized\b",  # a copy to a GPU that is full
        r"\bCUDA runtime implicit initialization\b.*\bout of memory\b",
        r"\bcudaSetDevice\(\).*\bout of memory\b",
        r"\bCUBLAS_STATUS_(ALLOC_FAILED|NOT_INITIALIZED|INTERNAL_ERROR|EXECUTION_FAILED)\b",
        r"\bCUDNN_STATUS_(ALLOC_FAILED|NOT_INITIALIZED|NOT_SUPPORTED|INTERNAL_ERROR"
        r"|INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED|EXECUTION_FAILED)\b",
        r"^EncodeError: Failed to serialize proto\b",  # protobuf, of the graph
    ),
    not_out_of_memory=(
        r"\bCheck failed: .*\bwork_element_count\b",  # more elements than a kernel can count
        r"\bout of resource: ",  # Triton inside XLA
    ),
)
