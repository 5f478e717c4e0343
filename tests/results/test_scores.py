"""Accuracies over seeds, and paired tests between backends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from results.analysis.accuracy import PairRow, over_seeds, pair_rows, predictions, score_rows
from results.analysis.groups import groups
from results.analysis.statistics import Estimate
from tests.results.test_compare import accuracy_group, kept


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


def test_the_difference_over_seeds_has_students_interval() -> None:
    rows = [
        PairRow("a", "b", "test", seed, Estimate(d, None), 1.0, 1.0)
        for seed, d in enumerate((0.01, 0.02, 0.03))
    ]
    other = PairRow("a", "b", "other", 0, Estimate(0.5, None), 1.0, 1.0)
    found = over_seeds([*rows, other])
    assert len(found) == 1
    _, estimate, seeds = found[0]
    assert seeds == 3 and estimate.value == pytest.approx(0.02)
    assert estimate.interval and estimate.interval.low < 0 < estimate.interval.high


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
