"""Transformers on PyTorch, trained by `Trainer.train()`. Imports no framework: the parent
process asks `unsupported` here, a worker process uses `train.Session`."""

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
)

NAME = "hf_torch"
EIGHT_BIT = Requirement("bitsandbytes>=0.50,<0.51")  # from 0.50 on it computes on CPUs too
MEND = "pip install -e '.[eight-bit]'"


def unsupported(recipe: Recipe, start: Start, device: Device = "cpu") -> list[Unsupported]:
    """Every field that this backend cannot honour on this device; empty when it honours all."""
    found = []
    if why := unsupported_precision(device, recipe.precision):
        found.append(Unsupported(NAME, "precision", recipe.precision, why))
    elif recipe.precision == "fp16" and device == "cpu":
        why = "Trainer scales losses for fp16 on a GPU only"
        found.append(Unsupported(NAME, "precision", "fp16", why))
    if recipe.length > start.max_length:
        why = f"the checkpoint has positions for {start.max_length} tokens"
        found.append(Unsupported(NAME, "length", recipe.length, why))
    if recipe.optimizer == "adamw_8bit" and (why := unsupported_eight_bit()):
        found.append(Unsupported(NAME, "optimizer", "adamw_8bit", why))
    return found


def unsupported_eight_bit() -> str | None:
    """Why there is no 8-bit optimizer here, with the mend; None where there is one."""
    try:
        installed = version(EIGHT_BIT.name)
    except PackageNotFoundError:
        return f"{EIGHT_BIT.name} is not installed ({MEND})"
    if EIGHT_BIT.specifier.contains(installed):
        return None
    return f"{EIGHT_BIT.name} {installed} is installed, needed is {EIGHT_BIT} ({MEND})"


BACKENDS = (
    Backend(
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
        memory=MemoryModel(
            out_of_memory=(
                r"\bOutOfMemoryError\b",
                r"\bCUDA out of memory\b",
                r"\bCUDA error: out of memory\b",
                r"DefaultCPUAllocator: (can't allocate|not enough) memory",
            ),
        ),
        finders=("accelerate",),
        weights_converter=f"{__name__}.unpickle",
    ),
)
