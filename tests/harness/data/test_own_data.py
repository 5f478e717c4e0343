"""Own data: files as people have them are read, and what is wrong with them is reported."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.harness.data.sources import load_data
from benchmarks.harness.data.tasks import LONGEST_NAME, custom_task
from benchmarks.harness.data.texts import TaskData
from benchmarks.harness.errors import UserError, printable

ROWS = [(f"text {i}", "bad" if i % 2 else "good") for i in range(12)]


def read(path: Path, evaluation: Path | None = None, **columns: str) -> TaskData:
    task = custom_task(
        str(path),
        text=columns.get("text", "text"),
        second=None,
        label=columns.get("label", "label"),
        evaluation=str(evaluation) if evaluation else None,
    )
    return load_data(task, None, train_examples=None, evaluation_examples=None, seed=1)


def everything(data: TaskData) -> list[tuple[str, str]]:
    """All texts with their labels' names, in the order of the texts."""
    sets = [data.train, *data.evaluations.values()]
    names = data.task.label_names
    return sorted((t, names[i]) for s in sets for t, i in zip(s.first, s.labels, strict=True))


def delimited(separator: str, rows=ROWS, header=("text", "label")) -> str:
    return "".join(separator.join(row) + "\n" for row in [header, *rows])


def objects(rows=ROWS) -> list[dict[str, str]]:
    return [{"text": text, "label": label} for text, label in rows]


def json_lines(rows=ROWS) -> str:
    return "".join(json.dumps(row) + "\n" for row in objects(rows))


def parquet(path: Path, rows=ROWS) -> Path:
    columns = {"text": [text for text, _ in rows], "label": [label for _, label in rows]}
    pyarrow.parquet.write_table(pa.table(columns), path)
    return path


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refused(message: str):
    return pytest.raises(UserError, match=message)


# Files as people have them

FILES = {
    "commas.csv": delimited(","),
    "semicolons.csv": delimited(";"),
    "tabs.csv": delimited("\t"),
    "bars.csv": delimited("|"),
    "excel.csv": "sep=;\r\n" + delimited(";").replace("\n", "\r\n"),
    "mark.csv": "\ufeff" + delimited(","),
    "quoted.csv": delimited(",", [(f'"{t}"', f'"{x}"') for t, x in ROWS], ('"text"', '"label"')),
    "returns.csv": delimited(",").replace("\n", "\r"),
    "blank.csv": delimited(",") + "\n\n",
    "no_end.csv": delimited(",").rstrip("\n"),
    "more.csv": delimited(",", [("1", *row, "") for row in ROWS], ("", "text", "label", "x y")),
    "UPPER.CSV": delimited(","),
    "tabs.tsv": delimited("\t"),
    "lines.jsonl": json_lines(),
    "lines.ndjson": json_lines(),
    "mark.jsonl": "\ufeff" + json_lines(),
    "windows.jsonl": json_lines().replace("\n", "\r\n\r\n"),
    "array.json": json.dumps(objects(), indent=1),
    "array.jsonl": json.dumps(objects()),
    "lines.json": json_lines(),
    "packed.csv.gz": gzip.compress(delimited(",").encode()),
    "packed.tsv.gz": gzip.compress(delimited("\t").encode()),
    "packed.jsonl.gz": gzip.compress(json_lines().encode()),
    "packed.json.gz": gzip.compress(json.dumps(objects()).encode()),
    "really_packed.csv": gzip.compress(delimited(",").encode()),
    "not_packed.csv.gz": delimited(","),
}


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
    with refused("has no training file .*contains: a.csv, b.csv"):
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


def test_repeated_texts_are_noted(tmp_path):
    rows = [*ROWS, ("text 1", "bad"), ("text 2", "bad")]
    notes = read(write(tmp_path / "x.csv", delimited(",", rows))).record.notes
    assert "2 texts occur more than once, 1 of them with different labels" in notes


# What is certainly wrong: all offenders counted, the first few named

