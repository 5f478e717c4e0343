"""The start of all backends: a folder with config.json and complete weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import safetensors

from benchmarks.harness.checkpoints import fetch
from benchmarks.harness.checkpoints.architectures import (
    CLASSES,
    RANDOM_CONFIGS,
    Config,
    architecture_of,
)
from benchmarks.harness.checkpoints.cache import cache_folder, make_once
from benchmarks.harness.checkpoints.checkpoint import (
    FORMAT,
    HUB_CHECKPOINTS,
    CheckpointSource,
    describe_source,
    find_checkpoint,
    hub_model,
    is_hub_id,
    local_folder,
)
from benchmarks.harness.checkpoints.config import config_labels, head_order, read_config
from benchmarks.harness.checkpoints.weights import (
    classifies,
    complete_weights,
    read_weights,
    weight_files,
    write_weights,
)
from frameworks.contract import Start

# Dropped from config.json: where the model came from, code that it asks to run, and what calls of
# the model return or how they compute, which the recipe decides.
_DROPPED = (
    "_name_or_path",
    "auto_map",
    "custom_pipelines",
    "dtype",
    "torch_dtype",
    "transformers_version",
    *("_attn_implementation", "attn_implementation", "output_attentions", "output_hidden_states"),
    *("return_dict", "torchscript", "use_cache", "finetuning_task", "task_specific_params"),
)


def make_start(
    source: CheckpointSource, label_names: Sequence[str], seed: int, cache: Path | None = None
) -> Start:
    """Makes the start of all backends: a folder with a complete config.json and
    model.safetensors, float32, under transformers' names, once per checkpoint, labels
    and seed. A head that the checkpoint does not have is drawn by numpy from `seed`."""
    original = read_config(source.folder, source.name)
    config = _start_config(original, source, label_names)
    key = hashlib.sha256(
        json.dumps([FORMAT, source.sha256, original, config, seed], sort_keys=True).encode()
    ).hexdigest()
    target = (cache or cache_folder()) / "starts" / f"{source.architecture}-{key[:40]}"

    def make(folder: Path) -> None:
        files = [] if source.random else weight_files(source.folder, source.name)
        given = read_weights(files)
        weights = complete_weights(
            source.architecture,
            original,
            given,
            seed=seed,
            label_names=label_names,
            where=source.name,
            random=source.random,
        )
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(config, indent=2), "utf-8")
        write_weights(weights, folder / "model.safetensors")

    make_once(target, make, _is_complete)
    return Start(
        target, source.architecture, len(label_names), source.vocabulary_size, source.max_length
    )


def head_note(source: CheckpointSource, label_names: Sequence[str]) -> str | None:
    """What happens to a trained head of the checkpoint; None if it has none, or one for exactly
    these labels."""
    config = {} if source.random else read_config(source.folder, source.name)
    if not classifies(config):
        return None
    order = head_order(config, label_names)
    if order is None:
        theirs = ", ".join((config_labels(config) or ("not named",))[:10])
        return (
            f"the trained head of checkpoint {source.name!r} is not used: its labels ({theirs}) "
            "are not those of the data, so a new head with random weights is used"
        )
    if order != sorted(order):
        return (
            f"the trained head of checkpoint {source.name!r} is reordered by label name: its labels "
            "have another order than those of the data"
        )
    return None


def shape_start(name: str, label_names: Sequence[str], folder: Path) -> Start:
    """Makes a start with config.json only, in `folder`, for uses that need only shapes. Nothing is
    downloaded for a named checkpoint, and only config.json for a hub id.

    Raises UserError for an unknown checkpoint, and for a folder or hub id without config.json."""
    shape = name if name == "minilm" or name in HUB_CHECKPOINTS else name.partition("random:")[2]
    if shape in RANDOM_CONFIGS:
        config: Config = RANDOM_CONFIGS[shape]
    elif (local := local_folder(name)) is not None:
        config = read_config(local, name)
    elif is_hub_id(name):
        config = read_config(
            fetch.hub_folder(hub_model(name), name, allow_pickle=False, files=["config.json"]), name
        )
    else:
        config = read_config(find_checkpoint(name).folder, name)
    architecture = architecture_of(config, name)
    source = describe_source(name, folder, architecture, config, "", random=True, vocabulary="none")
    config = _start_config(config, source, label_names)
    (folder / "config.json").write_text(json.dumps(config, indent=2), "utf-8")
    return Start(folder, architecture, len(label_names), source.vocabulary_size, source.max_length)


def _start_config(config: Config, source: CheckpointSource, label_names: Sequence[str]) -> Config:
    kept = {key: value for key, value in config.items() if key not in _DROPPED}
    return kept | {
        "architectures": [CLASSES[source.architecture]],
        "num_labels": len(label_names),
        "id2label": {str(i): name for i, name in enumerate(label_names)},
        "label2id": {name: i for i, name in enumerate(label_names)},
        "problem_type": "single_label_classification",
        "pad_token_id": source.pad_id,
    }


def _is_complete(folder: Path) -> bool:
    """Whether both files exist, and the weights file is as long as its header says."""
    try:
        with safetensors.safe_open(folder / "model.safetensors", "np"):
            return (folder / "config.json").is_file()
    except (OSError, safetensors.SafetensorError):
        return False
