"""Transformers on TensorFlow, trained by `Model.fit()`. Imports no framework: the parent
process reads `BACKENDS`, a worker process uses `train.Session`."""

from frameworks._tensorflow.describe import (
    ALTERNATIVE_PACKAGES,
    ENVIRONMENT,
    MEMORY,
    THREAD_VARIABLES,
    VARIABLES,
)
from frameworks.contract import Backend, Device, Recipe, Start, Unsupported, unsupported_precision

NAME = "hf_tf"


def unsupported(recipe: Recipe, start: Start, device: Device = "cpu") -> list[Unsupported]:
    """Lists every field of the recipe that this backend cannot honour on this device."""
    found = []
    if reason := unsupported_precision(device, recipe.precision):
        found.append(Unsupported(NAME, "precision", recipe.precision, reason))
    elif recipe.precision == "fp16" and recipe.accumulation > 1:
        reason = "in fp16 Keras skips single batches that overflow, not whole steps"
        found.append(Unsupported(NAME, "accumulation", recipe.accumulation, reason))
    if recipe.length > start.max_length:
        reason = f"the checkpoint reads at most {start.max_length} tokens"
        found.append(Unsupported(NAME, "length", recipe.length, reason))
    if recipe.attention == "sdpa":
        reason = "its models have eager attention only"
        found.append(Unsupported(NAME, "attention", "sdpa", reason))
    if recipe.optimizer == "adamw_8bit":
        reason = "Keras has no optimizer with 8-bit state"
        found.append(Unsupported(NAME, "optimizer", "adamw_8bit", reason))
    if recipe.gradient_checkpointing:
        reason = (
            "its models have no switch for it, and tf.recompute_grad draws other dropout masks when it "
            "recomputes"
        )
        found.append(Unsupported(NAME, "gradient_checkpointing", True, reason))
    return found


BACKENDS = (
    Backend(
        name=NAME,
        title="TensorFlow",
        loop="Model.fit()",
        package=__name__,
        unsupported=unsupported,
        requirements=("tensorflow", "tf-keras", "transformers>=4.53,<4.55"),
        extra="tf",
        position=2,
        reported_packages=("transformers", "tensorflow", "tf-keras"),
        alternative_packages=ALTERNATIVE_PACKAGES,
        family="transformers",
        environment={**ENVIRONMENT, "USE_TORCH": "0", "TF_USE_LEGACY_KERAS": "1"},
        thread_variables=THREAD_VARIABLES,
        variables=(*VARIABLES, "TRANSFORMERS_*", "USE_TF", "USE_TORCH", "FORCE_TF_AVAILABLE"),
        callback_class="tf_keras.src.callbacks.Callback",
        memory=MEMORY,
    ),
)
