"""Small folders in the form of the named tasks, and how tests load them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from benchmarks.harness.data.sources import load_data
from benchmarks.harness.data.tasks import find_task
from benchmarks.harness.errors import UserError

IMDB, MNLI = find_task("imdb"), find_task("mnli")


def write_parquet(path: Path, **columns: list) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pa.table(columns), path)


def write_imdb(folder: Path, *, train: int = 10, test: int = 6, **replaced: list) -> None:
    for name, count in (("train", train), ("test", test)):
        columns = {
            "text": [f"{name} review {i}" for i in range(count)],
            "label": [i % 2 for i in range(count)],
        }
        write_parquet(folder / f"{name}.parquet", **columns | (replaced if name == "train" else {}))


def write_mnli(folder: Path, train: int = 9) -> None:
    for name, count in (("train", train), ("validation_matched", 6), ("validation_mismatched", 3)):
        write_parquet(
            folder / f"{name}.parquet",
            premise=[f"{name} premise {i}" for i in range(count)],
            hypothesis=[f"{name} hypothesis {i}" for i in range(count)],
            label=[i % 3 for i in range(count)],
            idx=list(range(count)),
        )


def load(task, source=None, train=None, evaluation=None, seed=1):
    return load_data(task, source, train_examples=train, evaluation_examples=evaluation, seed=seed)


def refused(message: str):
    return pytest.raises(UserError, match=message)