CSV = delimited(",")
WRONG = [
    ("x.csv", CSV + "a,\nb, \nc,\nd,\n", r"4 rows have no label: row 13 .line 14., row 14 .line 15.,"),
    ("x.csv", CSV + "text,label\n", "1 row has the column's own name: row 13 .line 14.; rows are"),
    ("x.csv", CSV + "a,b,c\nonly\n", r"2 rows have not the 2 fields .*line 14 \(3\), line 15 \(1\)"),
    ("x.csv", CSV + '"never closed,bad\n', "row that begins on line 14 has a quotation mark that is"),
    ("x.csv", CSV + '"he \\"said\\" so",bad\n', "row that begins on line 14 has a character between"),
    ("x.csv", CSV + "rare,odd\n", r"the label 'odd' has a single row: 'odd' in row 13 \(line 14\)"),
    ("x.csv", CSV.replace("label", "text", 1), "column 'text' occurs 2 times in"),
    ("x.csv", CSV.replace("text,label", "text,label,label"), "occurs 2 times|not the 3 fields"),
    ("x.csv", CSV.replace("label", "Label", 1), "did you mean 'Label'"),
    ("x.csv", CSV.replace("label", " label", 1), "did you mean ' label'"),
    ("x.csv", "", "is empty"),
    ("x.csv", " \n\n", "is empty"),
    ("x.csv", "text,label\n", "has no rows"),
    ("x.csv", CSV.encode("utf-16"), "not UTF-8 .*byte order mark of UTF-16.*iconv -f UTF-16"),
    ("x.csv", CSV.encode("utf-16-le"), "looks like UTF-16.*iconv -f UTF-16LE"),
    ("x.csv", CSV.encode("utf-16-be"), "looks like UTF-16.*iconv -f UTF-16BE"),
    ("x.csv", CSV.encode("utf-32"), "byte order mark of UTF-32"),
    ("x.csv", (CSV + "caf\u00e9,bad\n").encode("latin-1"), "byte 0xe9 on line 14.*WINDOWS-1252"),
    ("x.csv", CSV + "a\0b,bad\n", "NUL byte on line 14"),
    ("x.csv", gzip.compress(CSV.encode())[:-9], "damaged gzip file"),
    ("x.csv", b"PK\x03\x04zip", "zip archive or an Excel workbook"),
    ("x.csv", b"(\xb5/\xfd.", "compressed with zstd"),
    ("x.csv", "<!DOCTYPE html><html>", "is a web page"),
    ("x.csv", "version https://git-lfs.github.com/spec/v1\noid x\n", "Git LFS pointer.*git lfs pull"),
    ("x.parquet", "version https://git-lfs.github.com/spec/v1\noid x\n", "Git LFS pointer"),
    ("x.jsonl", json_lines() + '{"text": "a"}\n', "1 row has no column 'label': line 13"),
    ("x.jsonl", json_lines() + "{\n[\n", "2 lines that are not valid JSON: line 13 .*, line 14"),
    ("x.jsonl", json_lines() + "5\n", "1 value that is not a JSON object: line 13"),
    ("x.jsonl", json_lines() + '{"text": "a", "label": null}\n', "1 row has no label: row 13 .line 13"),
    ("x.jsonl", json_lines() + '{"text": "a", "label": NaN}\n', "1 row has no label: row 13"),
    ("x.jsonl", json_lines() + '{"text": "a", "label": 1}\n', "1 row has the label '1' of type int"),
    ("x.jsonl", json_lines() + '{"text": "a", "label": ["bad"]}\n', "of type list"),
    ("x.jsonl", json_lines() + '{"text": null, "label": "bad"}\n', "1 row has no text: row 13"),
    ("x.jsonl", json_lines() + '{"text": "a", "text": "b", "label": "bad"}\n', "has a key twice"),
    ("x.jsonl", "[" * 100_000, "not valid JSON: too large or too deeply nested"),
    ("x.jsonl", '{"text": ' + "9" * 5000 + "}", "not valid JSON"),
    ("x.json", '{"text": {"0": "a"}, "label": {"0": "b"}}', "one object of columns: write one object"),
    ("x.json", "[1, 2]", "2 values that are not a JSON object: row 1, row 2"),
    ("x.json", "[]", "has no rows"),
    ("x.jsonl", json_lines().encode("utf-16"), "byte order mark of UTF-16"),
]  # fmt: skip


