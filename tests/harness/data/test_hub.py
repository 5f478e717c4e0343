"""Data through the hub's loader."""

from __future__ import annotations

import json

import pytest

from benchmarks.harness.data.tasks import custom_task
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

# The hub's loader, on local folders in the hub's format


@pytest.fixture
def datasets_cache(monkeypatch, tmp_path_factory):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("datasets"))


def test_the_hubs_loader_gives_what_the_folder_gives(tmp_path, datasets_cache):
    write_imdb(tmp_path)
    task = IMDB.model_copy(update={"hub_id": str(tmp_path)})
    data = load(task, "hub", train=6)
    assert data.record.source == "hub"
    assert data.record.fingerprint == load(IMDB, f"dir:{tmp_path}", 6).record.fingerprint


def test_the_hubs_loader_takes_configurations_and_named_labels(tmp_path, datasets_cache):
    write_mnli(tmp_path / "mnli")
    card = {
        "configs": [
            {
                "config_name": "mnli",
                "data_files": [
                    {"split": name, "path": f"mnli/{name}.parquet"}
                    for name in ("train", "validation_matched", "validation_mismatched")
                ],
            }
        ]
    }
    (tmp_path / "README.md").write_text(f"---\n{json.dumps(card)}\n---\n")
    task = MNLI.model_copy(update={"hub_id": str(tmp_path)})
    data = load(task, "hub")
    assert data.record.fingerprint == load(MNLI, f"dir:{tmp_path}").record.fingerprint
    with refused("no split 'nothing', only train, validation_matched"):
        load(task.model_copy(update={"train_split": "nothing"}), "hub")
    with refused("column 'text' is not in data set .*its columns: premise, hypothesis, label, idx"):
        load(task.model_copy(update={"text_column": "text"}), "hub")
    with refused("cannot download data set"):
        load(task.model_copy(update={"hub_config": "other"}), "hub")


@pytest.mark.parametrize("held_out", ["validation", "test", None])
def test_an_own_hub_task_uses_its_evaluation_set(tmp_path, datasets_cache, held_out):
    for name in ("train", held_out or "train"):
        write_parquet(
            tmp_path / f"{name}.parquet", t=[f"{name} {i}" for i in range(10)], l=["no", "yes"] * 5
        )
    task = custom_task("owner/name", text="t", second=None, label="l")
    data = load(task.model_copy(update={"hub_id": str(tmp_path)}))
    assert data.task.label_names == ("no", "yes")
    assert list(data.evaluations) == [held_out or "evaluation"]
    assert len(data.train) == (10 if held_out else 8)
    assert "hub revision not pinned" in data.record.notes


def test_without_the_hub_the_other_ways_are_named(monkeypatch, datasets_cache):
    import datasets
    import huggingface_hub.constants

    for module in (datasets.config, huggingface_hub.constants):
        monkeypatch.setattr(module, "HF_HUB_OFFLINE", True)
    with refused("cannot download data set 'stanfordnlp/imdb' from the hub .*dir:PATH.*embedded"):
        load(IMDB, "hub")
    task = custom_task("owner/name", text="t", second=None, label="l")
    with refused("cannot download data set 'owner/name' from the hub .*use a local file"):
        load(task)
