"""A bidirectional LSTM in Keras 3 on TensorFlow, trained by `Model.fit()`. Imports no framework:
the parent process reads `BACKENDS`, a worker process uses `train.Session`."""

from frameworks._tensorflow.describe import (
    ALTERNATIVE_PACKAGES,
    ENVIRONMENT,
    MEMORY,
    THREAD_VARIABLES,
    VARIABLES,
)
from frameworks.contract import Backend, Device, Recipe, Start, Unsupported, unsupported_precision

NAME = "keras_rnn"


def unsupported(recipe: Recipe, start: Start, device: Device = "cpu") -> list[Unsupported]:
    """Lists every field of the recipe that this backend cannot honour on this device."""
    found = []
    if reason := unsupported_precision(device, recipe.precision):
        found.append(Unsupported(NAME, "precision", recipe.precision, reason))
    elif recipe.precision == "fp16" and recipe.accumulation > 1:
        reason = "in fp16 Keras skips single batches that overflow, not whole steps"
        found.append(Unsupported(NAME, "accumulation", recipe.accumulation, reason))
    if recipe.attention is not None:
        reason = "a recurrent network has no attention"
        found.append(Unsupported(NAME, "attention", recipe.attention, reason))
    if recipe.compile and device == "gpu":
        reason = "on a GPU its LSTM is a cuDNN kernel, which XLA cannot compile"
        found.append(Unsupported(NAME, "compile", True, reason))
    if recipe.optimizer == "adamw_8bit":
        reason = "Keras has no optimizer with 8-bit state"
        found.append(Unsupported(NAME, "optimizer", "adamw_8bit", reason))
    if recipe.gradient_checkpointing:
        reason = "in a TensorFlow graph keras.RematScope cannot wrap layers that take a mask"
        found.append(Unsupported(NAME, "gradient_checkpointing", True, reason))
    return found


BACKENDS = (
    Backend(
        name=NAME,
        title="Keras LSTM",
        loop="Model.fit()",
        package=__name__,
        unsupported=unsupported,
        requirements=("tensorflow", "keras>=3"),
        extra="tf",
        position=3,
        reported_packages=("tensorflow", "keras"),
        alternative_packages=ALTERNATIVE_PACKAGES,
        family="recurrent",
        architecture="lstm",
        environment={**ENVIRONMENT, "KERAS_BACKEND": "tensorflow"},
        thread_variables=THREAD_VARIABLES,
        variables=VARIABLES,
        callback_class="keras.src.callbacks.callback.Callback",
        model_class="keras.src.models.model.Model",
        memory=MEMORY,
    ),
)
