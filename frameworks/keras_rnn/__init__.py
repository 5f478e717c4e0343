"""A bidirectional LSTM in Keras 3 on TensorFlow, trained by `Model.fit()`. Imports no framework:
the parent process asks `unsupported` here, a worker process uses `train.Session`."""

from frameworks._tensorflow.describe import ALTERNATIVE_PACKAGES, MEMORY, THREAD_VARIABLES
from frameworks.contract import Backend, Device, Recipe, Start, Unsupported, unsupported_precision

NAME = "keras_rnn"


def unsupported(recipe: Recipe, start: Start, device: Device = "cpu") -> list[Unsupported]:
    """Every field that this backend cannot honour on this device; empty when it honours all."""
    found = []
    if why := unsupported_precision(device, recipe.precision):
        found.append(Unsupported(NAME, "precision", recipe.precision, why))
    elif recipe.precision == "fp16" and recipe.accumulation > 1:
        why = "with fp16 Keras judges and drops single batches, not whole steps"
        found.append(Unsupported(NAME, "accumulation", recipe.accumulation, why))
    if recipe.attention is not None:
        why = "a recurrent network has no attention"
        found.append(Unsupported(NAME, "attention", recipe.attention, why))
    if recipe.optimizer == "adamw_8bit":
        why = "Keras has no optimizer with 8-bit state"
        found.append(Unsupported(NAME, "optimizer", "adamw_8bit", why))
    if recipe.gradient_checkpointing:
        why = "in a TensorFlow graph keras.RematScope cannot wrap layers that take a mask"
        found.append(Unsupported(NAME, "gradient_checkpointing", True, why))
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
        architecture="lstm",
        environment={"KERAS_BACKEND": "tensorflow"},
        thread_variables=THREAD_VARIABLES,
        memory=MEMORY,
    ),
)
