"""A checkpoint's weights and trained head are followed, or refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from benchmarks.harness.checkpoints import fetch
from benchmarks.harness.checkpoints.checkpoint import find_checkpoint
from benchmarks.harness.checkpoints.config import config_labels, head_order
from benchmarks.harness.checkpoints.start import head_note, make_start
from benchmarks.harness.errors import download_reason
from tests.harness.checkpoints.model_folder import LABELS, LFS, change, refused

# Weights


def shard(folder: Path, count: int = 3) -> list[Path]:
    weights = safetensors.numpy.load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = [f"model-{i + 1:05}-of-{count:05}.safetensors" for i in range(count)]
    places = {weight: names[i % count] for i, weight in enumerate(weights)}
    for name in names:
        part = {w: weights[w] for w, place in places.items() if place == name}
        safetensors.numpy.save_file(part, folder / name, {"format": "pt"})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    return [folder / name for name in names]


def test_shards_are_read(folder):
    whole = safetensors.numpy.load_file(folder / "model.safetensors")
    digest = find_checkpoint(str(folder)).sha256
    shards = shard(folder)
    source = find_checkpoint(str(folder))
    assert source.sha256 != digest and len(source.sha256) == 64
    made = safetensors.numpy.load_file(make_start(source, LABELS, 1).folder / "model.safetensors")
    assert made.keys() == whole.keys()
    assert all(np.array_equal(made[name], whole[name]) for name in whole)
    shards[1].unlink()
    with refused(
        "1 of the 3 files that model.safetensors.index.json names are missing: model-00002"
    ):
        find_checkpoint(str(folder))


def test_shards_are_asked_of_the_hub(monkeypatch, tmp_path):
    import huggingface_hub

    asked = []

    def download(repository, *, revision, allow_patterns):
        asked.extend(allow_patterns)
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    fetch.hub_folder(fetch.HubModel("owner/name", None), "owner/name", allow_pickle=False)
    assert {"model.safetensors.index.json", "model-*-of-*.safetensors"} <= set(asked)
    asked.clear()
    fetch.hub_folder(fetch.HubModel("a/b", None), "a/b", allow_pickle=False, files=["config.json"])
    assert asked == ["config.json"]


@pytest.mark.parametrize("name", ["model.safetensors", "vocab.txt", "config.json"])
def test_git_lfs_pointers_are_reported(folder, name):
    (folder / name).write_text(LFS)
    with refused(f"{name}.* is a Git LFS pointer, not the file itself: run `git lfs pull`"):
        find_checkpoint(str(folder))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_numbers_are_reported(folder, value):
    weights = safetensors.numpy.load_file(folder / "model.safetensors")
    weights["bert.pooler.dense.weight"][0, 0] = value
    safetensors.numpy.save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with refused("NaN or infinite numbers in 'bert.pooler.dense.weight'"):
        make_start(find_checkpoint(str(folder)), LABELS, 1)


def test_a_head_that_contradicts_its_labels_is_reported(folder):
    change(folder, id2label={"0": "yes", "1": "no"})
    with refused("'classifier.weight' of shape .3, 32., but the labels .* require .2, 32."):
        make_start(find_checkpoint(str(folder)), ("no", "yes"), 1)


def test_the_folder_with_the_model_is_named(folder):
    (folder.parent / "run" / "checkpoint-500").mkdir(parents=True)
    folder.rename(folder.parent / "run" / "checkpoint-500" / "model")
    with refused("has no config.json: use .*checkpoint-500/model"):
        find_checkpoint(str(folder.parent / "run" / "checkpoint-500"))
    inner = folder.parent / "run" / "checkpoint-500" / "model"
    (inner / "adapter_config.json").write_text("{}")
    with refused("has an adapter beside the model"):
        find_checkpoint(str(inner))
    (inner / "adapter_config.json").unlink()
    (inner / "model.safetensors").rename(inner / "model.fp16.safetensors")
    with refused("model.safetensors is missing .*it contains: .*model.fp16.safetensors"):
        find_checkpoint(str(inner))


@pytest.mark.parametrize("index", ["{}", "[]", '{"weight_map": {}}', "{", LFS])
def test_a_damaged_index_is_reported(folder, index):
    shard(folder)
    (folder / "model.safetensors.index.json").write_text(index)
    with refused("no weight_map|not valid JSON|Git LFS pointer"):
        find_checkpoint(str(folder))


def test_what_is_not_a_model_folder_is_reported(folder):
    with refused("model.safetensors' is a file: give the folder"):
        find_checkpoint(str(folder / "model.safetensors"))
    (folder / "config.json").rename(folder / "adapter_config.json")
    with refused("is an adapter .* merge it into its base model"):
        find_checkpoint(str(folder))
    with refused("no home folder"):
        find_checkpoint("~nobody-here/model")
    with refused("File name too long"):
        find_checkpoint("a" * 400)


def test_empty_weights_are_reported(folder):
    (folder / "model.safetensors").write_bytes(b"")
    with refused("weights file '.*model.safetensors' is damaged"):
        make_start(find_checkpoint(str(folder)), LABELS, 1)


# A trained head goes by its labels' names


@pytest.mark.parametrize(
    "names, order",
    [
        (LABELS, [0, 1, 2]),
        (("contradiction", "entailment", "neutral"), [2, 0, 1]),
        (("Contradiction", "ENTAILMENT", " neutral"), [2, 0, 1]),
        (("contradiction", "entailment"), None),
        (("contradiction", "entailment", "other"), None),
        (("0", "1", "2"), None),
        (("neutral", "Neutral", "entailment"), None),
    ],
)
def test_a_head_goes_by_name(folder, names, order):
    config = json.loads((folder / "config.json").read_text())
    assert config_labels(config) == LABELS and head_order(config, names) == order
    source = find_checkpoint(str(folder))
    note = head_note(source, names)
    if order is None:
        assert "is not used: its labels (entailment, neutral, contradiction)" in (note or "")
        return
    assert (note is None) == (order == [0, 1, 2])
    given = safetensors.numpy.load_file(folder / "model.safetensors")
    made = safetensors.numpy.load_file(make_start(source, names, 1).folder / "model.safetensors")
    for name in ("classifier.weight", "classifier.bias"):
        assert np.array_equal(made[name], given[name][order])


@pytest.mark.parametrize(
    "labels, names, order",
    [
        ({"0": "LABEL_0", "1": "LABEL_1"}, ("0", "1"), [0, 1]),
        ({"1": "b", "0": "a"}, ("b", "a"), [1, 0]),
        ({"0": "a", "2": "b"}, ("a", "b"), None),
        ({"0": 5, "1": 3}, ("3", "5"), [1, 0]),
        ({"0": None, "1": "a"}, ("a", "b"), None),
        (["a", "b"], ("a", "b"), None),
        ({}, ("a", "b"), None),
        (None, ("a", "b"), None),
        ({"0": "a", "1": "A"}, ("a", "A"), None),
    ],
)
def test_labels_are_written_in_many_ways(labels, names, order):
    assert head_order({"id2label": labels}, names) == order


def test_random_and_base_models_have_no_head_to_mention(folder):
    assert head_note(find_checkpoint("random:tiny-bert"), ("a", "b")) is None
    change(folder, architectures=["BertModel"])
    assert head_note(find_checkpoint(str(folder)), ("a", "b")) is None


# Downloads


def test_a_failed_download_names_the_proxy_settings(monkeypatch):
    import huggingface_hub

    def download(*_, **__):
        raise ImportError("Using SOCKS proxy,\nbut a package is missing")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    monkeypatch.setenv("ALL_PROXY", "socks5://user:secret@127.0.0.1:9")
    with refused("'bert-base' .*Using SOCKS proxy,.*ALL_PROXY=socks5://…@127.0.0.1:9") as caught:
        find_checkpoint("bert-base")
    assert "secret" not in str(caught.value)


def test_a_reason_is_one_short_line():
    assert download_reason(ValueError()).startswith("ValueError")
    assert len(download_reason(ValueError("x" * 9999)).split(" (proxy")[0]) < 400
