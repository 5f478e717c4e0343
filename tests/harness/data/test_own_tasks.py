"""Data from files of the user's own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.harness.data.tasks import custom_task
from tests.harness.data.folders import (
    load,
    refused,
    write_parquet,
)

pytestmark = pytest.mark.smoke

# The user's own

ROWS = [
    {"t": f'text {i}, "quoted"\nand more', "u": f"{i}", "l": "spam" if i % 4 else "ham"}
    for i in range(40)
]


def write_rows(path: Path, rows: list[dict]) -> Path:
    if path.suffix == ".csv":
        import csv

        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        write_parquet(path, **{name: [row[name] for row in rows] for name in rows[0]})
    return path


def own(path: Path, second: str | None = "u"):
    return custom_task(str(path), text="t", second=second, label="l")


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_own_files_are_read_and_split_by_label(tmp_path, kind):
    data = load(own(write_rows(tmp_path / f"mail.{kind}", ROWS)), seed=42)
    assert data.task.label_names == ("ham", "spam")
    assert data.task.evaluation_splits.keys() == {"evaluation"}
    evaluation = data.evaluations["evaluation"]
    assert np.bincount(data.train.labels).tolist() == [8, 24]
    assert np.bincount(evaluation.labels).tolist() == [2, 6]
    both = {*data.train.first, *evaluation.first}
    assert both == {row["t"] for row in ROWS}
    assert sorted(map(int, data.train.second + evaluation.second)) == list(range(40))
    assert data.record.label_names == ["ham", "spam"]
    assert "8 of 40 pairs split off for evaluation, stratified, by seed 42" in data.record.notes
    assert data.record.source == "file"
    assert str(tmp_path) not in data.record.model_dump_json()


def test_the_split_follows_the_seed(tmp_path):
    task = own(write_rows(tmp_path / "mail.csv", ROWS))
    first, again, other = (load(task, seed=seed).train.second for seed in (1, 1, 2))
    assert first == again != other


def test_all_kinds_of_files_give_the_same_data(tmp_path):
    prints = {
        load(own(write_rows(tmp_path / f"mail.{kind}", ROWS))).record.fingerprint
        for kind in ("csv", "jsonl", "parquet")
    }
    assert len(prints) == 1


@pytest.mark.parametrize(
    "labels, names",
    [
        ([3, 10, 1, 3, 10, 1], ("1", "3", "10")),
        (["b", "a", "b", "a", "b", "a"], ("a", "b")),
        ([True, False] * 3, ("false", "true")),
        (["2", "10"] * 3, ("2", "10")),
    ],
)
def test_labels_are_mapped_sorted(tmp_path, labels, names):
    rows = [{"t": str(label), "l": label} for label in labels]
    data = load(own(write_rows(tmp_path / "x.parquet", rows), second=None))
    assert data.task.label_names == names
    for texts in (data.train, data.evaluations["evaluation"]):
        assert [names[i] for i in texts.labels] == [text.lower() for text in texts.first]


def test_csv_keeps_texts_as_they_stand(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text('t,l\n007,a\n,b\n"NA",a\n"1,5\n2",b\nnull,a\n1e3,b\n')
    data = load(own(path, second=None))
    texts = data.train.first + data.evaluations["evaluation"].first
    assert sorted(texts) == sorted(["007", "", "NA", "1,5\n2", "null", "1e3"])
    assert "1 empty text kept" in data.record.notes


@pytest.mark.parametrize(
    "name, content, message",
    [
        (
            "x.csv",
            "t,l\na,0\nb\n",
            r"the first line has 2 fields, but 1 row does not \(line 3 has 1\)",
        ),
        ("x.csv", "", "x.csv' is empty"),
        ("x.csv", "t,l\n", "has no rows"),
        ("x.csv", "a,b\n1,2\n", "column 't' is not in .*x.csv.; its columns: a, b"),
        ("x.csv", b"t,l\n\xff\xfe,0\nb,1\n", r"not UTF-8 \(byte 0xff on line 2\): save"),
        (
            "x.jsonl",
            '{"t": "a", "l": 0}\n{"t": \n',
            "x.jsonl' has 1 line that is not valid JSON: line 2",
        ),
        (
            "x.jsonl",
            '{"t": "a", "l": 0}\n[1]\n',
            "x.jsonl' has 1 value that is not a JSON object: line 2",
        ),
        (
            "x.jsonl",
            '{"t": "a", "l": 0}\n{"l": 1}\n',
            "1 row has no column 't': line 2",
        ),
        (
            "x.jsonl",
            '{"t": 5, "l": 0}\n{"t": "b", "l": 1}\n',
            r"1 row has a value of type int: row 1 .line 1.",
        ),
        (
            "x.jsonl",
            '{"t": "a", "l": 0}\n{"t": "b", "l": "x"}\n',
            "write all labels as integers, or all as",
        ),
        (
            "x.jsonl",
            '{"t": "\\ud800", "l": 0}\n{"t": "b", "l": 1}\n',
            r"broken Unicode .*: row 1 .line 1.",
        ),
        ("x.jsonl", b'{"t": "\xff", "l": 0}\n', "not UTF-8 .byte 0xff on line 1"),
        ("x.jsonl", "", "has no rows"),
        ("x.jsonl", '{"t": "a", "l": 0}\n{"t": "b", "l": 0}\n', "all 2 rows of .* have the label"),
        (
            "x.jsonl",
            '{"t": "a", "l": 0}\n{"t": "b", "l": 1}\n',
            "2 labels have a single row: '0' in row 1",
        ),
        ("x.jsonl", '{"t": "a", "l": -1}\n{"t": "b", "l": 1}\n', "labels have a single row: '-1'"),
        ("x.jsonl", '{"t": "a", "l": -1}\n{"t": "b", "l": -1}\n', "label -1.*hidden"),
    ],
)
def test_bad_files_are_reported(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with refused(message):
        load(own(path, second=None))


def test_an_own_task_takes_no_other_source(tmp_path):
    task = own(write_rows(tmp_path / "x.csv", ROWS))
    with refused(r"--data embedded: task .x. has its own data: leave out --data"):
        load(task, "embedded")
