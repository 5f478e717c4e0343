"""A start is a checkpoint's weights, completed with a head for the task's labels."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import safetensors

from benchmarks.harness.checkpoints.weights import write_weights
from benchmarks.harness.data.tasks import find_task
from tests.harness.checkpoints.model_folder import (
    PREFIX,
    base_folder,
    change,
    refused,
    save,
    start_of,
    weights_of,
)

pytestmark = pytest.mark.usefixtures("empty_cache")


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
    change(folder, architectures=["BertForTokenClassification"])
    assert not np.array_equal(weights_of(start_of(folder, ("a", "b", "c")).folder)[head], given)


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, None])
def test_damaged_weights_are_reported(tmp_path, content):
    folder = base_folder(tmp_path / "model")
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-10] if content is None else content)
    with refused("weights file '.*model.safetensors' is damaged"):
        start_of(folder)


@pytest.mark.parametrize(
    "changed, message",
    [
        (
            {"vocab_size": 4000},
            r"of shape \(4096, 32\), but its config.json requires \(4000, 32\)",
        ),
        ({"num_hidden_layers": 3}, "has no weight 'bert.encoder.layer.2.attention.self.query"),
        ({"num_hidden_layers": 1}, "has the weight 'bert.encoder.layer.1.*not describe"),
    ],
)
def test_weights_that_do_not_fit_their_config_are_reported(tmp_path, changed, message):
    folder = base_folder(tmp_path / "model")
    change(folder, **changed)
    with refused(message):
        start_of(folder)
