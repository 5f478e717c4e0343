"""Data from a folder, and generated data."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from benchmarks.harness.data.texts import Texts
from tests.harness.data.folders import (
    IMDB,
    MNLI,
    load,
    refused,
    write_imdb,
    write_mnli,
    write_parquet,
)

pytestmark = pytest.mark.smoke

# dir:PATH


@pytest.mark.parametrize("inner", ["", "imdb"])
def test_a_folder_of_parquet_is_read(tmp_path, inner):
    write_imdb(tmp_path / inner)
    data = load(IMDB, f"dir:{tmp_path}")
    assert data.train.first == [f"train review {i}" for i in range(10)]
    assert data.train.second is None
    assert data.train.labels.tolist() == [0, 1] * 5 and data.train.labels.dtype == np.int32
    assert data.evaluations["test"].first[0] == "test review 0"
    assert data.record.source == "dir" and not data.record.generated
    assert str(tmp_path) not in data.record.model_dump_json()
    assert data.record.evaluation_examples == {"test": 6}


def test_the_hubs_shards_are_read_in_order(tmp_path):
    write_imdb(tmp_path)
    for shard in range(2):
        (tmp_path / "train.parquet").rename(tmp_path / "whole") if shard == 0 else None
        write_parquet(
            tmp_path / f"train-0000{shard}-of-00002.parquet",
            text=[f"shard {shard}"] * 2,
            label=[0, 1],
        )
    assert load(IMDB, f"dir:{tmp_path}").train.first == ["shard 0"] * 2 + ["shard 1"] * 2


def test_mnli_is_read_with_both_evaluation_sets(tmp_path):
    write_mnli(tmp_path / "mnli")
    data = load(MNLI, f"dir:{tmp_path}")
    assert list(data.evaluations) == ["matched", "mismatched"]
    assert data.evaluations["mismatched"].second[2] == "validation_mismatched hypothesis 2"
    assert data.train.labels.tolist() == [0, 1, 2] * 3


def test_a_smaller_subset_lies_inside_a_larger_one(tmp_path):
    write_imdb(tmp_path, train=100, test=50)
    small, large = (load(IMDB, f"dir:{tmp_path}", train=n) for n in (20, 60))
    assert small.train.first == large.train.first[:20]
    assert small.train.first != [f"train review {i}" for i in range(20)]
    assert load(IMDB, f"dir:{tmp_path}", train=20, seed=2).train.first != small.train.first
    for text, label in zip(small.train.first, small.train.labels, strict=True):
        assert int(text.split()[-1]) % 2 == label


def test_the_record_says_what_was_used(tmp_path):
    write_imdb(tmp_path / "imdb", train=30, test=20)
    write_mnli(tmp_path / "mnli", train=90)

    def description(task, **counts) -> str:
        return load(task, f"dir:{tmp_path}", seed=42, **counts).record.description

    assert description(MNLI) == (
        "MultiNLI: all the 90 training pairs given (MultiNLI has 392,702),"
        " all 6 matched pairs, all 3 mismatched pairs"
    )
    assert description(MNLI, train=30) == (
        "MultiNLI: 30 of the 90 training pairs given (MultiNLI has 392,702) by seed 42, all 6 "
        "matched pairs, all 3 mismatched pairs"
    )
    assert description(
        IMDB.model_copy(update={"published_train_examples": 30}), train=20, evaluation=10
    ) == ("IMDb: 20 of 30 training reviews by seed 42, 10 of 20 test reviews")


def test_the_fingerprint_follows_texts_and_labels(tmp_path):
    def fingerprint(**replaced) -> str:
        write_imdb(tmp_path, **replaced)
        return load(IMDB, f"dir:{tmp_path}").record.fingerprint

    texts = [f"train review {i}" for i in range(10)]
    base = fingerprint()
    assert base == fingerprint(text=texts)
    assert base != fingerprint(text=[*texts[:-1], "another"])
    assert base != fingerprint(label=[1, 0] * 5)
    assert base != fingerprint(text=[texts[0] + texts[1], "", *texts[2:]])


def test_empty_texts_are_kept_and_counted(tmp_path):
    write_imdb(tmp_path, text=["", "  ", "\n"] + ["x"] * 7)
    data = load(IMDB, f"dir:{tmp_path}")
    assert data.train.first[:3] == ["", "  ", "\n"]
    assert "3 empty texts kept" in data.record.notes


def test_a_label_that_no_training_example_has_is_noted(tmp_path):
    write_mnli(tmp_path)
    write_parquet(
        tmp_path / "train.parquet", premise=["a", "b"], hypothesis=["c", "d"], label=[0, 1]
    )
    notes = load(MNLI, f"dir:{tmp_path}").record.notes
    assert notes == ["no training pair has the label 'contradiction'"]


def test_a_missing_or_empty_folder_is_reported(tmp_path):
    with refused("data folder '.*nowhere' does not exist"):
        load(IMDB, f"dir:{tmp_path / 'nowhere'}")
    with refused("has neither imdb/train.parquet nor train.parquet; .* contains: nothing"):
        load(IMDB, f"dir:{tmp_path}")
    (tmp_path / "imdb").mkdir()
    (tmp_path / "imdb" / "other.txt").touch()
    with refused("contains: other.txt"):
        load(IMDB, f"dir:{tmp_path}")


@pytest.mark.parametrize(
    "replaced, message",
    [
        (
            {"label": [0, 2] * 5},
            "column 'label' of .*train.parquet.: 5 rows have the label '2', outside the task's "
            "labels: 0, 1: row 2, row 4, row 6 and 2 more; rows are counted from 1",
        ),
        ({"label": [0, -1] * 5}, "label -1.*hidden.*use a set that has labels"),
        (
            {"label": [1] * 10},
            "all 10 rows of .*train.parquet. have the label '1': add rows with another",
        ),
        (
            {"label": [0.5, 1.0] * 5},
            "10 rows have the label '0.5' of type float: row 1, .*write all labels as integers, or all",
        ),
        (
            {"label": [0, None] * 5},
            "5 rows have no label: row 2, row 4, row 6 and 2 more; rows are counted from 1",
        ),
        ({"label": ["good", "bad"] * 5}, "10 rows have the label 'good', 'bad', outside"),
        (
            {"text": [None, "a"] * 5},
            "column 'text' of .*train.parquet.: 5 rows have no text: row 1, row 3",
        ),
        ({"text": list(range(10))}, "column 'text' of .*: 10 rows have a value of type int: row 1"),
        ({"text": [], "label": pa.array([], pa.int64())}, "has no rows"),
    ],
)
def test_bad_columns_are_reported(tmp_path, replaced, message):
    write_imdb(tmp_path, **replaced)
    with refused(message):
        load(IMDB, f"dir:{tmp_path}")


def test_labels_by_name_are_read(tmp_path):
    write_imdb(tmp_path, label=["positive", "negative"] * 5)
    assert load(IMDB, f"dir:{tmp_path}").train.labels.tolist() == [1, 0] * 5


def test_a_missing_column_is_reported_with_those_there_are(tmp_path):
    write_imdb(tmp_path)
    write_parquet(tmp_path / "test.parquet", review=["a"], stars=[1], label=[1])
    with refused("column 'text' is not in .*test.parquet.; its columns: review, stars, label"):
        load(IMDB, f"dir:{tmp_path}")


@pytest.mark.parametrize("content", [b"", b"PAR1 no parquet", None])
def test_a_damaged_parquet_is_reported(tmp_path, content):
    write_imdb(tmp_path)
    path = tmp_path / "train.parquet"
    path.write_bytes(path.read_bytes()[:-50] if content is None else content)
    with refused("train.parquet' (is empty|as parquet .*): copy it again"):
        load(IMDB, f"dir:{tmp_path}")


@pytest.mark.parametrize(
    "counts, message",
    [
        ({"train": 11}, "11 training reviews of IMDb requested, but there are only 10"),
        ({"evaluation": 7}, "7 test reviews of IMDb requested, but there are only 6"),
        ({"train": 0}, "train_examples is 0: use at least 1"),
        ({"evaluation": -1}, "evaluation_examples is -1: use at least 1"),
        ({"train": 1}, "all have one label: use more examples"),
    ],
)
def test_impossible_counts_are_reported(tmp_path, counts, message):
    write_imdb(tmp_path)
    with refused(message):
        load(IMDB, f"dir:{tmp_path}", **counts)


@pytest.mark.parametrize("source", ["hubb", "embeded", "dir", "hub:x", "", "dir:"])
def test_an_unknown_source_is_reported(source):
    with refused("unknown data source" if source != "dir:" else "dir: has no path: write dir:PATH"):
        load(IMDB, source)


# embedded


def test_generated_data_say_so():
    data = load(MNLI, None, train=18, evaluation=9, seed=5)
    assert data.record.generated and data.record.source == "embedded"
    assert data.record.description == (
        "generated data in the shape of MultiNLI: 18 training pairs, 9 matched pairs, 9 mismatched "
        "pairs, seed 5"
    )
    assert data.record.fingerprint == load(MNLI, "embedded", 18, 9, 5).record.fingerprint
    assert data.record.fingerprint != load(MNLI, "embedded", 18, 9, 6).record.fingerprint
    assert data.evaluations["matched"].first != data.evaluations["mismatched"].first


def test_a_task_without_a_generator_is_refused():
    with refused("task 'imdb' has no generated data"):
        load(IMDB.model_copy(update={"generator": None}), "embedded")


# The real data


def real_data() -> Path:
    root = Path(__file__).resolve().parents[3]
    folder = Path(os.environ.get("FTBENCH_DATA", root.parent / "shared" / "data"))
    if not (folder / "imdb" / "train.parquet").is_file():
        pytest.skip(f"no real data in {folder}: name their folder in FTBENCH_DATA")
    return folder


def test_the_real_data_are_read():
    folder = real_data()
    imdb = load(IMDB, f"dir:{folder}", 10_000, 2_500, 42)
    assert imdb.record.description == (
        "IMDb: 10,000 of 25,000 training reviews by seed 42, 2,500 of 25,000 test reviews"
    )
    assert 0.48 < imdb.train.labels.mean() < 0.52
    mnli = load(MNLI, f"dir:{folder}", 20_000, None, 42)
    assert mnli.record.evaluation_examples == {"matched": 9815, "mismatched": 9832}
    assert "training pairs given (MultiNLI has 392,702) by seed 42" in mnli.record.description


def test_the_digest_tells_texts_apart():
    def digest(first, second, labels):
        return Texts(first, second, np.array(labels, np.int32)).digest()

    assert (
        len(
            {
                digest(["ab", "c"], None, [0, 1]),
                digest(["a", "bc"], None, [0, 1]),
                digest(["ab", "c"], None, [1, 0]),
                digest(["ab"], ["c"], [0]),
                digest(["ab", "c"], ["", ""], [0, 1]),
            }
        )
        == 5
    )
