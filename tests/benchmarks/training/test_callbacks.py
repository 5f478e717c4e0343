"""The user's own callbacks take part in the trainings that are scored."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.benchmarks.conftest import ROOT, finish, here, measured, start

Profile = Callable[..., Path]
MODULES = {
    "hf_torch": """
from transformers import TrainerCallback

class Counts(TrainerCallback):
    def __init__(self):
        self.seen = []
    def on_epoch_end(self, args, state, control, **_):
        self.seen.append(f"epoch {state.global_step}")
    def on_log(self, args, state, control, logs=None, **_):
        if "loss" in (logs or {}):
            self.seen.append("loss")
    def on_step_end(self, args, state, control, **_):
        self.seen.append("step")
    def on_train_end(self, args, state, control, **_):
        open(FILE, "w").write(" ".join(self.seen))
""",
    "keras_rnn": """
import keras

class Counts(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.seen = []
    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(f"epoch {8 * (epoch + 1)}")
    def on_train_batch_end(self, batch, logs=None):
        self.seen += ["step", *(["loss"] if "loss" in logs else [])]
    def on_train_end(self, logs=None):
        open(FILE, "w").write(" ".join(self.seen))
""",
}
MODULES["hf_tf"] = MODULES["keras_rnn"].replace("import keras", "import tf_keras as keras")
BROKEN = {
    "absent:Counts": "No module named 'absent'",
    "broken:Counts": "ZeroDivisionError",
    "plain:Counts": "derive its class from",
    "plain:nothing": "has no 'nothing'",
    "plain:number": "plain:number is not a class",
}


def command(folder: Path, profile: Path) -> tuple[int, str, str]:
    arguments = ("-m", "benchmarks.harness.cli", "run", "--profile", profile, "--results", folder)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    return finish(start(*arguments, cwd=folder, env=environment))


def with_callbacks(file: Path, names: list[str]) -> Path:
    text = file.read_text()
    rule = f"[accuracy]\nrandom_weights = true\ncallbacks = {names}\n"
    file.write_text(text + rule)
    return file


def test_they_see_steps_epochs_and_losses_and_one_that_raises_fails_its_job(
    tmp_path: Path, logistic: str, profile: Profile
) -> None:
    backends = here("hf_torch", "hf_tf", "keras_rnn")
    for backend in backends:
        source = MODULES[backend].replace("FILE", repr(str(tmp_path / f"{backend}.txt")))
        (tmp_path / f"of_{backend}.py").write_text(source)
    file = profile(backends, questions=("accuracy",), recipe="epochs = 2\n")
    names = [f"of_{backend}:Counts" for backend in backends]
    code, output, errors = command(tmp_path, with_callbacks(file, names))
    assert code == 0, output + errors
    found = measured(tmp_path)
    for backend in backends:
        m = found[f"accuracy-imdb-{backend}-seed_42"]
        assert m.accuracy is not None and m.accuracy.steps == 32
        assert m.effective is not None
        assert m.effective["details"]["callbacks"] == f"of_{backend}:Counts"
        seen = (tmp_path / f"{backend}.txt").read_text().split()
        assert seen.count("step") == seen.count("loss") == 32
        assert seen.count("epoch") == 2
    module = tmp_path / f"of_{backends[0]}.py"
    broken = module.read_text().replace("self.seen.append", "self.unseen.append")
    module.write_text(broken.replace("self.seen +=", "self.unseen +="))
    # The second backend of this run must still finish.
    file = profile([backends[0], logistic], questions=("accuracy",), recipe="epochs = 2\n")
    code, output, errors = command(tmp_path, with_callbacks(file, names[:1]))
    assert code == 1, output + errors
    found = measured(tmp_path)
    failed = found.pop(f"accuracy-imdb-{backends[0]}-seed_42")
    assert failed.status == "failed" and "your code failed (of_" in (failed.reason or "")
    assert [m.status for m in found.values()] == ["ok"]


@pytest.mark.once
@pytest.mark.parametrize("name", BROKEN)
def test_one_that_cannot_be_used_is_one_line_before_anything_runs(
    name: str, tmp_path: Path, logistic: str, profile: Profile
) -> None:
    (tmp_path / "broken.py").write_text("1 / 0")
    (tmp_path / "plain.py").write_text("number = 1\nclass Counts: pass\n")
    file = with_callbacks(profile([logistic], questions=("accuracy",)), [name])
    code, output, errors = command(tmp_path, file)
    assert code == 2 and not (tmp_path / "runs").exists(), output + errors
    (line,) = errors.strip().splitlines()
    assert line.startswith(f"ftbench: callbacks = {name!r}: ") and BROKEN[name] in line


@pytest.mark.once
def test_a_name_without_a_class_is_refused(tmp_path: Path, profile: Profile) -> None:
    file = with_callbacks(profile(["hf_torch"], questions=("accuracy",)), ["module"])
    code, _, errors = command(tmp_path, file)
    assert code == 2 and "write MODULE:CLASS" in errors
