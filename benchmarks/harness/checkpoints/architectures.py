"""The three architectures: their settings in config.json and the layout of their weights.

The layout is that of the state dict of a transformers sequence classification model, so that a
file written by it loads with no missing and no unexpected name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt

from benchmarks.harness.checkpoints.config import Config as Config
from benchmarks.harness.errors import UserError
from frameworks.contract import Architecture

CLASSES: dict[Architecture, str] = {
    "bert": "BertForSequenceClassification",
    "distilbert": "DistilBertForSequenceClassification",
    "gpt2": "GPT2ForSequenceClassification",
}
# The prefix of base weights in a checkpoint that has a head.
PREFIXES: dict[Architecture, str] = {
    "bert": "bert.",
    "distilbert": "distilbert.",
    "gpt2": "transformer.",
}


@dataclass(frozen=True)
class Weight:
    """One tensor of the layout, and how it is drawn if a checkpoint does not have it."""

    name: str
    shape: tuple[int, ...]
    deviation: float | None = (
        None  # of a normal distribution about 0; None: every element is `value`
    )
    value: float = 0.0
    head: bool = False  # not part of the base model


def layout(architecture: Architecture, config: Config, label_count: int) -> list[Weight]:
    """All tensors of the classifier, under transformers' names, in the order of the model."""
    weights = {"bert": _bert, "distilbert": _distilbert, "gpt2": _gpt2}[architecture]
    return list(weights(config, label_count))


def _linear(
    name: str, outputs: int, inputs: int, deviation: float, *, head: bool = False
) -> Iterator[Weight]:
    yield Weight(f"{name}.weight", (outputs, inputs), deviation, head=head)
    yield Weight(f"{name}.bias", (outputs,), head=head)


def _norm(name: str, width: int) -> Iterator[Weight]:
    yield Weight(f"{name}.weight", (width,), value=1.0)
    yield Weight(f"{name}.bias", (width,))


def _bert(config: Config, label_count: int) -> Iterator[Weight]:
    width, inner, std = (
        config["hidden_size"],
        config["intermediate_size"],
        config.get("initializer_range", 0.02),
    )
    for table, rows in (
        ("word", config["vocab_size"]),
        ("position", config["max_position_embeddings"]),
        ("token_type", config.get("type_vocab_size", 2)),
    ):
        yield Weight(f"bert.embeddings.{table}_embeddings.weight", (rows, width), std)
    yield from _norm("bert.embeddings.LayerNorm", width)
    for i in range(config["num_hidden_layers"]):
        layer = f"bert.encoder.layer.{i}"
        for part in ("query", "key", "value"):
            yield from _linear(f"{layer}.attention.self.{part}", width, width, std)
        yield from _linear(f"{layer}.attention.output.dense", width, width, std)
        yield from _norm(f"{layer}.attention.output.LayerNorm", width)
        yield from _linear(f"{layer}.intermediate.dense", inner, width, std)
        yield from _linear(f"{layer}.output.dense", width, inner, std)
        yield from _norm(f"{layer}.output.LayerNorm", width)
    yield from _linear("bert.pooler.dense", width, width, std, head=True)
    yield from _linear("classifier", label_count, width, std, head=True)


def _distilbert(config: Config, label_count: int) -> Iterator[Weight]:
    width, inner, std = config["dim"], config["hidden_dim"], config.get("initializer_range", 0.02)
    for table, rows in (
        ("word", config["vocab_size"]),
        ("position", config["max_position_embeddings"]),
    ):
        yield Weight(f"distilbert.embeddings.{table}_embeddings.weight", (rows, width), std)
    yield from _norm("distilbert.embeddings.LayerNorm", width)
    for i in range(config["n_layers"]):
        layer = f"distilbert.transformer.layer.{i}"
        for part in ("q_lin", "k_lin", "v_lin", "out_lin"):
            yield from _linear(f"{layer}.attention.{part}", width, width, std)
        yield from _norm(f"{layer}.sa_layer_norm", width)
        yield from _linear(f"{layer}.ffn.lin1", inner, width, std)
        yield from _linear(f"{layer}.ffn.lin2", width, inner, std)
        yield from _norm(f"{layer}.output_layer_norm", width)
    yield from _linear("pre_classifier", width, width, std, head=True)
    yield from _linear("classifier", label_count, width, std, head=True)


