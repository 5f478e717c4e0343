"""Which examples are used, and what is changed about them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.harness.data.choice import DataChoice
from benchmarks.harness.data.sources import load_data
from benchmarks.harness.data.texts import TaskData
from benchmarks.harness.errors import UserError
from tests.harness.data.folders import IMDB, MNLI, write_imdb, write_mnli

pytestmark = pytest.mark.smoke


def load(folder: Path, task=IMDB, **choice) -> TaskData:
    fields = DataChoice(**choice)
    return load_data(
        task,
        f"dir:{folder}",
        train_examples=fields.train_examples,
        evaluation_examples=fields.evaluation_examples,
        seed=42,
        choice=fields,
    )


def test_both_sets_are_joined_and_split_again_with_the_same_share_of_each_label(tmp_path):
    write_imdb(tmp_path / "imdb", train=12, test=8)
    plain, again = load(tmp_path), load(tmp_path, resplit=4.0)
    everything = sorted(plain.train.first + plain.evaluations["test"].first)
    assert sorted(again.train.first + again.evaluations["test"].first) == everything
    assert np.bincount(again.train.labels).tolist() == [8, 8]
    assert np.bincount(again.evaluations["test"].labels).tolist() == [2, 2]
    assert any(text.startswith("test") for text in again.train.first)
    assert again.train.first == load(tmp_path, resplit=4.0).train.first
    assert "joined and split again 4:1 by seed 42: 16 to train on, 4 " in again.record.description
    assert again.record.train_examples == 16
    assert again.record.fingerprint != plain.record.fingerprint


def test_a_smaller_share_lies_inside_a_larger_one(tmp_path):
    write_imdb(tmp_path / "imdb", train=40)
    quarter, half = (load(tmp_path, train_share=share) for share in (0.25, 0.5))
    assert (len(quarter.train), len(half.train)) == (10, 20)
    assert set(quarter.train.first) < set(half.train.first)
    assert len(quarter.evaluations["test"]) == 6
    drawn = load(tmp_path, train_examples=20, train_share=0.5)
    assert len(drawn.train) == 10


def test_the_first_text_alone(tmp_path):
    write_mnli(tmp_path / "mnli")
    plain, short = load(tmp_path, MNLI), load(tmp_path, MNLI, first_text_only=True)
    assert short.train.second is None
    assert short.train.first == plain.train.first
    assert all(texts.second is None for texts in short.evaluations.values())


@pytest.mark.parametrize(
    ("task", "choice", "message"),
    [
        (IMDB, {"first_text_only": True}, "'imdb' has one text per example"),
        (MNLI, {"resplit": 1.0}, r"'mnli' has 2 evaluation sets \(matched, mismatched\)"),
        (IMDB, {"resplit": 90.0}, "resplit = 90: 8 reviews with the label 'negative' are too few"),
        (IMDB, {"train_share": 0.01}, "all have one label"),
    ],
)
def test_what_a_task_does_not_have(tmp_path, task, choice, message):
    write_imdb(tmp_path / "imdb")
    write_mnli(tmp_path / "mnli")
    with pytest.raises(UserError, match=message):
        load(tmp_path, task, **choice)
