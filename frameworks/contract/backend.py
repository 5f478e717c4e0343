"""What a backend says about itself."""

from __future__ import annotations

from dataclasses import dataclass


class Unsupported(Exception):
    """A backend cannot honour one field of the recipe."""

    def __init__(self, backend: str, name: str, value: object, why: str) -> None:
        super().__init__(f"{backend} cannot do {name} = {value!r}: {why}")
        self.backend, self.field, self.value, self.why = backend, name, value, why


@dataclass(frozen=True)
class BackendInfo:
    title: str
    loop: str  # what a user of this backend calls to train
    requirements: tuple[str, ...]  # what must be installed
    extra: str  # the optional dependency that installs it
    pretrained: bool = True  # False: starts from no checkpoint, takes only its tokenizer
    certified_with: str | None = None  # backends of one family train the same architecture


# The registry: a backend is one folder and one line here.
BACKENDS: dict[str, BackendInfo] = {
    "hf_torch": BackendInfo(
        "PyTorch",
        "Trainer.train()",
        ("torch", "transformers>=4.53,<6", "accelerate"),
        "torch",
        certified_with="transformers",
    ),
    "hf_tf": BackendInfo(
        "TensorFlow",
        "Model.fit()",
        ("tensorflow", "tf-keras", "transformers>=4.53,<4.55"),
        "tf",
        certified_with="transformers",
    ),
    "keras_rnn": BackendInfo(
        "Keras LSTM", "Model.fit()", ("tensorflow", "keras>=3"), "tf", pretrained=False
    ),
}
