"""The bidirectional LSTM of `keras_rnn` in PyTorch: the same layers, started from weights that Keras can
load too."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from frameworks.contract import EMBEDDING, UNITS, start_weights
from frameworks.hf_torch.own_model import trained


class Lstm(nn.Module):
    """Logits from the last real state of either direction of the upper layer."""

    def __init__(
        self, label_count: int, vocabulary_size: int, has_token_types: bool, dropout: float
    ) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary_size, EMBEDDING)
        if has_token_types:  # they show where a pair's second text begins
            self.token_types = nn.Embedding(2, EMBEDDING)
        self.lower = one_bias(nn.LSTM(EMBEDDING, UNITS, batch_first=True, bidirectional=True))
        self.upper = one_bias(nn.LSTM(2 * UNITS, UNITS, batch_first=True, bidirectional=True))
        self.dropped = nn.Dropout(dropout)  # of both, by two draws
        self.classifier = nn.Linear(2 * UNITS, label_count)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> Tensor:
        states = self.words(input_ids)
        if token_type_ids is not None:
            states = states + self.token_types(token_type_ids)
        states = self.dropped(states)
        lengths = attention_mask.sum(1).cpu()  # where PyTorch wants them
        packed = pack_padded_sequence(states, lengths, batch_first=True, enforce_sorted=False)
        packed, _ = self.lower(packed)
        _, (last, _) = self.upper(packed)
        return self.classifier(self.dropped(torch.cat([last[0], last[1]], dim=1)))


def one_bias(layer: nn.LSTM) -> nn.LSTM:
    """PyTorch has two biases per gate, of which Keras has one: the other stays 0."""
    for name, parameter in layer.named_parameters():
        if name.startswith("bias_hh"):
            nn.init.zeros_(parameter)
            parameter.requires_grad_(False)
    return layer


def build(
    label_count: int,
    vocabulary_size: int,
    has_token_types: bool,
    dropout: float | None,
    seed: int,
) -> Lstm:
    """The model with weights drawn from the seed. Without a rate nothing is dropped, as in Keras's."""
    model = Lstm(label_count, vocabulary_size, has_token_types, dropout or 0.0)
    weights = start_weights(label_count, vocabulary_size, has_token_types, seed)
    with torch.no_grad():
        for name in trained(model):
            model.get_parameter(name).copy_(torch.from_numpy(weights[name]))
    return model
