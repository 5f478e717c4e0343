"""Reads a checkpoint's config.json, and checks the settings that decide shapes and tokens."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeGuard

from benchmarks.harness.data.readers.content import refuse_other_files
from benchmarks.harness.errors import UserError
from frameworks.contract import Architecture

Config = dict[str, Any]

_COUNTS: dict[Architecture, tuple[str, ...]] = {
    "bert": (
        "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
        "num_attention_heads", "max_position_embeddings", "type_vocab_size",
    ),
    "distilbert": (
        "vocab_size", "dim", "hidden_dim", "n_layers", "n_heads", "max_position_embeddings",
    ),
    "gpt2": ("vocab_size", "n_embd", "n_layer", "n_head", "n_positions"),
}  # fmt: skip
_WIDTH_AND_HEADS: dict[Architecture, tuple[str, str]] = {
    "bert": ("hidden_size", "num_attention_heads"),
    "distilbert": ("dim", "n_heads"),
    "gpt2": ("n_embd", "n_head"),
}
_ACTIVATION: dict[Architecture, str] = {
    "bert": "hidden_act",
    "distilbert": "activation",
    "gpt2": "activation_function",
}
_NUMBER = re.compile(r".*(dropout|_prob|_pdrop|_eps|_epsilon|initializer_range)$")
_RATE = re.compile(r".*(dropout|_prob|_pdrop)$")
# Settings that change the model, with the value that every backend can follow.
_ONLY: dict[str, Any] = {
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
    "pruned_heads": {},
    "chunk_size_feed_forward": 0,
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "reorder_and_upcast_attn": False,
}
_ACTIVATIONS = (
    "gelu",
    "gelu_new",
    "gelu_fast",
    "quick_gelu",
    "relu",
    "silu",
    "swish",
    "mish",
    "tanh",
)
_GENERIC = re.compile(r"label_(\d+)")  # what transformers calls labels without names


def read_config(folder: Path, name: str) -> Config:
    """Reads config.json. Raises UserError for a file that is missing or not a JSON object."""
    path = folder / "config.json"
    if not path.is_file():
        if (folder / "adapter_config.json").is_file():
            raise UserError(
                f"checkpoint {name!r} is an adapter (adapter_config.json), not a model: merge it "
                "into its base model and use that folder"
            )
        inner = sorted(str(path.parent) for path in folder.glob("*/config.json"))
        there = ", ".join(inner[:5]) or "the folder with config.json, the weights and the tokenizer"
        raise UserError(
            f"checkpoint {name!r} is not a model: {str(folder)!r} has no config.json: use {there}"
        )
    if (folder / "adapter_config.json").is_file():
        raise UserError(
            f"checkpoint {name!r} has an adapter beside the model (adapter_config.json): merge it "
            "into the model, or remove that file"
        )
    config = read_json(path, name)
    if not isinstance(config, dict):
        raise UserError(f"checkpoint {name!r}: {str(path)!r} is not a JSON object")
    return config


def read_json(path: Path, name: str) -> Any:
    try:
        content = path.read_bytes()
        refuse_other_files(content, f"checkpoint {name!r}: {str(path)!r}")
        return json.loads(content.decode("utf-8-sig"))
    except OSError as error:
        raise UserError(
            f"checkpoint {name!r}: cannot read {str(path)!r} ({error.strerror}): check its permissions"
        ) from error
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"checkpoint {name!r}: {str(path)!r} is not valid JSON ({error}): copy or download it again"
        ) from error


def check_config(architecture: Architecture, config: Config, name: str) -> None:
    """Raises UserError for a setting of the wrong type or range."""

    def refuse(field: str, rule: str) -> UserError:
        return UserError(
            f"checkpoint {name!r}: config.json has {field} = {config[field]!r}: it must be {rule}"
        )

    for field in _COUNTS[architecture]:
        if field in config and not (_is_integer(config[field]) and config[field] > 0):
            raise refuse(field, "an integer above 0")
    if config.get("n_inner") is not None and not _is_integer(config["n_inner"]):
        raise refuse("n_inner", "an integer, or null")
    for field, value in config.items():
        if _NUMBER.match(field) and value is not None and not _is_number(value):
            raise refuse(field, "a number")
        if _RATE.match(field) and value is not None and not 0 <= value <= 1:
            raise refuse(field, "from 0 to 1")
        if field in _ONLY and value is not None and value != _ONLY[field]:
            raise refuse(field, f"{_ONLY[field]!r}: other models are not supported")
    activation = _ACTIVATION[architecture]
    if config.get(activation, "gelu") not in _ACTIVATIONS:
        raise refuse(activation, f"one of {', '.join(_ACTIVATIONS)}")
    if config.get("quantization_config"):
        raise UserError(
            f"checkpoint {name!r} is quantized (quantization_config in config.json): use the model "
            "that it was made from"
        )
    width, heads = _WIDTH_AND_HEADS[architecture]
    if width in config and heads in config and config[width] % config[heads]:
        raise refuse(width, f"a multiple of {heads} ({config[heads]})")


def _is_integer(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def pad_id(architecture: Architecture, config: Config, name: str) -> int:
    """The token that short texts are padded with. GPT-2 usually has none: then it is its end of
    text, which no tokenized text contains."""
    vocabulary = config["vocab_size"]
    default = 0
    if architecture == "gpt2":
        default = _token(config, "eos_token_id", vocabulary - 1, vocabulary, name)
    return _token(config, "pad_token_id", default, vocabulary, name)


def _token(config: Config, field: str, default: int, vocabulary: int, name: str) -> int:
    """One token id, which configs write as a number, a list (the first counts) or null."""
    value: Any = config.get(field)
    if isinstance(value, list):
        value = value[0] if value else None
    if value is None:
        return default
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not _is_integer(value) or not 0 <= value < vocabulary:
        raise UserError(
            f"checkpoint {name!r}: config.json has {field} = {config[field]!r}: it must be a token "
            f"of the vocabulary (0 to {vocabulary - 1:,}), or null"
        )
    return value


def config_labels(config: Config) -> tuple[str, ...] | None:
    """The labels of a trained head in the order of its rows; None if config.json has none."""
    labels = config.get("id2label")
    if labels is None and isinstance(config.get("label2id"), dict):
        labels = {str(number): name for name, number in config["label2id"].items()}
    if not isinstance(labels, dict):
        return None
    names = [labels.get(str(i)) for i in range(len(labels))]
    return tuple(str(name) for name in names) if names and None not in names else None


def head_order(config: Config, label_names: Sequence[str]) -> list[int] | None:
    """For each label, the row of the trained head with the same name. None if the names are not
    the same."""
    known = config_labels(config)
    if known is None or len(known) != len(label_names):
        return None
    rows = {_plain(name): i for i, name in enumerate(known)}
    wanted = [_plain(name) for name in label_names]
    if len(rows) < len(known) or len(set(wanted)) < len(wanted) or set(rows) != set(wanted):
        return None
    return [rows[name] for name in wanted]


def _plain(label: str) -> str:
    """A label without what differs between spellings of it: 'LABEL_1' is label 1."""
    text = label.strip().casefold()
    generic = _GENERIC.fullmatch(text)
    return generic[1] if generic else text