@pytest.mark.parametrize("name, content, message", WRONG)
def test_what_is_wrong_is_reported_in_one_line(tmp_path, name, content, message):
    with refused(message) as caught:
        read(write(tmp_path / name, content))
    text = str(caught.value)
    assert text.isprintable() and len(text) < 1000 and name in text


def test_a_field_over_several_lines_is_noted(tmp_path):
    content = CSV + '"stray quote,good\nnext,bad\nlast",good\n'
    notes = read(write(tmp_path / "x.csv", content)).record.notes
    assert "1 row runs over several lines, the first from line 14 to 16: check" in notes[0]


def test_columns_with_control_characters_are_printable(tmp_path):
    with refused(r"its columns: 'a\\tb', 'c\\x1b2J'") as caught:
        read(write(tmp_path / "x.csv", "a\tb;c\x1b[2J\n1;2\n".replace("[", "")))
    assert str(caught.value).isprintable()


def test_names_of_tasks_are_short(tmp_path):
    names = [
        read(write(tmp_path / f"{'long name ' * 12}{end}.csv", CSV)).task.name for end in ("1", "2")
    ]
    assert len(set(names)) == 2 and all(len(name) <= LONGEST_NAME for name in names)


@pytest.mark.parametrize("path", ["~nobody-here/x.csv", "a" * 300 + ".csv", "x\0.csv", "a/b/c.csv"])
def test_impossible_paths_are_reported(path):
    with pytest.raises(UserError) as caught:
        read(Path(path))
    assert str(caught.value).isprintable()


def test_messages_are_one_printable_line():
    assert printable("a\nb\x00c\x1b[0m\ud800\u202e") == "a b\\x00c\\x1b[0m\\ud800\\u202e"


# Mutated files: read whole, or refused in one line


def mutate(content: bytes, seed: int) -> bytes:
    draw = random.Random(seed)
    data = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(data) + 1)
        piece = draw.choice(
            [b'"', b",", b"\n", b"\r", b"\t", b"\x00", b"\xff", b"\\", b"{", b"}", b"[", b"null",
             b"\xef\xbb\xbf", b"label", b"''", bytes([draw.randrange(256)])]
        )  # fmt: skip
        kind = draw.randrange(4)
        if kind == 0:
            data[at:at] = piece
        elif kind == 1:
            del data[at : at + draw.randint(1, 20)]
        elif kind == 2:
            data[at : at + len(piece)] = piece
        else:
            data[at:at] = data[at : at + draw.randint(1, 60)]
    return bytes(data)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("mutated")


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([n for n in FILES if not n.startswith("excel")]))
def test_a_mutated_file_is_read_whole_or_refused(scratch, seed, name):
    content = FILES[name]
    content = mutate(content if isinstance(content, bytes) else content.encode(), seed)
    try:
        data = read(write(scratch / name, content))
    except UserError as error:
        assert str(error).isprintable()
        return
    used = sum(map(len, [data.train, *data.evaluations.values()]))
    assert np.all(np.bincount(data.train.labels, minlength=len(data.task.label_names)) > 0)
    if name.endswith(("csv", "tsv")) and not content.startswith(b"\x1f\x8b"):
        lines = [x for x in content.decode("utf-8-sig").splitlines() if x.strip()]
        spans = any("several lines" in note for note in data.record.notes)
        assert spans or used >= len([x for x in content.split(b"\n") if x.strip(b"\r")]) - 1, lines
    if "lines" in name:
        assert used == len([x for x in content.decode("utf-8-sig").split("\n") if x.strip()])
