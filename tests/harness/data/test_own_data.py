"""Own data: files as people have them are read, with labels as written."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.harness.data.own_files import (
    FILES,
    ROWS,
    delimited,
    everything,
    json_lines,
    parquet,
    read,
    refused,
    write,
)

# Files as people have them


@pytest.mark.parametrize("name", FILES)
def test_files_are_read_as_people_have_them(tmp_path, name):
    data = read(write(tmp_path / name, FILES[name]))
    assert everything(data) == sorted(ROWS)
    assert data.task.label_names == ("bad", "good")
    assert data.task.name == name.split(".")[0].lower().replace("_", "-")


def test_parquet_may_be_compressed(tmp_path):
    content = parquet(tmp_path / "x.parquet").read_bytes()
    assert everything(read(write(tmp_path / "y.parquet.gz", gzip.compress(content)))) == sorted(
        ROWS
    )


def test_quotation_marks_of_a_tsv_may_be_text(tmp_path):
    rows = [('"Open at dawn', "good"), ('closed" at noon', "bad"), ('"a" and "b"', "good"), *ROWS]
    data = read(write(tmp_path / "x.tsv", delimited("\t", rows)))
    assert everything(data) == sorted(rows)
    assert "quotation marks are read as part of the text" in data.record.notes


PARTS = [
    ("train.csv", "test.csv", "test"),
    ("train.jsonl", "validation.jsonl", "validation"),
    ("Train.tsv", "dev.tsv", "dev"),
    ("data/train.csv.gz", "data/test.csv.gz", "test"),
    ("train-00000-of-00001.csv", "test-00000-of-00001.csv", "test"),
]


@pytest.mark.parametrize("train, test, name", PARTS)
def test_a_folder_has_parts(tmp_path, train, test, name):
    for path, rows in ((train, ROWS[:8]), (test, ROWS[8:])):
        text = (
            json_lines(rows) if "json" in path else delimited("\t" if "tsv" in path else ",", rows)
        )
        content = text.encode()
        write(tmp_path / path, gzip.compress(content) if path.endswith("gz") else content)
    write(tmp_path / "README.md", "about")
    data = read(tmp_path)
    assert (len(data.train), list(data.evaluations)) == (8, [name])
    assert everything(data) == sorted(ROWS)


def test_validation_is_preferred_to_test(tmp_path):
    for name in ("train", "test", "validation"):
        write(tmp_path / f"{name}.csv", delimited(","))
    assert list(read(tmp_path).evaluations) == ["validation"]


def test_a_folder_without_a_training_part_is_reported(tmp_path):
    write(tmp_path / "a.csv", delimited(","))
    write(tmp_path / "b.csv", delimited(","))
    with refused("has no training file; it contains: a.csv, b.csv: name the file train"):
        read(tmp_path)
    write(tmp_path / "train.csv", delimited(","))
    write(tmp_path / "train.jsonl", json_lines())
    with refused("several files for the part 'train' .train.csv, train.jsonl.: keep one"):
        read(tmp_path)


def test_a_file_to_evaluate_on_is_read(tmp_path):
    train = write(tmp_path / "a.csv", delimited(";", ROWS[:8]))
    data = read(train, write(tmp_path / "b.jsonl", json_lines(ROWS[6:])))
    assert (len(data.train), data.record.evaluation_examples) == (8, {"evaluation": 6})
    assert "2 texts of the evaluation part are in the training part too" in data.record.notes
    with refused("b.csv': 1 row has the label 'fair', outside the task's labels: bad, good: row 7"):
        read(train, write(tmp_path / "b.csv", delimited(",", [*ROWS[6:], ("x", "fair")])))
    with refused("'nowhere.csv' does not exist"):
        read(train, Path("nowhere.csv"))


def test_data_sets_saved_to_disk_are_read(tmp_path):
    import datasets

    columns = {"text": [t for t, _ in ROWS], "label": [int(x == "bad") for _, x in ROWS]}
    features = datasets.Features(
        text=datasets.Value("string"), label=datasets.ClassLabel(names=["good", "bad"])
    )
    whole = datasets.Dataset.from_dict(columns, features)
    whole.save_to_disk(tmp_path / "one")
    data = read(tmp_path / "one")
    assert data.task.label_names == ("good", "bad") and everything(data) == sorted(ROWS)
    parts = datasets.DatasetDict(train=whole, test=whole.select(range(6)))
    parts.save_to_disk(tmp_path / "two")
    assert read(tmp_path / "two").record.evaluation_examples == {"test": 6}
    (tmp_path / "two" / "train" / "state.json").write_text("{")
    with refused("cannot read the data set saved in"):
        read(tmp_path / "two")


@pytest.mark.parametrize("count", [77, 150])
def test_many_classes_are_read(tmp_path, count):
    rows = [(f"text {i}", f"class {i % count}") for i in range(3 * count)]
    data = read(write(tmp_path / "x.csv", delimited(",", rows)))
    assert len(data.task.label_names) == count and everything(data) == sorted(rows)


# Labels stay as written


@pytest.mark.parametrize(
    "labels, names",
    [
        (["007", "07", "10", "1_0"], ("007", "07", "10", "1_0")),
        (["-1", "0", "1"], ("-1", "0", "1")),
        (["-1", "1"], ("-1", "1")),
        (["10", "9", "2"], ("2", "9", "10")),
        (["1.0", "1", "1.50", "1.5"], ("1", "1.0", "1.5", "1.50")),
        (["+1", "1"], ("+1", "1")),
        (["1e3", "1000"], ("1000", "1e3")),
        (["٣", "3"], ("3", "٣")),
        (["true", "True"], ("True", "true")),
        (["é", "e\u0301"], ("e\u0301", "é")),
        (["nan", "NA"], ("NA", "nan")),
        (["2020-01-01", "2020-1-1"], ("2020-01-01", "2020-1-1")),
        (["0x10", "16"], ("0x10", "16")),
        (["9" * 30, "1"], ("1", "9" * 30)),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_labels_stay_as_written(tmp_path, labels, names, kind):
    rows = [(f"text {i}", label) for i, label in enumerate(labels * 3)]
    content = delimited(",", rows) if kind == "csv" else json_lines(rows)
    data = read(write(tmp_path / f"x.{kind}", content))
    assert data.task.label_names == names
    assert everything(data) == sorted(rows)


def test_labels_that_may_be_an_accident_are_noted(tmp_path):
    labels = ["spam", "Spam", "spam ", "ham", "nan"] * 2
    rows = [(f"text {i}", label) for i, label in enumerate(labels)]
    notes = " ".join(read(write(tmp_path / "x.csv", delimited(",", rows))).record.notes)
    assert "'Spam' (2 rows) and 'spam' (2 rows) and 'spam ' (2 rows)" in notes
    assert "read as a class, though it may mean 'no label': 'nan'" in notes


@pytest.mark.parametrize(
    "labels, note",
    [
        (
            ["a", "a\u200b"],
            "only in their spelling are separate classes: 'a' (2 rows) and 'a\\u200b'",
        ),
        (["\u00e9", "e\u0301"], "only in their spelling are separate classes"),
        (["1", "\uff11"], "only in their spelling are separate classes: '1' (2 rows)"),
        (["007", "07"], "only in their spelling are separate classes: '007' (2 rows) and '07'"),
        (["1", "1.0"], "only in their spelling are separate classes: '1' (2 rows) and '1.0'"),
        (["['a']", "['a' 'b']"], "every list of labels is read as one class: \"['a' 'b']\""),
        (["0.5", "1.0"], "labels are numbers with decimals: every value is read as one class"),
        ([f"{i}" for i in range(30)], "there are 30 classes for 60 rows: check that the label"),
    ],
)
def test_labels_that_a_reader_would_question_are_noted(tmp_path, labels, note):
    rows = [(f"text {i}", label) for i, label in enumerate(labels * 2)]
    data = read(write(tmp_path / "x.csv", delimited(",", rows)))
    assert len(data.task.label_names) == len(labels)
    assert note in " ".join(data.record.notes)


@pytest.mark.parametrize(
    "labels",
    [
        ["good", "bad"],
        ["0", "1"],
        ["1.5", "2"],
        ["a", "A b"],
        ["9223372036854775808", "9223372036854775809"],
    ],
)
def test_usual_labels_are_not_noted(tmp_path, labels):
    rows = [(f"text {i}", label) for i, label in enumerate(labels * 5)]
    notes = read(write(tmp_path / "x.csv", delimited(",", rows))).record.notes
    assert not [n for n in notes if "split off" not in n and "decimals" not in n]


def test_numbers_that_were_saved_as_decimals_are_labels_as_written(tmp_path):
    rows = "".join(f'{{"text": "t{i}", "label": {i % 2}.0}}\n' for i in range(8))
    assert read(write(tmp_path / "x.jsonl", rows)).task.label_names == ("0.0", "1.0")


def test_damaged_characters_are_noted(tmp_path):
    content = delimited(",", [*ROWS, ("caf\u00c3\u00a9", "bad"), ("caf\ufffd", "bad")])
    notes = read(write(tmp_path / "x.csv", content)).record.notes
    assert any(note.startswith("2 texts have wrongly decoded characters") for note in notes)


UNLABELLED = [
    "text\na\nb\n",
    delimited(",", [("a", "-1"), ("b", "-1")]),
    "text,id,label\na,1,\nb,2,\n",
]


@pytest.mark.parametrize("test", UNLABELLED)
def test_a_part_without_labels_is_not_used(tmp_path, test):
    write(tmp_path / "train.csv", delimited(","))
    write(tmp_path / "test.csv", test)
    data = read(tmp_path)
    assert "the part 'test' has no labels and is not used" in data.record.notes
    assert list(data.evaluations) == ["evaluation"] and everything(data) == sorted(ROWS)
    write(tmp_path / "dev.csv", delimited(","))
    assert list(read(tmp_path).evaluations) == ["dev"]


def test_parts_may_be_folders(tmp_path):
    write(tmp_path / "train" / "a.csv", delimited(",", ROWS[:4]))
    write(tmp_path / "train" / "b.csv", delimited(",", ROWS[4:8]))
    write(tmp_path / "train" / "._a.csv", b"\0")
    write(tmp_path / "test" / "c.jsonl", json_lines(ROWS[8:]))
    data = read(tmp_path)
    assert (len(data.train), list(data.evaluations)) == (8, ["test"])
    assert everything(data) == sorted(ROWS)


def test_files_of_a_file_manager_are_no_data(tmp_path):
    write(tmp_path / "reviews.csv", delimited(","))
    write(tmp_path / "._reviews.csv", b"\0\5")
    assert everything(read(tmp_path)) == sorted(ROWS)


def test_parts_may_declare_their_classes_in_another_order(tmp_path):
    import datasets

    def part(names, rows):
        columns = {"text": [t for t, _ in rows], "label": [names.index(x) for _, x in rows]}
        label = datasets.ClassLabel(names=names)
        features = datasets.Features(text=datasets.Value("string"), label=label)
        return datasets.Dataset.from_dict(columns, features)

    parts = {"train": part(["good", "bad"], ROWS[:8]), "test": part(["bad", "good"], ROWS[8:])}
    datasets.DatasetDict(parts).save_to_disk(tmp_path)
    data = read(tmp_path)
    assert data.task.label_names == ("good", "bad") and everything(data) == sorted(ROWS)


def test_texts_in_both_parts_are_noted_also_where_one_is_split_off(tmp_path):
    rows = [(t, x) for t, x in ROWS for _ in range(3)]
    notes = " ".join(read(write(tmp_path / "x.csv", delimited(",", rows))).record.notes)
    assert "of the evaluation part" in notes and "in the training part too" in notes


def test_repeated_texts_are_noted(tmp_path):
    rows = [*ROWS, ("text 1", "bad"), ("text 2", "bad")]
    notes = read(write(tmp_path / "x.csv", delimited(",", rows))).record.notes
    assert "2 texts occur more than once, 1 of them with different labels" in notes