def _gpt2(config: Config, label_count: int) -> Iterator[Weight]:
    width, layers, std = (
        config["n_embd"],
        config["n_layer"],
        config.get("initializer_range", 0.02),
    )
    inner = config.get("n_inner") or 4 * width
    residual = std / sqrt(2 * layers)  # GPT-2 scales what is added to the residual stream
    yield Weight("transformer.wte.weight", (config["vocab_size"], width), std)
    yield Weight("transformer.wpe.weight", (config["n_positions"], width), std)
    for i in range(layers):
        layer = f"transformer.h.{i}"
        yield from _norm(f"{layer}.ln_1", width)
        # GPT-2's own linear layers hold their weights as (inputs, outputs).
        for name, inputs, outputs, deviation in (
            ("attn.c_attn", width, 3 * width, std),
            ("attn.c_proj", width, width, residual),
            ("mlp.c_fc", width, inner, std),
            ("mlp.c_proj", inner, width, residual),
        ):
            if name == "mlp.c_fc":
                yield from _norm(f"{layer}.ln_2", width)
            yield Weight(f"{layer}.{name}.weight", (inputs, outputs), deviation)
            yield Weight(f"{layer}.{name}.bias", (outputs,))
    yield from _norm("transformer.ln_f", width)
    yield Weight("score.weight", (label_count, width), std, head=True)


def architecture_of(config: Config, where: str) -> Architecture:
    """The architecture that a config.json names. Code that it refers to is never run."""
    kind = config.get("model_type")
    for known in CLASSES:
        if kind == known:
            return known
    raise UserError(
        f"checkpoint {where!r} has the model_type {kind!r}; supported: {', '.join(CLASSES)}: use a "
        "checkpoint of one of these"
    )


def max_length(architecture: Architecture, config: Config) -> int:
    """The number of tokens that the model has positions for."""
    return int(config["n_positions" if architecture == "gpt2" else "max_position_embeddings"])


def _bert_config(layers: int, width: int, heads: int, vocabulary: int) -> Config:
    return {
        "model_type": "bert",
        "vocab_size": vocabulary,
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": 4 * width,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "initializer_range": 0.02,
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
    }


def _distilbert_config(layers: int, width: int, heads: int, vocabulary: int) -> Config:
    return {
        "model_type": "distilbert",
        "vocab_size": vocabulary,
        "dim": width,
        "n_layers": layers,
        "n_heads": heads,
        "hidden_dim": 4 * width,
        "max_position_embeddings": 512,
        "activation": "gelu",
        "dropout": 0.1,
        "attention_dropout": 0.1,
        "seq_classif_dropout": 0.2,
        "initializer_range": 0.02,
        "pad_token_id": 0,
    }


def _gpt2_config(layers: int, width: int, heads: int, vocabulary: int) -> Config:
    return {
        "model_type": "gpt2",
        "vocab_size": vocabulary,
        "n_embd": width,
        "n_layer": layers,
        "n_head": heads,
        "n_positions": 1024,
        "activation_function": "gelu_new",
        "embd_pdrop": 0.1,
        "attn_pdrop": 0.1,
        "resid_pdrop": 0.1,
        "layer_norm_epsilon": 1e-5,
        "initializer_range": 0.02,
        "bos_token_id": vocabulary - 1,
        "eos_token_id": vocabulary - 1,
    }


TINY_VOCABULARY = 4096
# Shapes for `random:NAME`. The published ones are those of the checkpoints of the same name.
RANDOM_CONFIGS: dict[str, Config] = {
    "minilm": _bert_config(6, 384, 12, 30_522),
    "bert-base": _bert_config(12, 768, 12, 30_522),
    "distilbert": _distilbert_config(6, 768, 12, 30_522),
    "gpt2": _gpt2_config(12, 768, 12, 50_257),
    "small-bert": _bert_config(4, 384, 12, 30_522),
    "small-distilbert": _distilbert_config(4, 384, 12, 30_522),
    "small-gpt2": _gpt2_config(4, 384, 12, 50_257),
    "tiny-bert": _bert_config(2, 32, 4, TINY_VOCABULARY),
    "tiny-distilbert": _distilbert_config(2, 32, 4, TINY_VOCABULARY),
    "tiny-gpt2": _gpt2_config(2, 32, 4, TINY_VOCABULARY),
}
