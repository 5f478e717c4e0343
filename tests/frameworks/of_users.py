"""A callback and models of a user's, all with a state."""

from __future__ import annotations

import importlib
from typing import Any


def callback(module: str) -> type:
    """A class that keeps what it saw, and writes it into checkpoints."""
    if module == "transformers":
        from transformers.trainer_callback import ExportableState, TrainerCallback

        class Torch(TrainerCallback, ExportableState):
            def __init__(self) -> None:
                self.seen: list[list[Any]] = []

            def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                self.seen.append(["step", state.global_step])

            def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                self.seen.append(["epoch", state.epoch])

            def state(self) -> dict[str, Any]:
                return {"args": {}, "attributes": {"seen": self.seen}}

        return Torch

    class Keras(importlib.import_module(f"{module}.callbacks").Callback):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[list[Any]] = []

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            self.seen.append(["begins", batch])

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.seen.append(["ends", batch])

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.seen.append(["epoch", epoch, self.params["epochs"]])

        def state(self) -> dict[str, Any]:
            return {"attributes": {"seen": self.seen}}

    return Keras


def own_torch(vocabulary_size: int, label_count: int) -> Any:
    """With a state in every place that a module has for one: a BatchNorm, a buffer that its state dict
    does not have, attributes, shared weights and PyTorch's random numbers."""
    import torch
    from torch import nn

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.norm = nn.Embedding(vocabulary_size, 8), nn.BatchNorm1d(8)
            self.out = nn.Linear(8, vocabulary_size)
            self.out.weight = self.words.weight
            self.register_buffer("mean", torch.zeros(8), persistent=False)
            self.calls, self.recent = 0, {"norms": [torch.zeros(())]}

        def forward(self, input_ids: Any) -> Any:
            states = nn.functional.dropout(self.words(input_ids), 0.2, self.training).mean(1)
            if self.training:
                self.calls += 1
                self.mean = 0.9 * self.mean + 0.1 * states.detach().mean(0)
                self.recent["norms"] = [*self.recent["norms"][-2:], states.detach().norm()]
            states = states + self.mean + self.calls / 100 + sum(self.recent["norms"]) / 100
            return self.out(self.norm(states))[:, :label_count]

    return Model()


def own_keras(vocabulary_size: int, label_count: int) -> Any:
    """With a BatchNorm, dropout of a cell, and numbers that nobody's generator draws."""
    import keras

    class Noise(keras.layers.Layer):
        def call(self, states: Any, training: bool = False) -> Any:
            return keras.random.dropout(states, 0.2) if training else states

    ids = keras.Input((None,), dtype="int32", name="input_ids")
    states = keras.layers.Embedding(vocabulary_size, 8, name="words")(ids)
    states = Noise()(keras.layers.GRU(8, dropout=0.2, name="gru")(states))
    states = keras.layers.BatchNormalization(name="norm")(states)
    return keras.Model({"input_ids": ids}, keras.layers.Dense(label_count, name="out")(states))
