"""Transformers on PyTorch, trained by `Trainer.train()`. Imports no framework: the parent
process reads `BACKENDS`, a worker process uses `train.Session`."""

from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version

from packaging.requirements import Requirement

from frameworks.contract import (
    Backend,
    Device,
    MemoryModel,
    Recipe,
    Start,
    Unsupported,
    unsupported_precision,
    with_own_model,
)

NAME = "hf_torch"
EIGHT_BIT = Requirement("bitsandbytes>=0.50,<0.51")  # from 0.50 on it computes on CPUs too
# accelerate joins the processes that a launcher names, and takes its precision and its compiler from
# its variables.
VARIABLES = (
    *("TORCH_*", "TORCHDYNAMO_*", "TORCHINDUCTOR_*", "TORCHELASTIC_*", "PYTORCH_*", "AOT_*"),
    *("ACCELERATE_*", "FSDP_*", "PARALLELISM_CONFIG_*", "DEEPSPEED_*", "FORK_LAUNCHED"),
    *("TRANSFORMERS_*", "USE_TF", "USE_TORCH", "USE_TORCH_XLA", "FLASH_ATTENTION_*"),
    *("HF_ENABLE_PARALLEL_LOADING", "PJRT_DEVICE", "BNB_*", "CXXFLAGS", "CFLAGS"),
)
INSTALL = "pip install -e '.[eight-bit]'"


def unsupported(recipe: Recipe, start: Start, device: Device = "cpu") -> list[Unsupported]:
    """Lists every field of the recipe that this backend cannot honour on this device."""
    found = []
    if reason := unsupported_precision(device, recipe.precision):
        found.append(Unsupported(NAME, "precision", recipe.precision, reason))
    elif recipe.precision == "fp16" and device == "cpu":
        reason = "Trainer scales losses for fp16 on a GPU only"
        found.append(Unsupported(NAME, "precision", "fp16", reason))
    if recipe.length > start.max_length:
        reason = f"the checkpoint reads at most {start.max_length} tokens"
        found.append(Unsupported(NAME, "length", recipe.length, reason))
    if recipe.optimizer == "adamw_8bit" and (reason := unsupported_eight_bit()):
        found.append(Unsupported(NAME, "optimizer", "adamw_8bit", reason))
    return found


def unsupported_eight_bit() -> str | None:
    """The reason why there is no 8-bit optimizer here, and how to install it; None if there is one."""
    try:
        installed = version(EIGHT_BIT.name)
    except PackageNotFoundError:
        return f"{EIGHT_BIT.name} is not installed ({INSTALL})"
    if EIGHT_BIT.specifier.contains(installed):
        return None
    return f"{EIGHT_BIT.name} {installed} is installed, but {EIGHT_BIT} is required ({INSTALL})"


TRANSFORMERS = Backend(
    name=NAME,
    title="PyTorch",
    loop="Trainer.train()",
    package=__name__,
    unsupported=unsupported,
    requirements=("torch", "transformers>=4.53,<6", "accelerate"),
    extra="torch",
    position=1,
    reported_packages=("torch", "transformers", "accelerate", "bitsandbytes"),
    family="transformers",
    environment={"USE_TF": "0"},  # transformers 4 imports TensorFlow where it finds it
    variables=VARIABLES,
    callback_class="transformers.trainer_callback.TrainerCallback",
    model_class="torch.nn.modules.module.Module",
    memory=MemoryModel(
        out_of_memory=(
            r"\bOutOfMemoryError\b",
            r"\bCUDA out of memory\b",
            r"\bCUDA error: out of memory\b",
            r"DefaultCPUAllocator: (can't allocate|not enough) memory",
        ),
        disguised_out_of_memory=(
            r"\bCUBLAS_STATUS_(ALLOC_FAILED|NOT_INITIALIZED|INTERNAL_ERROR|EXECUTION_FAILED)\b",
            r"\bCUDNN_STATUS_(ALLOC_FAILED|NOT_INITIALIZED|NOT_SUPPORTED|INTERNAL_ERROR"
            r"|INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED|EXECUTION_FAILED)\b",
            r"\bCUSOLVER_STATUS_ALLOC_FAILED\b",
            r"\bcudaErrorMemoryAllocation\b",
        ),
        not_out_of_memory=(
            r"\bout of resource: ",  # Triton, of a kernel's shared memory or registers
            r"\bcanUse32BitIndexMath\b",
            r"\bnonzero is not supported for tensors with more than INT_MAX elements\b",
        ),
    ),
    finders=("accelerate",),
    weights_converter=f"{__name__}.unpickle",
)


LSTM = replace(
    with_own_model(TRANSFORMERS, "torch_rnn", f"{__name__}.own_model.lstm:build"),
    title="PyTorch LSTM",
    listed=False,
    position=4,
    family="recurrent",
    architecture="lstm",
)


BACKENDS = (TRANSFORMERS, LSTM)
