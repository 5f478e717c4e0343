"""The harness's tokens are those of transformers' own tokenizers, whatever the text."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.harness.checkpoints.checkpoint import CheckpointSource, find_checkpoint
from benchmarks.harness.checkpoints.tokenize import tokenize_task
from benchmarks.harness.data.examples import load_examples
from benchmarks.harness.data.sources import load_data
from benchmarks.harness.data.tasks import find_task
from benchmarks.harness.data.texts import TaskData, Texts
from frameworks.contract import Recipe

pytest.importorskip("transformers")

HOSTILE = [
    "",
    " ",
    "\n",
    "A plain sentence.",
    "It's <br /><br />\"great\" -- isn't it?",
    "Crème brûlée, naïve façade, Ångström, İstanbul, ẞtraße",
    "“quoted” „Zitat‟ «цитата» 「引用」",
    "\x00\x01 control \x7f\x85\u200b\u200d\ufeff\u00ad characters\t\r\n",
    "日本語のテキスト 中文 한국어",
    "🙂👩‍👩‍👧 emoji 🏳️‍🌈",
    "e\u0301 combining, ﬁ ligature, ① ½ ²",
    "[SEP] [CLS] [MASK] [PAD] [UNK]",
    "x" * 300,
    "word " * 200,
    "a-b_c/d\\e@f.g#h%i^j&k*l(m)n",
    "\ud7ff\ue000\uffff\U0010ffff",
    "שלום עולם مرحبا بالعالم नमस्ते",
    "1,234,567.89 $5 €6 £7 10^-3",
    "ALL CAPS Mixed Case",
    "…—–‑",
]
LENGTH = 48


def vocabularies() -> Path:
    root = Path(__file__).resolve().parents[2]
    data = Path(os.environ.get("FTBENCH_DATA", root.parent / "shared" / "data"))
    folder = data / "tokenizers"
    if not folder.is_dir():
        pytest.skip(f"no published vocabularies in {folder}: name their parent in FTBENCH_DATA")
    return folder


def source_with(folder: Path, architecture: str) -> CheckpointSource:
    """A checkpoint with the published vocabulary."""
    shape = {"bert": "bert-base", "distilbert": "distilbert", "gpt2": "gpt2"}[architecture]
    source = find_checkpoint(f"random:{shape}")
    return CheckpointSource(**source.__dict__ | {"folder": folder})


def our_batch(source: CheckpointSource, first: list[str], second: list[str] | None):
    task = find_task("imdb" if second is None else "mnli")
    made = load_data(task, "embedded", train_examples=9, evaluation_examples=9, seed=1)
    texts = Texts(first, second, np.zeros(len(first), np.int32))
    data = TaskData(task, texts, {}, made.record)
    examples = load_examples(tokenize_task(data, source, LENGTH).train)
    return examples.collate(np.arange(len(first)), Recipe(length=LENGTH))


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("FTBENCH_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("pair", [False, True])
@pytest.mark.parametrize("files", ["tokenizer.json", "vocab.txt"])
@pytest.mark.parametrize("architecture", ["bert", "distilbert"])
def test_word_pieces_are_those_of_transformers(tmp_path, architecture, files, pair):
    from transformers import AutoTokenizer

    published = vocabularies() / "bert-base-uncased"
    folder = tmp_path / "ours"
    folder.mkdir()
    for name in (files, "tokenizer_config.json"):
        shutil.copyfile(published / name, folder / name)
    (folder / "config.json").write_text('{"type_vocab_size": 2}')
    second = HOSTILE[::-1] if pair else None
    ours = our_batch(source_with(folder, architecture), HOSTILE, second)
    theirs = AutoTokenizer.from_pretrained(published)(
        HOSTILE,
        second,
        truncation=True,
        max_length=LENGTH,
        padding="max_length",
        return_tensors="np",
    )
    assert ours["input_ids"].tolist() == theirs["input_ids"].tolist()
    assert ours["attention_mask"].tolist() == theirs["attention_mask"].tolist()
    if architecture == "bert":
        assert ours["token_type_ids"].tolist() == theirs["token_type_ids"].tolist()


@pytest.mark.parametrize("files", [("tokenizer.json",), ("vocab.json", "merges.txt")])
def test_byte_pairs_are_those_of_transformers(tmp_path, files):
    from transformers import AutoTokenizer

    published = vocabularies() / "gpt2"
    for name in files:
        shutil.copyfile(published / name, tmp_path / name)
    (tmp_path / "config.json").write_text('{"vocab_size": 50257}')  # names no token to pad with
    ours = our_batch(source_with(tmp_path, "gpt2"), HOSTILE, None)
    theirs = AutoTokenizer.from_pretrained(published)
    for row, text in enumerate(HOSTILE):
        ids = ours["input_ids"][row][ours["attention_mask"][row] == 1].tolist()
        # An empty text gets a token to be judged by.
        assert ids == (theirs(text, truncation=True, max_length=LENGTH)["input_ids"] or [198])
        assert 50256 not in ids


def test_real_reviews_are_cut_as_transformers_does():
    from transformers import AutoTokenizer

    folder = vocabularies()
    reviews = load_data(
        find_task("imdb"), f"dir:{folder.parent}", train_examples=200, evaluation_examples=2, seed=1
    ).train.first
    ours = our_batch(source_with(folder / "bert-base-uncased", "bert"), reviews, None)
    theirs = AutoTokenizer.from_pretrained(folder / "bert-base-uncased")(
        reviews, truncation=True, max_length=LENGTH, padding="max_length", return_tensors="np"
    )
    assert ours["input_ids"].tolist() == theirs["input_ids"].tolist()
