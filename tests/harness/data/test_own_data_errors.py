"""Own data: what is wrong is reported in one line, and a mutated file is never read in part."""

from __future__ import annotations

import gzip
import random
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.harness.data.tasks import LONGEST_NAME
from benchmarks.harness.errors import UserError, printable
from tests.conftest import EXAMPLES
from tests.harness.data.own_files import (
    FILES,
    delimited,
    json_lines,
    read,
    refused,
    write,
)

# What is certainly wrong: all offenders counted, the first few named

CSV = delimited(",")
WRONG = [
    ("x.csv", CSV + "a,\nb, \nc,\nd,\n", r"4 rows have no label: row 13 .line 14., row 14 .line 15.,"),
    ("x.csv", CSV + "text,label\n", "1 row has the column's own name: row 13 .line 14.; rows are"),
    ("x.csv", CSV + "a,b,c\nonly\n", r"2 fields, but 2 rows do not \(line 14 has 3, line 15 has 1"),
    ("x.csv", CSV + '"never closed,bad\n', "row that begins on line 14 has a quotation mark that is"),
    ("x.csv", CSV + '"he \\"said\\" so",bad\n', "row that begins on line 14 has a character between"),
    ("x.csv", CSV + "rare,odd\n", r"the label 'odd' has a single row: 'odd' in row 13 \(line 14\)"),
    ("x.csv", CSV.replace("label", "text", 1), "column 'text' occurs 2 times in"),
    ("x.csv", CSV.replace("text,label", "text,label,label"), "occurs 2 times|has 3 fields, but"),
    ("x.csv", CSV.replace("label", "Label", 1), "did you mean 'Label'"),
    ("x.csv", "", "is empty"),
    ("x.csv", " \n\n", "is empty"),
    ("x.csv", "text,label\n", "has no rows"),
    ("x.csv", CSV.encode("utf-16"), "not UTF-8 .*byte order mark of UTF-16.*iconv -f UTF-16"),
    ("x.csv", CSV.encode("utf-16-le"), "looks like UTF-16.*iconv -f UTF-16LE"),
    ("x.csv", CSV.encode("utf-16-be"), "looks like UTF-16.*iconv -f UTF-16BE"),
    ("x.csv", CSV.encode("utf-32"), "byte order mark of UTF-32"),
    ("x.csv", (CSV + "caf\u00e9,bad\n").encode("latin-1"), "byte 0xe9 on line 14.*WINDOWS-1252"),
    ("x.csv", CSV + "a\0b,bad\n", "NUL byte on line 14"),
    ("x.csv", gzip.compress(CSV.encode(), mtime=0)[:-9], "damaged gzip file"),
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
    ("x.jsonl", json_lines() + '{"text": "a", "label": ["bad"]}\n', "1 row has a list of labels"),
    ("x.jsonl", json_lines() + '{"text": null, "label": "bad"}\n', "1 row has no text: row 13"),
    ("x.jsonl", json_lines() + '{"text": "a", "text": "b", "label": "bad"}\n', "has a key twice"),
    ("x.jsonl", "[" * 100_000, "not valid JSON .too large or too deeply nested.: correct it"),
    ("x.jsonl", '{"text": ' + "9" * 5000 + "}", "not valid JSON"),
    ("x.json", '{"text": {"0": "a"}, "label": {"0": "b"}}', "one object that holds columns: write one object"),
    ("x.json", "[1, 2]", "2 values that are not a JSON object: row 1, row 2"),
    ("x.json", "[]", "has no rows"),
    ("x.jsonl", json_lines().encode("utf-16"), "byte order mark of UTF-16"),
    ("x.csv", CSV + "Total,12\n", "the label '12' has a single row: '12' in row 13"),
    ("x.csv", CSV + "(12 rows)\n", r"2 fields, but 1 row does not \(line 14 has 1\): .*remove the other rows"),
    ("x.csv", CSV + "one\rtwo,good\n", r"first line has 2 fields, but 1 row does not \(line 14 has 1\)"),
    ("x.csv", CSV + "a\\, b,good\n", r"first line has 2 fields, but 1 row does not \(line 14 has 3\)"),
    ("x.csv", "# exported today\n" + CSV, "its columns: # exported today; the first line must name"),
    ("x.csv", CSV[11:], "its columns: text 0, good .*the first line must name the columns"),
    ("x.csv", delimited("~"), "its columns: text~label; the first line must name the columns"),
    ("x.csv", CSV + "a,\u00a0\nb,\u200b\n", "2 rows have no label: row 13 .line 14., row 14 .line 15."),
    ("x.csv", "text,label\n" + ",a\n,b\n" * 3, "column 'text' .* has no text in any of its 6 rows"),
    ("x.csv", delimited(",", [(str(i % 2), f"a long text {i}") for i in range(40)]),
     "40 different values in 40 rows, 40 of them once: it does not hold classes"),
    ("x.csv", "<?xml version='1.0'?><Error>", "web page or XML"),
    ("x.csv", "<table><tr>", "web page or XML"),
    ("x.csv", json_lines(), "not CSV or TSV but looks like JSON"),
    ("x.csv", "PAR1\x15\x04", "not CSV or TSV but looks like parquet"),
    ("x.parquet", CSV, "is not a parquet file"),
    ("x.csv", b"\x80\x04\x95.", "is a Python pickle"),
    ("x.csv", b"ARROW1  .", "is an Arrow file"),
    ("x.csv.gz", gzip.compress(gzip.compress(b"a")), "compressed with gzip twice"),
    ("x.csv.gz", gzip.compress(CSV.encode()) + b"more", "damaged gzip file"),
    ("x.csv.gz", gzip.compress(b"x.csv".ljust(257, b"0") + b"ustar"), "a tar archive: unpack it"),
    ("x.csv", (CSV + "\u65e5\u672c,good\n").encode("shift-jis"), "line 14.*the encoding that it was saved in"),
    ("x.jsonl", CSV, "13 lines that are not valid JSON: line 1"),
    ("x.jsonl", json_lines()[:-15], "1 line that is not valid JSON: line 12"),
    ("x.jsonl", json_lines() + '{"text": "a", "label": 1.5}\n', "the label '1.5' of type float"),
    ("x.jsonl", '{"text": "a", "label": 0.5}\n' * 3, "3 rows have the label '0.5' of type float"),
    ("x.jsonl", '{"text": "a", "label": ["b"]}\n' * 3, "3 rows have a list of labels.*one label per row"),
    ("x.jsonl", '{"text": ["a"], "label": "b"}\n' * 3, "3 rows have a value of type list"),
    ("x.json", '{"data": [{"text": "a"}]}', "column 'text' is not in .* its columns: data"),
    ("x.json", '[["a", "b"]]', "1 value that is not a JSON object: row 1"),
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


@pytest.mark.parametrize(
    "stem",
    [
        *(
            "日本語",
            "a b",
            "-rf",
            "--help",
            "$(id)",
            "a..b",
            "%2e%2e",
            "x" * 240,
            "imdb",
            "line\nbreak",
        ),
        *("CON", "ünï☃", "a.b.c", "~", "'\"", "_", "1"),
    ],
)
def test_names_of_tasks_are_safe_in_file_names(tmp_path, stem):
    name = read(write(tmp_path / f"{stem}.csv", CSV)).task.name
    assert re.fullmatch("[a-z0-9](?:[a-z0-9-]{0,46}[a-z0-9])?", name) and name != "imdb"


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


@settings(max_examples=EXAMPLES, derandomize=True, deadline=None)
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
