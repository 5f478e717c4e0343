"""Model FLOPs: the arithmetic that training needs, whatever a framework really executes.

Per token: 6 FLOPs for each weight outside the embeddings (a multiplication and an addition in the
forward pass, twice that in the backward pass) and 12 x layers x hidden x length for the attention
scores and their use. Sources: Kaplan et al. 2020, 'Scaling Laws for Neural Language Models',
section 2.1 (the 6); Chowdhery et al. 2022, 'PaLM', appendix B (both terms, and MFU).

Left out, as there: embedding look-ups, LayerNorm, softmax, activations, the optimizer. GPT-2's
masked half of the attention counts as if it were computed. A head that reads one token of a
sequence counts once per sequence. These are FLOPs of *training*; a forward pass is a third.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FLOPS_PER_WEIGHT = 6
ATTENTION_FLOPS = 12


@dataclass(frozen=True)
class Shape:
    """What decides the arithmetic of a transformer."""

    layers: int
    hidden: int
    body_weights: int  # used for every token: the layers' matrices and biases
    head_weights: int  # used once per sequence


def shape(config: Mapping[str, Any], label_count: int) -> Shape:
    """The shape that a Hugging Face `config.json` describes, with its classification head."""
    architecture = config["model_type"]
    if architecture == "bert":
        hidden, inner = config["hidden_size"], config["intermediate_size"]
        head = hidden * hidden + hidden + hidden * label_count + label_count  # pooler, classifier
        return Shape(
            config["num_hidden_layers"],
            hidden,
            config["num_hidden_layers"] * _layer(hidden, inner),
            head,
        )
    if architecture == "distilbert":
        hidden, inner = config["dim"], config["hidden_dim"]
        head = hidden * hidden + hidden + hidden * label_count + label_count
        return Shape(config["n_layers"], hidden, config["n_layers"] * _layer(hidden, inner), head)
    if architecture == "gpt2":
        hidden = config["n_embd"]
        inner = config.get("n_inner") or 4 * hidden
        return Shape(
            config["n_layer"],
            hidden,
            config["n_layer"] * _layer(hidden, inner),
            hidden * label_count,
        )
    raise ValueError(f"no FLOPs are known for the architecture {architecture!r}")


def transformer(config: Mapping[str, Any], length: float, label_count: int) -> float:
    """Training FLOPs per token of a sequence of `length` tokens (the padded length, where the
    padding is computed)."""
    model = shape(config, label_count)
    weights = model.body_weights + model.head_weights / length
    return FLOPS_PER_WEIGHT * weights + ATTENTION_FLOPS * model.layers * model.hidden * length


def recurrent(weights: int) -> float:
    """Training FLOPs per token of a recurrent network whose `weights` (embeddings left out) are
    all used for every token."""
    return float(FLOPS_PER_WEIGHT * weights)


def lstm_weights(inputs: int, units: int, *, bidirectional: bool = False) -> int:
    """Weights of one LSTM layer: four gates, each with an input matrix, a recurrent matrix and a
    bias."""
    one = 4 * (units * (inputs + units) + units)
    return 2 * one if bidirectional else one


def _layer(hidden: int, inner: int) -> int:
    """Query, key, value and output projections, then the two matrices of the feed-forward part;
    biases included, LayerNorm left out."""
    return 4 * (hidden * hidden + hidden) + 2 * hidden * inner + inner + hidden
