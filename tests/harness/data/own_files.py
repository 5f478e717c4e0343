"""Small data files in all the forms that people have, for the tests of own data."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from benchmarks.harness.data.sources import load_data
from benchmarks.harness.data.tasks import custom_task
from benchmarks.harness.data.texts import TaskData
from benchmarks.harness.errors import UserError

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


FILES = {
    "commas.csv": delimited(","),
    "commas_in_texts.csv": "text\tx,y\tlabel\n" + "".join(f"{t}\ta,b\t{x}\n" for t, x in ROWS),
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
    "spaces.csv": delimited(", "),
    "quoted_spaces.csv": delimited(
        ", ", [(f'"{t}"', f'"{x}"') for t, x in ROWS], ('"text"', '"label"')
    ),
    "padded.csv": delimited(",", header=(" text\u00a0", "label ")),
    "marks.csv": "\ufeff\ufeff" + delimited(","),
    "ends.csv": delimited(",", [(*row, "", "") for row in ROWS]),
    "all_ends.csv": delimited(",", [(*row, "") for row in ROWS], ("text", "label", "")),
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
