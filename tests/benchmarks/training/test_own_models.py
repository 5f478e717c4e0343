"""`--model` measures a model of the user's own as any other backend."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from results.store import latest_run, read_certificates
from tests.benchmarks.conftest import ROOT, finish, here, measured, start

Profile = Callable[..., Path]
MODULE = """
import torch
from torch import nn

class Bag(nn.Module):
    def __init__(self, vocabulary, labels, size):
        super().__init__()
        self.words, self.out = nn.Embedding(vocabulary, size), nn.Linear(size, labels)
    def forward(self, input_ids, attention_mask, labels=None):
        mask = attention_mask[..., None]
        logits = self.out((self.words(input_ids) * mask).sum(1) / mask.sum(1))
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return logits if loss is None else (loss, logits)

def build(vocabulary_size, label_count):
    return Bag(vocabulary_size, label_count, 8)

def again(vocabulary_size, label_count):
    return Bag(vocabulary_size, label_count, 8)

def larger(vocabulary_size, label_count):
    return Bag(vocabulary_size, label_count, 9)

"""

pytestmark = pytest.mark.once


def ftbench(folder: Path, *arguments: str | Path) -> tuple[int, str, str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    command = ("-m", "benchmarks.harness.cli", *arguments, "--results", folder)
    return finish(start(*command, cwd=folder, env=environment))


@pytest.fixture
def module(tmp_path: Path) -> Path:
    here("hf_torch")
    (tmp_path / "bags.py").write_text(MODULE)
    return tmp_path


def test_it_is_timed_measured_and_scored(module: Path, profile: Profile) -> None:
    file = profile(["hf_torch"], questions=("throughput", "memory", "accuracy"))
    code, output, errors = ftbench(module, "run", "--profile", file, "--model", "bags:build")
    assert code == 0, output + errors
    found = measured(module)
    assert {m.job.backend for m in found.values()} == {"hf_torch.bags.build"}
    assert {m.status for m in found.values()} == {"ok"}, output + errors
    accuracy = found["accuracy-imdb-hf_torch.bags.build-seed_42"]
    assert accuracy.accuracy is not None and accuracy.accuracy.steps == 16
    assert accuracy.checkpoint is not None and accuracy.checkpoint.architecture == "bags:build"
    speed = found["throughput-imdb-hf_torch.bags.build"].throughput
    assert speed is not None and speed.model_flops_per_token is None
    folder = latest_run(module)
    assert folder is not None
    report = (folder / "report.md").read_text()
    assert "PyTorch bags:build trained at" in report


def test_models_are_certified_where_they_start_from_the_same_weights(
    module: Path, profile: Profile
) -> None:
    names = [f"hf_torch.bags.{name}" for name in ("build", "again", "larger")]
    file = profile(names, questions=("equivalence",))
    code, output, errors = ftbench(module, "certify", "--profile", file)
    assert code == 1, output + errors
    folder = latest_run(module)
    assert folder is not None
    verdicts = {
        (c.first.backend, c.second.backend): c.verdict for c in read_certificates(folder)[0]
    }
    assert len(verdicts) == 3
    assert verdicts.pop(("hf_torch.bags.again", "hf_torch.bags.build")).startswith(
        "same work: proven"
    )
    assert all(verdict.startswith("not the same work: ") for verdict in verdicts.values())


def test_its_limit_is_found_without_a_prediction(module: Path, profile: Profile) -> None:
    name = "hf_torch.bags.build"
    file = profile([name], questions=("batch_limit",))
    file.write_text(f"{file.read_text()}[batch_limit]\nhighest = 2\n")
    code, output, errors = ftbench(module, "limit", "--profile", file, "--budget", "4GiB")
    assert code == 0, output + errors
    (m,) = measured(module).values()
    assert m.batch_limit is not None and m.batch_limit.limit == 2
    code, output, errors = ftbench(module, "predict", "--backend", name)
    assert code == 2 and "PyTorch bags:build is not predicted: it is a model of your own" in errors


def test_one_that_cannot_be_made_is_one_line_before_anything_runs(
    module: Path, profile: Profile
) -> None:
    file = profile(["hf_torch"])
    for name, problem in {
        "absent:build": "No module named 'absent'",
        "bags": "write MODULE:",
    }.items():
        code, output, errors = ftbench(module, "run", "--profile", file, "--model", name)
        assert code == 2 and not (module / "runs").exists(), output + errors
        (line,) = errors.strip().splitlines()
        assert problem in line and line.startswith("ftbench: --model ")
