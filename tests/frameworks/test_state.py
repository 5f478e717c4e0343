"""A session that continues from a saved state does what one that was not stopped does, to the bit."""

from __future__ import annotations

import importlib
import resource
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from benchmarks.harness.worker.in_force import differences
from frameworks.contract import Curve, SessionSpec, Start, Unsupported, batch_digest
from frameworks.contract.session import TRACED_LOSS_SCALE
from tests.frameworks.conftest import Eyes, make_examples, make_spec, make_start, new_session

# An epoch of 22 examples has 6 batches: a step of four, and one of two. Dropout and clipping are at
# work, and the rate changes at every step.
FIELDS = {
    "epochs": 3,
    "accumulation": 4,
    "learning_rate": 1e-2,
    "dropout": 0.3,
    "max_gradient_norm": 0.3,
    "hash_batches": True,
}
STEPS = {"fp32": (1, 2, 5), "fp16": (4,)}  # after which a training is stopped, by precision


@dataclass(frozen=True)
class Trained:
    weights: dict[str, np.ndarray]
    logits: np.ndarray
    curve: Curve
    scaling: dict[str, object]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Start:
    return make_start(tmp_path_factory.mktemp("start"), "bert", layers=1)


@pytest.fixture(scope="module")
def whole(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Trained]:
    """A training that was not stopped, and that left its state after each step in a folder."""
    states = tmp_path_factory.mktemp("states")

    def train(backend: str, precision: str) -> tuple[SessionSpec, Trained, Path]:
        spec = specification(start, precision=precision)
        if precision == "fp16":  # with which Keras cannot accumulate
            spec = specification(start, precision=precision, accumulation=1)
        elif backend == "hf_torch" and state_of(backend).cannot_resume(spec.feed):
            spec = specification(start, accumulation=2)
        session = session_of(backend, spec)
        if precision == "fp16":
            lower_loss_scale(backend, session)
        folder = states / f"{backend}-{precision}"

        def save(step: int) -> None:
            (folder / str(step)).mkdir(parents=True)
            session.save_state(folder / str(step))

        session.train(Eyes(save))
        return spec, result(session), folder

    return cache(train)


def specification(start: Start, **fields: object) -> SessionSpec:
    return replace(make_spec(start, **FIELDS | fields), resumable=True)


def session_of(backend: str, spec: SessionSpec):
    """Also with fp16 on a processor that has no instructions for it: those are emulated."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"frameworks.{backend}.unsupported_precision", lambda *_: None)
        try:
            return new_session(backend, spec)
        except Unsupported as refusal:
            pytest.skip(str(refusal))


def state_of(backend: str):
    return importlib.import_module(f"frameworks.{backend}.state")


def lower_loss_scale(backend: str, session) -> None:
    """As steps that overflow do, so that a session that continues cannot have it by itself."""
    scales = [
        variable
        for variable in state_of(backend).variables(session.model, session.model.optimizer)
        if len(variable.shape) == 0 and float(variable) == TRACED_LOSS_SCALE
    ]
    assert len(scales) == 1
    scales[0].assign(TRACED_LOSS_SCALE / 4)


def result(session) -> Trained:
    examples = make_examples(6, pairs=True, seed=5)
    scaling = {k: v for k, v in session.effective().details.items() if k.startswith("loss_scale")}
    logits = session.predict(examples, batch_size=4)
    return Trained(session.weights(), logits, session.curve(), scaling)


@pytest.mark.parametrize(
    ("precision", "step"), [(p, step) for p, steps in STEPS.items() for step in steps]
)
def test_it_continues_to_the_same_bits(
    backend: str, precision: str, step: int, whole: Callable[..., tuple[SessionSpec, Trained, Path]]
) -> None:
    spec, expected, folder = whole(backend, precision)
    session, eyes = session_of(backend, spec), Eyes()
    session.load_state(folder / str(step))
    session.train(eyes)
    assert eyes.begun == 1 and eyes.steps == list(range(step + 1, spec.feed.total_steps + 1))
    found = result(session)
    check(found, expected)
    digests = [batch_digest(b) for b in islice(spec.feed.endless(), spec.feed.total_batches)]
    assert found.curve.batch_digests == digests
    if precision == "fp16":
        assert found.scaling["loss_scale"] == TRACED_LOSS_SCALE / 4
        assert found.scaling["loss_scale_steps"] == spec.feed.total_steps
    else:
        assert differences(spec, session.effective(), spec.feed.total_steps) == []


def check(found: Trained, expected: Trained) -> None:
    assert found.curve == expected.curve
    assert len(set(found.curve.loss)) == len(found.curve.loss)
    np.testing.assert_array_equal(found.logits, expected.logits)
    assert found.weights.keys() == expected.weights.keys()
    for name, values in expected.weights.items():
        np.testing.assert_array_equal(found.weights[name], values, err_msg=name)
    assert found.scaling == expected.scaling


def test_a_full_disk_is_an_operating_systems_error(
    backend: str, start: Start, tmp_path: Path
) -> None:
    session = session_of(backend, specification(start, accumulation=1))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(OSError, match=r".+"):
            session.save_state(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_old_trainers_that_would_lose_an_epochs_last_step_save_nothing(
    start: Start, tmp_path: Path
) -> None:
    session = session_of("hf_torch", specification(start))
    if not state_of("hf_torch").cannot_resume(session.spec.feed):
        pytest.skip("this Trainer loses none")
    with pytest.raises(NotImplementedError, match="install transformers 5"):
        session.save_state(tmp_path)
