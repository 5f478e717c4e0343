"""A training that was killed continues from its last checkpoint and ends as if it had not been."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from results.schema import EvaluationPoint, Measurement
from results.store import latest_run
from tests.benchmarks.conftest import ROOT, finish, here, measured, start

pytestmark = pytest.mark.once

# A metric, called at every evaluation: when its time has come, it kills a process.
KILLER = """
import os
import signal
from pathlib import Path

FILE = Path(__file__).with_name("kill")

def score(predicted, labels):
    if len(labels) > 4 and FILE.exists():  # not the four examples that it is tried with
        evaluations, whom = FILE.read_text().split()
        if int(evaluations) > 1:
            FILE.write_text(f"{int(evaluations) - 1} {whom}")
        else:
            FILE.unlink()
            os.kill(os.getpid() if whom == "worker" else os.getppid(), signal.SIGKILL)
            signal.pause()
    return float((predicted == labels).mean())

def late(predicted, labels):  # undefined at the first two evaluations, in whichever process
    file = Path(__file__).with_name("late")
    seen = int(file.read_text()) if file.exists() else 0
    file.write_text(str(seen + (len(labels) > 4)))
    return float("nan") if len(labels) > 4 and seen < 2 else 0.5
"""
# A model and a callback of the user's, both with a state.
OWN = """
from pathlib import Path

import torch
from torch import nn
from transformers import TrainerCallback

class Bag(nn.Module):
    def __init__(self, vocabulary, labels):
        super().__init__()
        self.words, self.out = nn.Embedding(vocabulary, 8), nn.Linear(8, labels)
        self.drop, self.calls = nn.Dropout(0.2), 0
    def forward(self, input_ids, attention_mask):
        self.calls += self.training
        mask = attention_mask[..., None]
        mean = (self.words(input_ids) * mask).sum(1) / mask.sum(1)
        return self.out(self.drop(mean) + self.calls / 100)

def build(vocabulary_size, label_count):
    return Bag(vocabulary_size, label_count)

class Counts(TrainerCallback):
    def __init__(self):
        self.seen = []
    def on_step_end(self, args, state, control, **_):
        self.seen.append(state.global_step)
    def on_train_end(self, args, state, control, **_):
        Path(__file__).with_name("seen").write_text(str(self.seen))
    def state(self):
        return {"attributes": {"seen": self.seen}}
"""
ACCURACY = """
[accuracy]
random_weights = true
checkpoint_interval = 3
metrics = ["killer:score", "killer:late"]
"""
RECIPE = 'evaluation_interval = 2\nkeep_best = "killer:score"\nlearning_rate = 1e-2\nseed = 3\n'


def ftbench(folder: Path, *arguments: str | Path) -> tuple[int, str, str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    command = ("-m", "benchmarks.harness.cli", "run", *arguments, "--results", folder / "results")
    return finish(start(*command, cwd=folder, env=environment))


def text(evaluation: EvaluationPoint) -> dict[str, str]:
    """Its scores, in a form in which what is not a number equals itself."""
    return {name: score.model_dump_json() for name, score in evaluation.scores.items()}


def outcome(folder: Path) -> tuple[Measurement, dict[str, np.ndarray]]:
    (m,) = measured(folder / "results").values()
    run = latest_run(folder / "results")
    assert run is not None and m.accuracy is not None and m.accuracy.predictions_file
    with np.load(run / m.accuracy.predictions_file) as arrays:
        return m, dict(arrays)


@pytest.mark.parametrize("backend", ["logistic", "hf_torch.own.build"])
def test_a_training_that_is_killed_twice_ends_with_the_same_bits(
    backend: str, tmp_path: Path, logistic: str, profile: Callable[..., Path]
) -> None:
    own = backend != "logistic"
    if own:
        here("hf_torch")
    file = profile([backend if own else logistic], questions=("accuracy",), recipe=RECIPE)
    file.write_text(file.read_text() + ACCURACY + 'callbacks = ["own:Counts"]\n' * own)
    folders = [tmp_path / name for name in ("whole", "killed")]
    for folder in folders:
        folder.mkdir()
        (folder / "killer.py").write_text(KILLER)
        (folder / "own.py").write_text(OWN)
    code, output, errors = ftbench(folders[0], "--profile", file)
    assert code == 0, output + errors
    assert "metric killer:late returns nan on evaluation set" in output
    whole, logits = outcome(folders[0])

    kill = folders[1] / "kill"
    kill.write_text("4 worker")  # at the evaluation after step 8, with a checkpoint of step 6
    code, output, errors = ftbench(folders[1], "--profile", file)
    assert code == 1 and "killed: the worker was ended by SIGKILL" in errors, output + errors
    kill.write_text("4 parent")  # at that after step 14, with a checkpoint of step 12
    code, _, _ = ftbench(folders[1], "--resume", "last")
    assert code == -9 and not kill.exists()
    run = latest_run(folders[1] / "results")
    assert run is not None
    (checkpoints,) = (run / "checkpoints").iterdir()
    assert {path.name for path in checkpoints.glob("step-*")} == {"step-9", "step-12"}
    code, output, errors = ftbench(folders[1], "--resume", "last")
    assert code == 0 and "continues after step 12 of 16" in output, output + errors
    resumed, same_logits = outcome(folders[1])
    assert not checkpoints.exists()

    assert whole.accuracy is not None and resumed.accuracy is not None
    assert resumed.accuracy.resumed_at_steps == [6, 12]
    same = ("steps", "examples", "scores", "kept_step", "curve")
    for name in same:
        assert getattr(resumed.accuracy, name) == getattr(whole.accuracy, name), name
    for one, other in zip(resumed.accuracy.evaluations, whole.accuracy.evaluations, strict=True):
        assert (one.step, text(one)) == (other.step, text(other))
    late = [text(evaluation).popitem()[1] for evaluation in resumed.accuracy.evaluations]
    assert ['"killer:late":"NaN"' in line for line in late] == [True] * 2 + [False] * 7
    if own:
        seen = [(folder / "seen").read_text() for folder in folders]
        assert seen == [str(list(range(1, 17)))] * 2
    assert set(logits) == set(same_logits)
    for name, values in logits.items():
        np.testing.assert_array_equal(values, same_logits[name], err_msg=name)
    assert "Stopped and continued from a checkpoint" in (run / "report.html").read_text("utf-8")
