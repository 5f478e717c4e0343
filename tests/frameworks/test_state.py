"""A session that continues from a saved state does what one that was not stopped does, to the bit."""

from __future__ import annotations

import importlib
import json
import resource
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from benchmarks.harness.worker.in_force import differences
from frameworks.contract import (
    Curve,
    SessionSpec,
    Start,
    Unsupported,
    backends,
    batch_digest,
    callback_states,
    load_user_code,
)
from frameworks.contract.session import TRACED_LOSS_SCALE
from tests.frameworks import of_users
from tests.frameworks.conftest import (
    Eyes,
    make_examples,
    make_spec,
    make_start,
    needed,
    new_session,
)

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
# What is trained, in which precision, and after which step it is stopped: an epoch has two steps, and six
# in fp16. Those of OWN are models of the user's.
OWN = {"torch_rnn": "hf_torch", "own_torch": "hf_torch", "own_keras": "keras_rnn"}
CASES = [
    *(("hf_torch", "fp32", step) for step in (1, 2, 5)),
    *((name, "fp32", step) for name in ("hf_tf", "keras_rnn") for step in (1, 5)),
    *((name, "fp16", 4) for name in ("hf_torch", "hf_tf", "keras_rnn")),
    ("torch_rnn", "fp32", 3),
    *(("own_torch", "fp32", step) for step in (2, 3)),
    ("own_keras", "fp32", 2),
]


@dataclass(frozen=True)
class Trained:
    weights: dict[str, np.ndarray]
    logits: np.ndarray
    curve: Curve
    scaling: dict[str, object]
    seen: list[list[Any]]  # by a callback


def marked(name: str, *others: object) -> Any:
    once = OWN.get(name, name) == "hf_torch"
    label = "-".join(map(str, (name, *others)))
    return pytest.param((name, *others), id=label, marks=[pytest.mark.once] if once else [])


@pytest.fixture(params=[marked(*case) for case in CASES])
def case(request: pytest.FixtureRequest) -> tuple[str, str, int]:
    return request.param


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Start:
    return make_start(tmp_path_factory.mktemp("start"), "bert", layers=1)


@pytest.fixture(scope="module")
def whole(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Trained]:
    """A training that was not stopped, and that left its state after each step in a folder."""
    states = tmp_path_factory.mktemp("states")

    def train(name: str, precision: str) -> tuple[SessionSpec, Trained, Path]:
        backend, spec = OWN.get(name, name), spec_of(name, precision, start)
        session = session_of(backend, spec)
        if precision == "fp16":
            lower_loss_scale(backend, session)
        folder = states / f"{name}-{precision}"

        def save(step: int) -> None:
            (folder / str(step)).mkdir(parents=True)
            session.save_state(folder / str(step))
            found = json.dumps(callback_states(session.callbacks))
            (folder / str(step) / "callbacks.json").write_text(found)

        session.train(Eyes(save))
        return spec, result(session), folder

    return cache(train)


def spec_of(name: str, precision: str, start: Start) -> SessionSpec:
    """The user's own models, and fp16, have a callback."""
    backend, spec = OWN.get(name, name), specification(start, precision=precision)
    if precision == "fp16":  # with which Keras cannot accumulate
        spec = specification(start, precision=precision, accumulation=1)
    elif backend == "hf_torch" and state_of(backend).cannot_resume(spec.feed):
        spec = specification(start, accumulation=3)
    if precision == "fp16" or name.startswith("own_"):
        frameworks = {"hf_torch": "transformers", "hf_tf": "tf_keras", "keras_rnn": "keras"}
        needed(backend)
        spec = replace(spec, callbacks=(of_users.callback(frameworks[backend]),))
    if name == "torch_rnn":
        needed(backend)
        place = backends()[name].own_model
        assert place is not None
        spec = replace(spec, own_model=load_user_code(place, Path()))
    elif name in OWN:
        spec = replace(spec, own_model=getattr(of_users, name))
    return spec


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
    seen = [item for callback in session.callbacks for item in callback.seen]
    return Trained(session.weights(), logits, session.curve(), scaling, seen)


def test_it_continues_to_the_same_bits(
    case: tuple[str, str, int], whole: Callable[..., tuple[SessionSpec, Trained, Path]]
) -> None:
    name, precision, step = case
    backend = OWN.get(name, name)
    spec, expected, folder = whole(name, precision)
    session, eyes = session_of(backend, spec), Eyes()
    session.callback_states = json.loads((folder / str(step) / "callbacks.json").read_text())
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
    assert found.seen == expected.seen


@pytest.mark.once
def test_a_module_with_a_state_that_no_checkpoint_holds_is_one_line() -> None:
    needed("hf_torch")
    own_model = importlib.import_module("frameworks.hf_torch.own_model.unsaved")
    model = of_users.own_torch(10, 2)
    model.random, model.norm.constant = Random(0), Random(0)
    unsaved = own_model.UnsavedState(model)
    assert unsaved.read().keys() == {("", "mean")}
    model.random.random()
    with pytest.raises(NotImplementedError, match="^its model has a state random, a Random, which"):
        unsaved.read()
    model.random = Random(0)
    kind = type(model.norm)
    model.norm.extra = type("Extra", (kind,), {"get_extra_state": lambda _: Random(0)})(8)
    with pytest.raises(NotImplementedError, match="a state norm.extra._extra_state, a Random"):
        unsaved.read()


def test_a_graph_with_a_state_that_cannot_be_saved_is_one_line(start: Start) -> None:
    needed("keras_rnn")
    import tensorflow as tf

    state = importlib.import_module("frameworks._tensorflow.state")
    recording = importlib.import_module("frameworks.keras_rnn.recording").Recording(
        specification(start)
    )
    variable = tf.Variable(1.0, name="hidden")
    adds = tf.function(lambda x: x + variable.assign_add(1.0) + tf.cast(recording.current, x.dtype))

    def graph(function: Callable[[Any], Any]) -> Any:
        return tf.function(function).get_concrete_function(tf.TensorSpec(())).graph

    state.check_graph(graph(adds), [variable], recording)
    with pytest.raises(NotImplementedError, match="the variable 'hidden:0', which none of its"):
        state.check_graph(graph(adds), [], recording)
    draws = tf.function(lambda x: x + tf.random.normal(()))
    with pytest.raises(NotImplementedError, match="uses RandomStandardNormal, whose state cannot"):
        state.check_graph(graph(lambda x: draws(x)), [], recording)
    with pytest.raises(NotImplementedError, match="without a graph"):
        state.check_graph(None, [], recording)


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
