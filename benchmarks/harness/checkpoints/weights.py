"""The complete weights that every backend starts from: those of a checkpoint, and missing ones
drawn once by seed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from benchmarks.harness.checkpoints.architectures import PREFIXES, Config, Weight, layout
from benchmarks.harness.errors import UserError
from frameworks.contract import Architecture

Weights = dict[str, np.ndarray]

# Ignored weights of checkpoints: heads of other tasks, and constant buffers that older versions of
# transformers saved.
_IGNORED = re.compile(
    r"cls\.|vocab_|qa_outputs\.|lm_head\.|mc_head\.|multiple_choice_head\.|classifier\.|score\."
    r"|pre_classifier\.|pooler\.|embeddings\.position_ids$|h\.\d+\.attn\.(masked_)?bias$"
)


def read_weights(path: Path) -> Weights:
    """Reads the weights of a safetensors file as float32. Raises UserError if it is damaged."""
    try:
        tensors = safetensors.deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as error:
        raise UserError(f"weights file {str(path)!r} is damaged: {error}") from error
    # Integers are constant buffers (positions, masks), not weights.
    return {
        name: _float32(part["dtype"], part["data"]).reshape(part["shape"])
        for name, part in tensors
        if part["dtype"] in _FLOATS
    }


_FLOATS = {"F32": "<f4", "F16": "<f2", "F64": "<f8", "BF16": "<u2"}


def _float32(kind: str, data: bytes) -> np.ndarray:
    numbers = np.frombuffer(data, _FLOATS[kind])
    if kind == "BF16":  # the upper half of a float32
        return (numbers.astype("<u4") << 16).view("<f4")
    return numbers.astype(np.float32, copy=False)


def complete_weights(
    architecture: Architecture,
    config: Config,
    given: Mapping[str, np.ndarray],
    *,
    label_count: int,
    seed: int,
    where: str,
    random: bool = False,
) -> Weights:
    """The weights of the classifier under transformers' names.

    A base weight comes from `given`, and its absence is an error unless the whole model is
    `random`. A head that `given` has for a classifier of this many labels is kept whole, else it
    is drawn.
    """
    plan = layout(architecture, config, label_count)
    found = _by_full_name(given, plan, PREFIXES[architecture], where)
    keep_head = _has_head(config, found, plan)
    generator = np.random.Generator(np.random.PCG64([seed, label_count]))
    complete: Weights = {}
    for weight in plan:
        pooler = weight.name.startswith("bert.pooler")
        tensor = found.get(weight.name) if not weight.head or keep_head or pooler else None
        if tensor is None and not weight.head and not random:
            raise UserError(
                f"checkpoint {where!r} has no weight {weight.name!r}, which its "
                "config.json requires: use the config.json that belongs to the weights"
            )
        if tensor is not None and tensor.shape != weight.shape:
            raise UserError(
                f"checkpoint {where!r} has {weight.name!r} of shape {tensor.shape}, "
                f"but its config.json requires {weight.shape}: use the config.json that belongs to the weights"
            )
        complete[weight.name] = _draw(weight, generator) if tensor is None else tensor
    return complete


def _by_full_name(
    given: Mapping[str, np.ndarray], plan: Iterable[Weight], prefix: str, where: str
) -> Weights:
    """The given tensors that are in the plan, under the plan's names."""
    names = {weight.name for weight in plan}
    found: Weights = {}
    for name, tensor in given.items():
        # LayerNorm's two weights have these names in checkpoints from TensorFlow 1.
        name = re.sub(r"\.gamma$", ".weight", re.sub(r"\.beta$", ".bias", name))
        if prefix + name in names:
            name = prefix + name
        if name in names:
            found[name] = tensor
        elif not _IGNORED.match(name.removeprefix(prefix)):
            raise UserError(
                f"checkpoint {where!r} has the weight {name!r}, which its config.json "
                "does not describe: use the config.json that belongs to the weights"
            )
    return found


def _has_head(config: Config, found: Mapping[str, np.ndarray], plan: Iterable[Weight]) -> bool:
    """A head of a text classifier with this many labels, not one of another kind of task."""
    head = [weight for weight in plan if weight.head]
    classifies = any("SequenceClassification" in name for name in config.get("architectures") or [])
    return classifies and all(
        weight.name in found and found[weight.name].shape == weight.shape for weight in head
    )


def _draw(weight: Weight, generator: np.random.Generator) -> np.ndarray:
    if weight.deviation is None:
        return np.full(weight.shape, weight.value, np.float32)
    normal = generator.standard_normal(weight.shape, np.float32)
    return normal * np.float32(weight.deviation)


def write_weights(weights: Weights, path: Path) -> None:
    """Writes a safetensors file. Raises UserError if that fails, for example on a full disk."""
    try:
        # transformers rejects a file whose metadata has no format.
        safetensors.numpy.save_file(weights, path, metadata={"format": "pt"})
    except safetensors.SafetensorError as error:
        raise UserError(
            f"cannot write {path} ({error}): free some space there, or set FTBENCH_CACHE to "
            "another folder"
        ) from error
