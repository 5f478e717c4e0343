"""A checkpoint's tokenizer files and settings are followed, or refused in one line."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.harness.checkpoints.checkpoint import find_checkpoint
from benchmarks.harness.checkpoints.start import head_note, make_start
from benchmarks.harness.checkpoints.tokenizers import load_tokenizer
from benchmarks.harness.errors import UserError
from tests.conftest import EXAMPLES
from tests.harness.checkpoints.model_folder import LABELS, change, refused, tokens

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


def test_a_word_that_the_vocabulary_has_twice_writes_nothing_to_the_terminal(folder, capfd):
    """The later line counts, as in transformers; the earlier id is a hole, which the library tells."""
    lines = [*(folder / "vocab.txt").read_text().splitlines(), "film"]
    (folder / "vocab.txt").write_text("\n".join(lines) + "\n")
    tokenizer = load_tokenizer(folder, "bert", 64)
    assert tokenizer.encode("film").ids[1] == len(lines) - 1
    assert capfd.readouterr() == ("", "")


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


@pytest.mark.parametrize("vocabulary", ["vocab.txt", "tokenizer.json"])
def test_letters_follow_tokenizer_config(folder, vocabulary):
    if vocabulary == "tokenizer.json":
        save_json(folder)
    small = tokens(folder, "the FILM")
    change(folder, "tokenizer_config.json", do_lower_case=None)
    assert tokens(folder, "the FILM") == small == tokens(folder, "the film")
    change(folder, "tokenizer_config.json", do_lower_case=False)
    assert tokens(folder, "the FILM") != small
    change(folder, "tokenizer_config.json", do_lower_case="false")
    with refused("do_lower_case = 'false': it must be true, false or null"):
        load_tokenizer(folder, "bert", 64)


def test_the_side_that_is_cut_is_followed(folder):
    change(folder, "tokenizer_config.json", truncation_side="left")
    assert load_tokenizer(folder, "bert", 4).encode("a b c d").tokens == [
        "[CLS]",
        "c",
        "d",
        "[SEP]",
    ]
    change(folder, "tokenizer_config.json", truncation_side="top")
    with refused("truncation_side = 'top'"):
        load_tokenizer(folder, "bert", 4)


def test_a_tokenizer_with_code_of_its_own_is_refused(folder):
    change(folder, "tokenizer_config.json", auto_map={"AutoTokenizer": ["x.T", None]})
    with refused("code of its own .auto_map., which is never run"):
        load_tokenizer(folder, "bert", 64)


def test_added_tokens_of_another_form_are_reported(folder):
    (folder / "added_tokens.json").write_text('["a"]')
    with refused("added_tokens.json' is not a JSON object of tokens"):
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
        ({"hidden_act": "superrelu"}, "hidden_act = 'superrelu': it must be one of gelu, gelu_new"),
        ({"hidden_act": None}, "hidden_act = None"),
        ({"hidden_dropout_prob": 2}, "hidden_dropout_prob = 2: it must be from 0 to 1"),
        ({"classifier_dropout": -0.1}, "classifier_dropout = -0.1: it must be from 0 to 1"),
        ({"position_embedding_type": "relative_key"}, "it must be 'absolute': other models"),
        ({"is_decoder": True}, "is_decoder = True: it must be False"),
        ({"pruned_heads": {"0": [1]}}, "pruned_heads"),
        ({"chunk_size_feed_forward": 2}, "chunk_size_feed_forward = 2: it must be 0"),
        ({"quantization_config": {"load_in_8bit": True}}, "is quantized"),
    ],
)
def test_settings_of_the_wrong_type_are_reported(folder, changed, message):
    change(folder, **changed)
    with refused(message):
        find_checkpoint(str(folder))


@pytest.mark.parametrize(
    "harmless",
    [
        {"torch_dtype": "float16"},
        {"dtype": "bfloat16"},
        {"output_attentions": True},
        {"return_dict": False},
        {"torchscript": True},
        {"_attn_implementation": "flash_attention_2"},
        {"problem_type": "regression"},
    ],
)
def test_what_the_recipe_decides_is_left_out_of_the_start(folder, harmless):
    change(folder, **harmless)
    start = make_start(find_checkpoint(str(folder)), LABELS, 1)
    config = json.loads((start.folder / "config.json").read_text())
    assert not set(harmless) & (set(config) - {"problem_type"})
    assert config["problem_type"] == "single_label_classification"


VALUES = [None, True, -1, 0, 3, 1e9, float("nan"), "x", "", [], [1], {}, {"a": 1}, "\u202e\x00"]


@settings(max_examples=EXAMPLES, derandomize=True, deadline=None)
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
