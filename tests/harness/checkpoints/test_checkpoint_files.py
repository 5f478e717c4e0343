"""A checkpoint's own files are followed, or refused in one line."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.harness.checkpoints import fetch
from benchmarks.harness.checkpoints.checkpoint import find_checkpoint
from benchmarks.harness.checkpoints.config import config_labels, head_order
from benchmarks.harness.checkpoints.start import head_note, make_start
from benchmarks.harness.checkpoints.tokenizers import load_tokenizer
from benchmarks.harness.errors import UserError, download_reason

LABELS = ("entailment", "neutral", "contradiction")
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"


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


def change(folder: Path, name: str = "config.json", **changed) -> None:
    path = folder / name
    content = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(content | changed))


def tokens(folder: Path, text: str, second: str | None = None) -> list[str]:
    return load_tokenizer(folder, "bert", 64).encode(text, second).tokens


def refused(message: str):
    return pytest.raises(UserError, match=message)


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


# Tokens


def save_json(folder: Path, **changed) -> None:
    """The folder's vocabulary as tokenizer.json, with changes to it."""
    content = json.loads(load_tokenizer(folder, "bert", 64).to_str()) | changed
    (folder / "tokenizer.json").write_text(json.dumps(content))


def test_special_tokens_are_added_where_the_files_do_not(folder):
    expected = tokens(folder, "the film", "great")
    save_json(folder, post_processor=None)
    assert tokens(folder, "the film", "great") == expected
    assert tokens(folder, "") == ["[CLS]", "[SEP]"]
    encoding = load_tokenizer(folder, "bert", 64).encode("the film", "great")
    assert encoding.type_ids == [0] * (len(expected) - 2) + [1, 1]


def test_a_tokenizer_that_adds_its_own_is_kept(folder):
    content = json.loads(load_tokenizer(folder, "bert", 64).to_str())
    save_json(folder)
    assert (
        json.loads(load_tokenizer(folder, "bert", 64).to_str())["post_processor"]
        == (content["post_processor"])
    )


def test_special_tokens_that_are_missing_are_reported(folder):
    lines = (folder / "vocab.txt").read_text().splitlines()
    (folder / "vocab.txt").write_text("\n".join(x for x in lines if x != "[CLS]") + "\n")
    with refused(r"vocabulary has no '\[CLS\]'"):
        load_tokenizer(folder, "bert", 64)
    (folder / "vocab.txt").write_text("\n".join(x for x in lines if x != "[UNK]") + "\n")
    with refused(r"has no unknown token '\[UNK\]'"):
        load_tokenizer(folder, "bert", 64)


@pytest.mark.parametrize("form", ["<s>", {"content": "<s>", "lstrip": False}])
def test_special_tokens_have_the_names_that_the_files_give(folder, form):
    lines = (folder / "vocab.txt").read_text().replace("[CLS]", "<s>")
    (folder / "vocab.txt").write_text(lines)
    change(folder, "special_tokens_map.json", cls_token=form)
    assert tokens(folder, "film")[0] == "<s>"


def test_added_tokens_keep_their_ids(folder):
    count = len((folder / "vocab.txt").read_text().splitlines())
    (folder / "added_tokens.json").write_text(json.dumps({"<user>": count}))
    assert load_tokenizer(folder, "bert", 64).encode("a <user>").ids[2] == count
    change(folder, "tokenizer_config.json", added_tokens_decoder={count + 1: {"content": "<me>"}})
    assert load_tokenizer(folder, "bert", 64).encode("<me>").ids[1] == count + 1
    (folder / "added_tokens.json").write_text(json.dumps({"<user>": count + 7}))
    with refused("added token '<me>' .* has the id"):
        load_tokenizer(folder, "bert", 64)


@pytest.mark.parametrize(
    "settings_, message",
    [
        (
            {"tokenizer_class": "BertJapaneseTokenizer"},
            "class 'BertJapaneseTokenizer'.*tokenizer.json",
        ),
        ({"tokenizer_class": "XLNetTokenizerFast"}, "class 'XLNetTokenizer'"),
        ({"do_basic_tokenize": False}, "do_basic_tokenize = False, which is not supported"),
        ({"add_bos_token": True}, "add_bos_token = True, which is not supported"),
    ],
)
def test_settings_that_are_not_supported_are_reported(folder, settings_, message):
    change(folder, "tokenizer_config.json", **settings_)
    with refused(message):
        load_tokenizer(folder, "bert", 64)


