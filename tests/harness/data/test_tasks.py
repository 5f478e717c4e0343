"""Named tasks and the user's own."""

from __future__ import annotations

import re

import pytest

from benchmarks.harness.data.tasks import custom_task, find_task, task_names
from benchmarks.harness.errors import UserError


def test_named_tasks_are_complete():
    assert task_names() == ["imdb", "mnli"]
    for name in task_names():
        task = find_task(name)
        assert task.name == name
        assert re.fullmatch("[0-9a-f]{40}", task.hub_revision)
        assert len(set(task.label_names)) == len(task.label_names) >= 2
        assert task.evaluation_splits and task.generator and task.targets["accuracy"] < 1


def test_mnli_keeps_its_evaluation_sets_apart():
    assert find_task("mnli").evaluation_splits == {
        "matched": "validation_matched",
        "mismatched": "validation_mismatched",
    }


@pytest.mark.parametrize("typed, meant", [("imbd", "imdb"), ("mnil", "mnli")])
def test_an_unknown_task_names_the_nearest(typed, meant):
    with pytest.raises(UserError, match=f"unknown task '{typed}': did you mean {meant}"):
        find_task(typed)


def test_a_file_becomes_a_task(tmp_path):
    path = tmp_path / "My Reviews.csv"
    path.write_text("t,l\na,0\nb,1\n")
    task = custom_task(str(path), text="t", second=None, label="l")
    assert (task.name, task.title, task.file) == ("my-reviews", "My Reviews", path)
    assert task.custom and task.columns == ("t",) and task.item == "example"
    assert custom_task(str(path), text="t", second="u", label="l", name="Q&A").name == "q-a"
    assert custom_task(str(path), text="t", second="u", label="l").item == "pair"


def test_a_custom_task_does_not_hide_a_named_one(tmp_path):
    path = tmp_path / "imdb.csv"
    path.touch()
    assert custom_task(str(path), text="t", second=None, label="l").name == "my-imdb"


def test_a_hub_id_becomes_a_task():
    task = custom_task("owner/data_set.x:sub@abc1", text="t", second=None, label="l")
    assert (task.hub_id, task.hub_config, task.hub_revision) == ("owner/data_set.x", "sub", "abc1")
    assert task.file is None and task.name == "owner-data-set-x"
    plain = custom_task("owner/data", text="t", second=None, label="l")
    assert (plain.hub_config, plain.hub_revision) == (None, None)


@pytest.mark.parametrize(
    "where, message",
    [
        ("missing.csv", "does not exist"),
        ("folder/missing.parquet", "does not exist"),
        ("not a hub id", "does not exist: name a file .*or a hub id"),
        ("http://example.org/x", "does not exist: name a file .*or a hub id"),
    ],
)
def test_what_is_neither_file_nor_hub_id_is_refused(where, message):
    with pytest.raises(UserError, match=message):
        custom_task(where, text="t", second=None, label="l")


def test_a_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "x.xlsx"
    path.touch()
    with pytest.raises(UserError, match="'x.xlsx' has an unsupported type: use .csv"):
        custom_task(str(path), text="t", second=None, label="l")


@pytest.mark.parametrize(
    "columns",
    [
        {"text": "t", "second": None, "label": "t"},
        {"text": "t", "second": "t", "label": "l"},
        {"text": "", "second": None, "label": "l"},
    ],
)
def test_columns_must_be_named_and_differ(columns):
    with pytest.raises(UserError, match="name different columns"):
        custom_task("owner/data", **columns)
