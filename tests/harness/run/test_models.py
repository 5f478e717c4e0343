"""A trained model is kept as a whole folder or not at all, and its scores are kept either way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.harness.jobs.job import SavedModel
from benchmarks.harness.run.models import card, finish_model
from benchmarks.harness.worker.questions.accuracy import save_model
from results.schema import Accuracy
from tests.results import samples

pytestmark = pytest.mark.once


@pytest.fixture
def model(tmp_path: Path) -> SavedModel:
    tokenizer = tmp_path / "checkpoint"
    tokenizer.mkdir()
    (tokenizer / "vocab.txt").write_text("[PAD]\n")
    (tokenizer / "model.safetensors").write_text("the checkpoint's, not the trained model's")
    return SavedModel(folder=tmp_path / "run" / "models" / "accuracy-imdb", tokenizer=tokenizer)


def session(save: Callable[[Path], object]) -> Any:
    return SimpleNamespace(save=save)


def measurement() -> Any:
    accuracy = samples.accuracy("imdb", 0.9123, 1.0)
    return samples.measurement("hf_torch", "imdb", "accuracy", accuracy=accuracy)


def test_the_folder_has_weights_tokenizer_and_card(model: SavedModel) -> None:
    trained = session(lambda folder: (folder / "model.safetensors").write_text("trained"))
    assert save_model(model, trained) is None
    assert not model.folder.exists()  # until everything is there
    assert finish_model(model, measurement()) is None
    names = sorted(path.name for path in model.folder.iterdir())
    assert names == ["README.md", "model.safetensors", "vocab.txt"]
    assert (model.folder / "model.safetensors").read_text() == "trained"
    assert list(model.folder.parent.iterdir()) == [model.folder]


def test_the_card_says_how_it_was_trained_and_what_it_scored() -> None:
    m = measurement()
    text = card(m)
    assert "| test | 2,500 | 91.23 |" in text and "from_pretrained" in text
    assert m.data.description in text and m.checkpoint.name in text
    assert f"| learning_rate | {m.recipe['learning_rate']} |" in text
    assert f"{m.require(Accuracy).steps:,} optimizer steps" in text


def test_a_full_disk_in_the_worker_leaves_nothing_half_written(model: SavedModel) -> None:
    def full(folder: Path) -> None:
        (folder / "config.json").write_text("{}")
        raise OSError(28, "No space left on device")

    problem = save_model(model, session(full))
    assert problem == "[Errno 28] No space left on device"
    assert list(model.folder.parent.iterdir()) == []


def test_a_model_that_cannot_be_moved_is_removed(model: SavedModel) -> None:
    save_model(model, session(lambda folder: (folder / "model.keras").write_text("trained")))
    model.folder.write_text("a file in the way")
    assert "accuracy-imdb" in str(finish_model(model, measurement()))
    assert not model.partial.exists()


def test_a_backend_without_a_format_says_so(model: SavedModel) -> None:
    def unsupported(folder: Path) -> None:
        raise NotImplementedError("this backend cannot save its model")

    assert save_model(model, session(unsupported)) == "this backend cannot save its model"