@pytest.mark.parametrize("name", ["BertTokenizerFast", "DistilBertTokenizer", None])
def test_usual_tokenizer_classes_are_read(folder, name):
    change(folder, "tokenizer_config.json", tokenizer_class=name)
    assert tokens(folder, "film")[0] == "[CLS]"


# config.json


@pytest.mark.parametrize(
    "changed, pad",
    [
        ({"pad_token_id": None}, 0),
        ({"pad_token_id": 3}, 3),
        ({"pad_token_id": [5, 6]}, 5),
        ({"pad_token_id": []}, 0),
        ({"pad_token_id": 3.0}, 3),
        ({"eos_token_id": [1, 2]}, 0),
    ],
)
def test_padding_tokens_are_written_in_many_ways(folder, changed, pad):
    change(folder, **changed)
    assert find_checkpoint(str(folder)).pad_id == pad


@pytest.mark.parametrize(
    "changed, pad",
    [
        ({"eos_token_id": None}, 4095),
        ({"eos_token_id": 7}, 7),
        ({"eos_token_id": [7, 9]}, 7),
        ({"eos_token_id": 7, "pad_token_id": 8}, 8),
        ({"pad_token_id": None}, 4095),
    ],
)
def test_gpt2_pads_with_its_end_of_text(tmp_path, monkeypatch, changed, pad):
    from benchmarks.harness.checkpoints.architectures import RANDOM_CONFIGS
    from benchmarks.harness.checkpoints.config import pad_id

    assert pad_id("gpt2", RANDOM_CONFIGS["tiny-gpt2"] | changed, "x") == pad


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"hidden_size": "32"}, "hidden_size = '32': it must be an integer above 0"),
        ({"hidden_size": 32.5}, "hidden_size = 32.5: it must be an integer above 0"),
        ({"num_hidden_layers": True}, "num_hidden_layers = True"),
        ({"vocab_size": -1}, "vocab_size = -1"),
        ({"vocab_size": None}, "vocab_size = None"),
        ({"num_attention_heads": 5}, r"hidden_size = 32: it must be a multiple of .*heads \(5\)"),
        ({"hidden_dropout_prob": "0.1"}, "hidden_dropout_prob = '0.1': it must be a number"),
        ({"layer_norm_eps": float("inf")}, "layer_norm_eps = inf: it must be a number"),
        ({"pad_token_id": -1}, "pad_token_id = -1: it must be a token of the vocabulary"),
        ({"pad_token_id": 4096}, "pad_token_id = 4096"),
        ({"pad_token_id": "0"}, "pad_token_id = '0'"),
        ({"model_type": ["bert"]}, "model_type"),
    ],
)
def test_settings_of_the_wrong_type_are_reported(folder, changed, message):
    change(folder, **changed)
    with refused(message):
        find_checkpoint(str(folder))


VALUES = [None, True, -1, 0, 3, 1e9, float("nan"), "x", "", [], [1], {}, {"a": 1}, "\u202e\x00"]


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.integers(0, 10**6))
def test_a_mutated_config_is_read_or_refused(model, tmp_path_factory, seed):
    draw = random.Random(seed)
    root = tmp_path_factory.mktemp("mutated")
    for path in model.iterdir():
        if path.name != "config.json":
            (root / path.name).symlink_to(path)
    config = json.loads((model / "config.json").read_text())
    for _ in range(draw.randint(1, 3)):
        config[draw.choice([*config])] = draw.choice(VALUES)
    text = json.dumps(config)
    if draw.random() < 0.3:
        at = draw.randrange(len(text))
        text = text[:at] + draw.choice(["", "{", '"', "\x00", "9" * 5000]) + text[at + 3 :]
    (root / "config.json").write_text(text)
    try:
        source = find_checkpoint(str(root))
        head_note(source, LABELS)
        make_start(source, LABELS, 1, root / "cache")
        load_tokenizer(root, source.architecture, 16).encode("a film")
    except UserError as error:
        assert str(error).isprintable()


# Downloads


def test_a_failed_download_names_the_proxy_settings(monkeypatch):
    import huggingface_hub

    def download(*_, **__):
        raise ImportError("Using SOCKS proxy,\nbut a package is missing")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    monkeypatch.setenv("ALL_PROXY", "socks5://user:secret@127.0.0.1:9")
    with refused("'bert-base': .*Using SOCKS proxy,.*ALL_PROXY=socks5://…@127.0.0.1:9") as caught:
        find_checkpoint("bert-base")
    assert "secret" not in str(caught.value)


def test_a_reason_is_one_short_line():
    assert download_reason(ValueError()).startswith("ValueError")
    assert len(download_reason(ValueError("x" * 9999)).split(" (proxy")[0]) < 400
