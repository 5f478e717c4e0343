"""Tokenized data: what the architectures take, made once, kept by content."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.harness.checkpoints.checkpoint import CheckpointSource, find_checkpoint
from benchmarks.harness.checkpoints.tokenize import summarize, tokenize_task
from benchmarks.harness.checkpoints.tokenizers import load_tokenizer
from benchmarks.harness.data.examples import load_examples
from benchmarks.harness.data.sources import load_data
from benchmarks.harness.data.tasks import find_task
from benchmarks.harness.data.texts import TaskData, Texts
from benchmarks.harness.errors import UserError
from frameworks.contract import Examples, Recipe

TINY = ("random:tiny-bert", "random:tiny-distilbert", "random:tiny-gpt2")


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("FTBENCH_CACHE", str(tmp_path / "cache"))


def data_of(first: list[str], second: list[str] | None = None) -> TaskData:
    """Data of exactly these texts."""
    task = find_task("imdb" if second is None else "mnli")
    made = load_data(task, "embedded", train_examples=9, evaluation_examples=9, seed=1)
    texts = Texts(first, second, np.arange(len(first), dtype=np.int32) % 2)
    return TaskData(task, texts, {"test": texts}, made.record)


def examples_of(
    checkpoint: str, first: list[str], second: list[str] | None = None, length: int = 32
) -> Examples:
    return load_examples(
        tokenize_task(data_of(first, second), find_checkpoint(checkpoint), length).train
    )


def rows(examples: Examples) -> list[list[int]]:
    return [
        examples.ids[a:b].tolist()
        for a, b in zip(examples.offsets, examples.offsets[1:], strict=False)
    ]


def test_bert_gets_special_tokens_and_token_types():
    examples = examples_of("random:tiny-bert", ["Maria is tall."], ["Maria is short."])
    (row,) = rows(examples)
    cls, sep = 2, 3
    assert row[0] == cls and row[-1] == sep and row.count(sep) == 2
    assert examples.second_starts.tolist() == [row.index(sep) + 1]
    assert examples.has_token_types and examples.pad_id == 0
    batch = examples.collate(np.array([0]), Recipe(length=32))
    assert batch["token_type_ids"].sum() == len(row) - row.index(sep) - 1


def test_distilbert_gets_the_same_tokens_and_no_types():
    texts = (["Maria is tall."], ["Maria is short."])
    bert, distilbert = (examples_of(name, *texts) for name in TINY[:2])
    assert rows(bert) == rows(distilbert)
    assert not distilbert.has_token_types


def byte_level_text(ids: list[int]) -> str:
    from tokenizers import decoders

    tokenizer = load_tokenizer(find_checkpoint("random:tiny-gpt2").folder, "gpt2", 32)
    return decoders.ByteLevel().decode([tokenizer.id_to_token(i) for i in ids])


def test_gpt2_gets_bare_tokens_and_a_line_feed_between():
    source = find_checkpoint("random:tiny-gpt2")
    examples = examples_of(source.name, ["Maria is tall."], ["Maria is short."])
    (row,) = rows(examples)
    assert byte_level_text(row) == "Maria is tall.\nMaria is short."
    assert byte_level_text(row[examples.second_starts[0] :]) == "Maria is short."
    assert examples.pad_id == source.vocabulary_size - 1 not in row
    assert not examples.has_token_types


def test_one_text_has_no_second():
    for name in TINY:
        examples = examples_of(name, ["great", "very great indeed"])
        assert examples.second_starts.tolist() == examples.lengths.tolist()


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("pair", [True, False])
def test_empty_texts_give_at_least_one_token(name, pair):
    texts = ["", " ", "a", ""]
    examples = examples_of(name, texts, ["", "b", "", "b"] if pair else None)
    assert examples.lengths.min() >= 1
    assert (examples.second_starts <= examples.lengths).all()


@pytest.mark.parametrize("name", TINY)
def test_long_texts_are_cut_the_longer_first(name):
    examples = examples_of(
        name,
        ["great " * 50, "great", "great " * 50],
        ["dull", "dull " * 50, "dull " * 50],
        length=16,
    )
    assert examples.lengths.tolist() == [16, 16, 16]
    assert examples.second_starts[0] > 8 > examples.second_starts[1]
    assert abs(int(examples.second_starts[2]) - 8) <= 2


def test_a_spelt_out_end_of_text_is_no_padding():
    for name in TINY:
        examples = examples_of(name, ["a<|endoftext|>b", "<|endoftext|>"])
        assert examples.pad_id not in examples.ids


def test_the_order_of_examples_is_kept_over_many_chunks():
    texts = [f"{i}" for i in range(4321)]
    examples = examples_of("random:tiny-gpt2", texts)
    assert byte_level_text(examples.ids.tolist()) == "".join(texts)
    assert examples.lengths.tolist() == [len(text) for text in texts]
    assert examples.labels.tolist() == [i % 2 for i in range(4321)]


# The cache


def prepare(data: TaskData | None = None, name: str = "random:tiny-bert", length: int = 32):
    return tokenize_task(data or data_of(["great", "dull"]), find_checkpoint(name), length)


def test_nothing_is_tokenized_twice():
    first, second = prepare(), prepare()
    assert (first.reused, second.reused) == (False, True)
    assert first.train == second.train
    assert first.train == first.evaluations["test"]  # the same texts, the same file


def test_whatever_decides_the_content_gives_another_file():
    base = prepare().train
    assert prepare(data_of(["great", "dulls"])).train != base
    assert prepare(length=31).train != base
    assert prepare(name="random:tiny-distilbert").train != base
    assert prepare(name="random:tiny-gpt2").train != base
    flipped = data_of(["great", "dull"])
    flipped.train.labels[:] = [1, 0]
    assert prepare(flipped).train != base


def test_a_cache_can_be_named(tmp_path):
    prepared = tokenize_task(
        data_of(["great"]), find_checkpoint("random:tiny-bert"), 32, tmp_path / "other"
    )
    assert tmp_path / "other" in prepared.train.parents


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "pickle"])
def test_a_damaged_file_is_reported_and_made_again(damage):
    path = prepare().train
    good = load_examples(path)
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[content.index(good.ids.tobytes())] ^= 1
    path.write_bytes(
        {"cut": content[:-30], "flip": content, "empty": b"", "pickle": b"\x80\x04N."}[damage]
    )
    with pytest.raises(UserError, match="missing or damaged"):
        load_examples(path)
    assert not prepare().reused
    assert load_examples(path).ids.tolist() == good.ids.tolist()


def _prepare_in_a_process(results) -> None:
    results.put(prepare(data_of([f"great film {i}" for i in range(3000)])).reused)


def test_two_processes_tokenize_once():
    spawn = multiprocessing.get_context("spawn")
    results = spawn.Queue()
    processes = [spawn.Process(target=_prepare_in_a_process, args=(results,)) for _ in range(2)]
    for process in processes:
        process.start()
    found = sorted(results.get(timeout=60) for _ in processes)
    for process in processes:
        process.join(60)
    folder = Path(os.environ["FTBENCH_CACHE"]) / "tokenized"
    assert found == [False, True]
    assert [path.suffix for path in folder.iterdir() if path.suffix != ".lock"] == [".npz"]


def test_workers_load_without_a_tokenizer():
    code = (
        "import sys; from pathlib import Path\n"
        "from benchmarks.harness.data.examples import load_examples\n"
        "load_examples(Path(sys.argv[1]))\n"
        "print([name for name in ('tokenizers', 'datasets', 'huggingface_hub') "
        "if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(prepare().train)],
        text=True,
        capture_output=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


# Bad input


def test_a_length_beyond_the_models_is_reported():
    with pytest.raises(UserError, match="length 513 exceeds .*'random:tiny-bert'.*512 or less"):
        prepare(length=513)


def tampered(tmp_path: Path, name: str, **changed) -> CheckpointSource:
    source = find_checkpoint(name)
    return CheckpointSource(**source.__dict__ | changed)


def test_a_tokenizer_of_another_model_is_reported(tmp_path):
    source = tampered(tmp_path, "random:tiny-bert", vocabulary_size=50)
    with pytest.raises(UserError, match="vocabulary of 50: use the tokenizer files that belong"):
        tokenize_task(data_of(["great"]), source, 32)


@pytest.mark.parametrize(
    "files, message",
    [
        (
            {},
            "has no tokenizer: copy its files there, one of tokenizer.json, vocab.txt, vocab.json",
        ),
        ({"tokenizer.json": "{"}, "cannot read the tokenizer '.*tokenizer.json'"),
        ({"tokenizer.json": json.dumps({"model": 1})}, "cannot read the tokenizer"),
        (
            {"vocab.json": "{}", "merges.txt": ""},
            "vocab.json' is not the vocabulary of a BERT or DistilBERT",
        ),
    ],
)
def test_a_tokenizer_that_is_none_is_reported(tmp_path, files, message):
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    source = tampered(tmp_path, "random:tiny-bert", folder=tmp_path)
    with pytest.raises(UserError, match=message):
        tokenize_task(data_of(["great"]), source, 32)


def test_the_summary_counts_labels_lengths_truncation_and_duplicates(tmp_path):
    data = data_of(["great " * 40, "dull", "dull"])
    data = replace(data, evaluations={"test": data.train.take([1])})
    source = find_checkpoint("random:tiny-bert")
    train, test = summarize(data, tokenize_task(data, source, 16, tmp_path))
    assert (train.name, train.rows, sum(train.label_counts)) == ("train", 3, 3)
    assert (train.truncated, train.tokens_max, train.duplicates) == (1, 16, 1)
    assert (train.characters_median, train.characters_max) == (4, 240)
    assert (test.name, test.rows, test.in_training, test.duplicates) == ("test", 1, 1, 0)
