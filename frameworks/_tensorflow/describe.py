"""What both TensorFlow backends say about their framework. Imports no framework."""

from frameworks.contract import MemoryModel

THREAD_VARIABLES = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
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
        r"^EncodeError: Failed to serialize proto\b",  # protobuf, of the graph
    ),
)
