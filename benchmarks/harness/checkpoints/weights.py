"""The complete weights that every backend starts from: those of a checkpoint, and missing ones
drawn once by seed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from benchmarks.harness.checkpoints.architectures import PREFIXES, Config, Weight, layout
from benchmarks.harness.checkpoints.config import head_order, read_json
from benchmarks.harness.data.readers.content import refuse_other_files
from benchmarks.harness.errors import UserError, first_line
from frameworks.contract import Architecture

Weights = dict[str, np.ndarray]
_BY_LABEL = ("classifier.", "score.")  # weights with one row per label

# Ignored weights of checkpoints: heads of other tasks, and constant buffers that older versions of
# transformers saved.
_IGNORED = re.compile(
    r"cls\.|vocab_|qa_outputs\.|lm_head\.|mc_head\.|multiple_choice_head\.|classifier\.|score\."
    r"|pre_classifier\.|pooler\.|embeddings\.position_ids$|h\.\d+\.attn\.(masked_)?bias$"
)


INDEX = "model.safetensors.index.json"  # which shard holds which weight


def weight_files(folder: Path, name: str) -> list[Path]:
    """The safetensors files of a checkpoint: one, or its shards in order; empty if it has none.

    Raises UserError for shards that are missing, and for Git LFS pointers."""
    single = folder / "model.safetensors"
    files = [single] if single.is_file() else []
    if not files and (folder / INDEX).is_file():
        index = read_json(folder / INDEX, name)
        shards = index.get("weight_map") if isinstance(index, dict) else None
        if not isinstance(shards, dict) or not shards:
            raise UserError(
                f"checkpoint {name!r}: {INDEX} is damaged (it has no weight_map): copy or download it "
                "again"
            )
        names = sorted({str(shard) for shard in shards.values()})
        files = [folder / Path(shard).name for shard in names]
        missing = [path.name for path in files if not path.is_file()]
        if missing:
            raise UserError(
                f"checkpoint {name!r}: {len(missing)} of the {len(files)} files that {INDEX} names "
                f"are missing: {', '.join(missing[:3])}: copy or download them"
            )
    for path in files:
        with path.open("rb") as file:
            refuse_other_files(file.read(200), f"checkpoint {name!r}: {path.name}")
    return files


def weights_digest(files: Sequence[Path]) -> str:
    """The sha256 of the weights file; of several, that of their names and digests."""
    digests = []
    for path in files:
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    if len(files) == 1:
        return digests[0]
    lines = [f"{path.name} {digest}\n" for path, digest in zip(files, digests, strict=True)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def read_weights(files: Sequence[Path]) -> Weights:
    """Reads the weights of safetensors files as float32. Raises UserError if one is damaged."""
    found: Weights = {}
    for path in files:
        found |= _read_file(path)
    return found


def _read_file(path: Path) -> Weights:
    try:
        if path.stat().st_size == 0:
            raise UserError(
                f"weights file {str(path)!r} is damaged: it is empty: copy or download it again"
            )
        tensors = safetensors.deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
    except (safetensors.SafetensorError, OSError) as error:
        raise UserError(
            f"weights file {str(path)!r} is damaged: {first_line(error)}: copy or download it again"
        ) from error
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
    label_names: Sequence[str],
    seed: int,
    where: str,
    random: bool = False,
) -> Weights:
    """The weights of the classifier under transformers' names.

    A base weight comes from `given`, and its absence is an error unless the whole model is
    `random`. A trained head for the same labels, by name, is kept, with its rows in the order of
    `label_names`; otherwise a head is drawn.
    """
    label_count = len(label_names)
    plan = layout(architecture, config, label_count)
    found = _by_full_name(given, plan, PREFIXES[architecture], where)
    order = head_order(config, label_names) if _has_head(config, found, plan) else None
    if order is None and classifies(config) and head_order(config, label_names) is not None:
        _check_head(found, plan, where)
    generator = np.random.Generator(np.random.PCG64([seed, label_count]))
    complete: Weights = {}
    for weight in plan:
        pooler = weight.name.startswith("bert.pooler")
        kept = not weight.head or order is not None or pooler
        tensor = found.get(weight.name) if kept else None
        if tensor is None and not weight.head and not random:
            raise UserError(
                f"checkpoint {where!r} has no weight {weight.name!r}, which its "
                "config.json requires: use the config.json that belongs to the weights"
            )
        if tensor is not None and tensor.shape != weight.shape:
            raise UserError(
                f"checkpoint {where!r} has {weight.name!r} of shape {tensor.shape}, "
                f"but its config.json requires {weight.shape}: use the config.json that belongs to "
                "the weights"
            )
        if tensor is not None and not np.isfinite(tensor).all():
            raise UserError(
                f"checkpoint {where!r} has NaN or infinite numbers in {weight.name!r}: use a "
                "checkpoint from before its training failed"
            )
        if tensor is not None and order is not None and weight.name.startswith(_BY_LABEL):
            tensor = np.ascontiguousarray(tensor[order])
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


def classifies(config: Config) -> bool:
    """Whether a checkpoint is a text classifier, not a base model or another kind of task."""
    names = config.get("architectures")
    return isinstance(names, list) and any("SequenceClassification" in str(n) for n in names)


def _has_head(config: Config, found: Mapping[str, np.ndarray], plan: Iterable[Weight]) -> bool:
    """A head of a text classifier with this many labels, not one of another kind of task."""
    head = [weight for weight in plan if weight.head]
    return classifies(config) and all(
        weight.name in found and found[weight.name].shape == weight.shape for weight in head
    )


def _check_head(found: Mapping[str, np.ndarray], plan: Iterable[Weight], where: str) -> None:
    """Raises UserError for a head whose shape contradicts the labels that config.json names."""
    for weight in plan:
        if weight.name in found and weight.head and found[weight.name].shape != weight.shape:
            raise UserError(
                f"checkpoint {where!r} has {weight.name!r} of shape {found[weight.name].shape}, but "
                f"the labels in its config.json require {weight.shape}: use the config.json that "
                "belongs to the weights"
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
