"""Finds a checkpoint by name, folder or hub id, and provides it as one folder."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.checkpoints import fetch
from benchmarks.harness.checkpoints.architectures import (
    RANDOM_CONFIGS,
    Config,
    architecture_of,
    layout,
    max_length,
)
from benchmarks.harness.checkpoints.cache import cache_folder, make_once
from benchmarks.harness.checkpoints.config import check_config, pad_id, read_config
from benchmarks.harness.checkpoints.fetch import MINILM_SHA256, HubModel
from benchmarks.harness.checkpoints.tokenizers import (
    FILE_SETS,
    FILES,
    tokenizer_digest,
    tokenizer_files,
)
from benchmarks.harness.checkpoints.vocabulary import write_vocabulary
from benchmarks.harness.checkpoints.weights import weight_files, weights_digest
from benchmarks.harness.errors import UserError, unknown
from benchmarks.harness.machine.paths import user_path
from frameworks.contract import Architecture, backends
from results.schema import Checkpoint

FORMAT = 3  # increase it whenever the same checkpoint gives a different start

HUB_CHECKPOINTS = {
    "bert-base": HubModel(
        "google-bert/bert-base-uncased", "86b5e0934494bd15c9632b12f734a8a67f723594"
    ),
    "distilbert": HubModel(
        "distilbert/distilbert-base-uncased", "12040accade4e8a0f71eabdb258fecc2e7e948be"
    ),
    "gpt2": HubModel("openai-community/gpt2", "607a30d783dfa663caf39e06633721c8d4cfcd7e"),
}


@dataclass(frozen=True)
class CheckpointSource:
    """A local checkpoint: a folder with config.json, tokenizer files and, unless `random`,
    model.safetensors."""

    name: str
    folder: Path
    architecture: Architecture
    sha256: str  # of model.safetensors; of config.json when random
    random: bool
    max_length: int  # tokens
    vocabulary_size: int
    pad_id: int
    vocabulary: str  # where its tokenizer is from: 'own', 'built-in' or another checkpoint


def checkpoint_names() -> dict[str, str]:
    """Every named checkpoint with a one-line description."""
    names = {
        "minilm": "MiniLM-L6-H384 (BERT, 6 layers, hidden 384, 22.7 M parameters); the default",
        "bert-base": "BERT base, uncased (12 layers, hidden 768, 109 M parameters), from the hub",
        "distilbert": "DistilBERT base, uncased (6 layers, hidden 768, 66 M parameters), from the "
        "hub",
        "gpt2": "GPT-2 small (12 layers, hidden 768, 124 M parameters), from the hub",
    }
    shapes = {
        f"random:{name}": "random weights of that shape: speed and memory only"
        for name in RANDOM_CONFIGS
    }
    return names | shapes


def find_checkpoint(name: str, *, allow_pickle: bool = False) -> CheckpointSource:
    """A named checkpoint, `random:SHAPE`, a local folder, or a hub id ('owner/name', with
    '@revision' to pin it), downloaded if needed.

    `allow_pickle` lets weights be read from pytorch_model.bin when there is no
    model.safetensors. Raises UserError when it cannot be downloaded, is not a model, or has an
    unsupported architecture.
    """
    if name.startswith("random:"):
        return _random(name)
    if name == "minilm":
        folder = fetch.minilm_folder()
    elif name in HUB_CHECKPOINTS:
        folder = fetch.hub_folder(HUB_CHECKPOINTS[name], name, allow_pickle=allow_pickle)
    elif (local := local_folder(name)) is not None:
        folder = local
    elif is_hub_id(name):
        folder = fetch.hub_folder(hub_model(name), name, allow_pickle=allow_pickle)
    elif "/" in name or name.startswith((".", "~")):
        raise UserError(f"checkpoint folder {name!r} does not exist: check the path")
    else:
        raise unknown("checkpoint", name, checkpoint_names())
    return _source(name, folder, allow_pickle=allow_pickle)


def _source(name: str, folder: Path, *, allow_pickle: bool) -> CheckpointSource:
    config = read_config(folder, name)
    architecture = architecture_of(config, name)
    tokenizer_files(folder)
    if not weight_files(folder, name):
        folder = fetch.unpickled_folder(folder, name, allow_pickle=allow_pickle)
    sha256 = weights_digest(weight_files(folder, name))
    if name == "minilm" and sha256 != MINILM_SHA256:
        raise UserError(
            f"checkpoint 'minilm': the weights in {str(folder)!r} have the sha256 "
            f"{sha256[:12]}…, not the published {MINILM_SHA256[:12]}…: remove that "
            "copy to download it again"
        )
    return describe_source(
        name, folder, architecture, config, sha256, random=False, vocabulary="own"
    )


def describe_source(
    name: str,
    folder: Path,
    architecture: Architecture,
    config: Config,
    sha256: str,
    *,
    random: bool,
    vocabulary: str,
) -> CheckpointSource:
    check_config(architecture, config, name)
    try:
        layout(architecture, config, 1)  # reads all settings that determine a shape
        return CheckpointSource(
            name=name,
            folder=folder,
            architecture=architecture,
            sha256=sha256,
            random=random,
            max_length=max_length(architecture, config),
            vocabulary_size=config["vocab_size"],
            pad_id=pad_id(architecture, config, name),
            vocabulary=vocabulary,
        )
    except KeyError as error:
        raise UserError(
            f"checkpoint {name!r}: its config.json has no {error}: use the config.json that belongs to "
            "the model"
        ) from error


def local_folder(name: str) -> Path | None:
    """The folder that a name refers to; None if there is none. Raises UserError for a file."""
    path = user_path(name)
    try:
        if path.is_file():
            raise UserError(
                f"checkpoint {name!r} is a file: give the folder with config.json, the weights and "
                "the tokenizer's files"
            )
        return path.absolute() if path.is_dir() else None
    except OSError as error:
        raise UserError(f"checkpoint {name!r}: cannot read that path: {error.strerror}") from error


def is_hub_id(name: str) -> bool:
    """Whether a name has the form 'owner/name' and does not look like a path."""
    return name.count("/") == 1 and not name.startswith(("/", ".", "~"))


def hub_model(name: str) -> HubModel:
    repository, _, revision = name.partition("@")
    return HubModel(repository, revision or None)


def _random(name: str) -> CheckpointSource:
    """Makes a folder with config.json and a vocabulary: that of a local checkpoint of the same
    architecture if there is one (nothing is downloaded), else the built-in one."""
    shape = name.removeprefix("random:")
    if shape not in RANDOM_CONFIGS:
        raise unknown("checkpoint", name, [f"random:{known}" for known in RANDOM_CONFIGS])
    config = RANDOM_CONFIGS[shape]
    architecture = architecture_of(config, name)
    donor = None if shape.startswith("tiny-") else _find_local_vocabulary(architecture)
    text = json.dumps(config, indent=2)
    vocabulary = donor[0] if donor else "built-in"
    of = tokenizer_digest(donor[1]).hex()[:12] if donor else f"builtin-{FORMAT}"
    target = cache_folder() / "random" / f"{shape}-{of}"

    def make(folder: Path) -> None:
        folder.mkdir()
        (folder / "config.json").write_text(text, "utf-8")
        if donor is None:
            write_vocabulary(folder, architecture)
        else:
            for path in (donor[1] / file for file in FILES):
                if path.is_file():
                    shutil.copyfile(path, folder / path.name)

    def is_good(folder: Path) -> bool:
        path = folder / "config.json"
        return (
            path.is_file()
            and path.read_text("utf-8") == text
            and any(all((folder / file).is_file() for file in files) for files in FILE_SETS)
        )

    make_once(target, make, is_good)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return describe_source(
        name, target, architecture, config, digest, random=True, vocabulary=vocabulary
    )


def _find_local_vocabulary(architecture: Architecture) -> tuple[str, Path] | None:
    """Name and folder of a local checkpoint with the vocabulary of the architecture."""
    if architecture == "gpt2":
        folder = fetch.find_cached_model(HUB_CHECKPOINTS["gpt2"])
        return ("gpt2", folder) if folder else None
    folder = fetch.find_local_minilm()
    if folder:
        return ("minilm", folder)
    folder = fetch.find_cached_model(HUB_CHECKPOINTS["bert-base"])
    return ("bert-base", folder) if folder else None


def check_length(source: CheckpointSource, length: int) -> None:
    """Raises UserError when the model has no positions for `length` tokens."""
    if length > source.max_length:
        raise UserError(
            f"length {length} exceeds what checkpoint {source.name!r} can read at once "
            f"({source.max_length} tokens): set length to {source.max_length} or less"
        )


def checkpoint_record(source: CheckpointSource, backend: str) -> Checkpoint:
    own = backends()[backend].architecture
    if own is None:
        return Checkpoint(
            name=source.name,
            architecture=source.architecture,
            sha256=source.sha256,
            random=source.random,
        )
    return Checkpoint(
        name=source.name, architecture=own, sha256="", random=False, tokenizer_only=True
    )
