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
    _described,
    find_checkpoint,
    hub_model,
    is_hub_id,
    read_config,
)
from benchmarks.harness.checkpoints.weights import complete_weights, read_weights, write_weights
from frameworks.contract import Start

# Dropped from config.json: where the model came from, and code that it asks to run.
_DROPPED = (
    "_name_or_path",
    "auto_map",
    "custom_pipelines",
    "dtype",
    "torch_dtype",
    "transformers_version",
)


def make_start(
    source: CheckpointSource, label_names: Sequence[str], seed: int, cache: Path | None = None
) -> Start:
    """The starting point of all backends: a folder with a complete config.json and
    model.safetensors, float32, under transformers' names, made once per checkpoint, labels and
    seed. A head that the checkpoint does not have is drawn by numpy from `seed`."""
    original = read_config(source.folder, source.name)
    config = _start_config(original, source, label_names)
    key = hashlib.sha256(
        json.dumps([FORMAT, source.sha256, original, config, seed], sort_keys=True).encode()
    ).hexdigest()
    target = (cache or cache_folder()) / "starts" / f"{source.architecture}-{key[:40]}"

    def make(folder: Path) -> None:
        given = {} if source.random else read_weights(source.folder / "model.safetensors")
        weights = complete_weights(
            source.architecture,
            original,
            given,
            seed=seed,
            label_count=len(label_names),
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


def shape_start(name: str, label_names: Sequence[str], folder: Path) -> Start:
    """Makes a start with config.json only, in `folder`, for uses that need only shapes. Nothing is
    downloaded for a named checkpoint, and only config.json for a hub id.

    Raises UserError for an unknown checkpoint, and for a folder or hub id without config.json."""
    shape = name if name == "minilm" or name in HUB_CHECKPOINTS else name.partition("random:")[2]
    if shape in RANDOM_CONFIGS:
        config: Config = RANDOM_CONFIGS[shape]
    elif Path(name).expanduser().is_dir():
        config = read_config(Path(name).expanduser(), name)
    elif is_hub_id(name):
        config = read_config(
            fetch.hub_folder(hub_model(name), name, allow_pickle=False, files=["config.json"]), name
        )
    else:
        config = read_config(find_checkpoint(name).folder, name)
    architecture = architecture_of(config, name)
    source = _described(name, folder, architecture, config, "", random=True, vocabulary="none")
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
