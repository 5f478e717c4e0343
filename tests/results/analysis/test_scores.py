"""Accuracies over seeds, and paired tests between backends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from results.analysis.accuracy.pairs import pair_rows, verdict_rows
from results.analysis.accuracy.scores import predictions, score_rows, target_rows
from results.analysis.groups import Entry, Group, groups
from results.schema import Accuracy
from tests.results import samples
from tests.results.samples import measurement


def accuracy_group(backend: str, *values: float) -> Group:
    measured = [
        measurement(
            backend,
            "imdb",
            "accuracy",
            recipe={"seed": seed},
            suffix=f"-seed_{seed}",
            accuracy=samples.accuracy("imdb", value, 1.0, seed),
        )
        for seed, value in enumerate(values)
    ]
    (found,) = groups([Entry("a", m, None) for m in measured])
    return found


def kept(
    folder: Path, backend: str, said: np.ndarray, labels: np.ndarray, file: str | None = None
) -> Entry:
    name = file or f"{backend}.npz"
    if file is None:
        np.savez(folder / name, test_logits=np.eye(2)[said], test_labels=labels)
    m = measurement(
        backend,
        "imdb",
        "accuracy",
        accuracy=samples.accuracy("imdb", 0.5, 1.0, predictions_file=name),
    )
    return Entry("a", m, folder)


def test_accuracy_over_seeds() -> None:
    row = score_rows(accuracy_group("hf_tf", 0.90, 0.91, 0.92))[0]
    assert row.seeds == (0, 1, 2) and row.accuracy == pytest.approx(0.91)
    assert row.accuracy_interval.low < 0.91 < row.accuracy_interval.high
    assert row.accuracy_over_seeds and row.accuracy_over_seeds.width == pytest.approx(0.0497, 1e-2)
    assert score_rows(accuracy_group("hf_tf", 1.0))[0].accuracy_over_seeds is None


def test_two_backends_are_paired_on_the_same_examples(tmp_path: Path) -> None:
    labels = np.array([0, 1] * 50)
    first = kept(tmp_path, "hf_tf", np.where(np.arange(100) < 10, 1 - labels, labels), labels)
    second = kept(tmp_path, "hf_torch", np.where(np.arange(100) < 30, 1 - labels, labels), labels)
    row = pair_rows(groups([first, second]))[0]
    assert (row.first, row.second, row.seed) == ("hf_tf", "hf_torch", 42)
    assert row.difference.value == pytest.approx(0.20) and row.agreement == pytest.approx(0.80)
    assert row.p_value == pytest.approx(2 / 2**20)
    f1 = score_rows(groups([first])[0])[0].macro_f1_interval
    assert f1 and f1.low < 0.90 < f1.high


def trained(folder: Path, backend: str, wrong: list[int], labels: np.ndarray) -> list[Entry]:
    """A training for every seed, with so many wrong predictions."""
    entries = []
    for seed, count in enumerate(wrong):
        shifted = (np.arange(len(labels)) + 13 * seed) % len(labels)
        predicted = np.where(shifted < count, 1 - labels, labels)
        entry = kept(folder, f"{backend}-{seed}", predicted, labels)
        accuracy = entry.measurement.require(Accuracy).model_copy(update={"seed": seed})
        job = entry.measurement.job.model_copy(
            update={"backend": backend, "id": f"{backend}-{seed}"}
        )
        recipe = {**entry.measurement.recipe, "seed": seed}
        changes = {"payload": accuracy, "job": job, "recipe": recipe}
        entries.append(Entry("a", entry.measurement.model_copy(update=changes), folder))
    return entries


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ([9] * 6, [9] * 6, "A and B are equally accurate on test within 1 point"),
        ([5, 9, 3, 6, 4, 8], [92, 85, 98, 90, 95, 91], "A is more accurate than B on test by 21."),
        ([92, 85, 98, 90, 95, 91], [5, 9, 3, 6, 4, 8], "B is more accurate than A on test by 21."),
        ([40, 60], [44, 52], "cannot be told from 2 seeds, 400 examples"),
        ([40], [44], "cannot be told from one seed; 6 paired seeds are needed."),
    ],
)
def test_the_verdict_is_a_sentence(
    tmp_path: Path, first: list[int], second: list[int], words: str
) -> None:
    labels = np.array([0, 1] * 200)
    entries = trained(tmp_path, "a", first, labels) + trained(tmp_path, "b", second, labels)
    rows = verdict_rows(groups(entries), margin=0.01)
    assert len(rows) == 1 and rows[0].seeds == tuple(range(len(first)))
    assert words in rows[0].sentence("A", "B")
    assert (rows[0].accuracy is None) == (len(first) == 1)


def test_only_seeds_of_both_are_compared_and_failed_trainings_are_counted(tmp_path: Path) -> None:
    labels = np.array([0, 1] * 50)
    one = trained(tmp_path, "a", [3, 4, 5], labels)
    other = trained(tmp_path, "b", [3, 4], labels)
    zeros = np.zeros(100, dtype=int)
    np.savez(tmp_path / "b-0.npz", test_logits=np.eye(2)[zeros], test_labels=labels)
    row = verdict_rows(groups(one + other), margin=0.01)[0]
    assert row.seeds == (0, 1)
    assert row.collapsed == (0, 1)


def test_other_labels_are_no_pair(tmp_path: Path) -> None:
    labels = np.array([0, 1] * 50)
    first = kept(tmp_path, "hf_tf", labels, labels)
    second = kept(tmp_path, "hf_torch", labels, 1 - labels)
    assert pair_rows(groups([first, second])) == []


@pytest.mark.parametrize(
    "file", ["absent.npz", "broken.npz", "../outside.npz", "/etc/passwd", "pickle.npz"]
)
def test_predictions_that_cannot_be_read_are_missing(tmp_path: Path, file: str) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "broken.npz").write_bytes(b"PK\x03\x04 not really")
    labels = np.array([0, 1])
    np.savez(tmp_path / "outside.npz", test_logits=np.eye(2)[labels], test_labels=labels)
    np.savez(folder / "pickle.npz", test_logits=np.array([{}], dtype=object), test_labels=labels)
    assert predictions(kept(folder, "hf_tf", labels, labels, file), "test") is None


def test_the_time_to_a_target_is_that_of_the_first_evaluation_at_or_above_it() -> None:
    """The samples' accuracy rises to its last value in steps; at 1 step a second the target is
    reached at a known step. A seed that never reaches it leaves no mean."""
    group = accuracy_group("hf_tf", 0.90, 0.92)
    value = 0.90 - 0.25 * np.exp(-400 / 150)
    row = target_rows(group, float(value))[0]
    evaluations = group.entries[0].measurement.require(Accuracy).evaluations
    assert row.seconds[0] == next(p.training_seconds for p in evaluations if p.step == 400)
    assert row.seconds[1] is not None and row.seconds[1] < row.seconds[0]
    assert row.over_seeds
    high = target_rows(group, 0.91)[0]
    assert high.seconds[0] is None and high.seconds[1] is not None and high.over_seeds is None
