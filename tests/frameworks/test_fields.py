"""No field of the recipe is accepted and ignored: each one, changed, changes what the framework
does, or is refused by name. A new field fails here until it has a row."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest

from frameworks.contract import Recipe, Session, Start, unsupported_precision
from tests.frameworks.conftest import Eyes, make_spec, make_start, new_session, unsupported


class Outcome(NamedTuple):
    loss: list[float]
    weights: dict[str, np.ndarray]
    batches: list[str]
    loss_input: str | None


BASE = {
    "steps": 3,
    "learning_rate": 1e-2,
    "warmup_share": 0.3,
    "max_gradient_norm": 0.1,
    "weight_decay": 0.1,
}

CHANGED = {
    "batch_size": 3,
    "accumulation": 2,
    "learning_rate": 2e-2,
    "schedule": "constant",
    "warmup_share": 0.0,
    "weight_decay": 0.5,
    "beta1": 0.5,
    "beta2": 0.9,
    "epsilon": 1e-2,
    "max_gradient_norm": 0.0,
    "steps": 4,
    "dropout": 0.5,
    "seed": 7,
    "optimizer": "adafactor",
    "mistake": "softmax_before_loss",
}
BATCHES = {"padding": "buckets", "length": 20}  # seen in the batches, not in the losses
READ_BACK = {
    "precision": ("bf16", "precision"),
    "attention": ("eager", "attention"),
    "compile": (True, "compiled"),
    "gradient_checkpointing": (True, "gradient_checkpointing"),
}
ELSEWHERE = {
    "epochs": "in the feed's total_steps, which `steps` tests here too",
    "evaluation_interval": "the harness evaluates, from its watch",
    "log_interval": "the harness thins the curve",
    "keep_best": "the harness keeps and puts back weights",
    "patience": "the harness stops the training, from its watch",
}


def test_every_field_has_its_row() -> None:
    rows = [*CHANGED, *BATCHES, *READ_BACK, *ELSEWHERE]
    assert sorted(rows) == sorted(Recipe.model_fields)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Start:
    """One layer: a session of TensorFlow spends its time on the tracing of its graph."""
    return make_start(tmp_path_factory.mktemp("start"), "distilbert", layers=1)


@pytest.fixture(scope="module")
def base(start: Start) -> Callable[[str], Outcome]:
    """What a backend does with the recipe that the tests change."""
    return cache(lambda backend: outcome(run(backend, start, {})))


@pytest.mark.parametrize("field", CHANGED)
def test_a_changed_field_changes_the_run(
    backend: str, field: str, start: Start, base: Callable[[str], Outcome]
) -> None:
    changed = outcome(run(backend, start, {field: CHANGED[field]}))
    assert differ(base(backend), changed), f"{backend} ignores {field}"
    assert changed.loss_input == ("probabilities" if field == "mistake" else "logits")


@pytest.mark.parametrize("field", BATCHES)
def test_a_changed_field_changes_the_batches(
    backend: str, field: str, start: Start, base: Callable[[str], Outcome]
) -> None:
    after = run(backend, start, {field: BATCHES[field]}).curve().batch_digests
    assert len(base(backend).batches) == len(after) == 3
    assert set(base(backend).batches).isdisjoint(after)


@pytest.mark.parametrize("field", READ_BACK)
def test_a_setting_is_read_back_or_refused(backend: str, field: str, start: Start) -> None:
    value, reading = READ_BACK[field]
    refused = unsupported(backend, Recipe(**{**BASE, "length": 16, field: value}), start)
    if refused:
        assert [refusal.field for refusal in refused] == [field]
        return
    fields = {"steps": 2, field: value}
    assert getattr(run(backend, start, fields).effective(), reading) == value


def test_refusals_name_field_backend_and_reason(backend: str, starts: dict[str, Start]) -> None:
    start = starts["bert"]
    cases = {"tf32": Recipe(precision="tf32", length=16)}
    if unsupported_precision("cpu", "fp16") or backend == "hf_torch":
        cases["fp16"] = Recipe(precision="fp16", length=16)
    for value, recipe in cases.items():
        (refusal,) = unsupported(backend, recipe, start)
        assert refusal.backend == backend and refusal.value == value and refusal.reason
        with pytest.raises(type(refusal), match=f"{backend} cannot do precision"):
            new_session(backend, dataclasses.replace(make_spec(start), recipe=recipe))
    assert not unsupported(backend, Recipe(length=16), start)


def test_a_length_beyond_the_positions_is_refused(backend: str, starts: dict[str, Start]) -> None:
    refused = unsupported(backend, Recipe(length=33), starts["gpt2"])
    expected = [] if backend == "keras_rnn" else ["length"]
    assert [refusal.field for refusal in refused] == expected


def run(backend: str, start: Start, fields: dict[str, object]) -> Session:
    session = new_session(backend, make_spec(start, hash_batches=True, **{**BASE, **fields}))
    session.train(Eyes())
    return session


def outcome(session: Session) -> Outcome:
    curve = session.curve()
    in_force = session.effective().in_force
    assert in_force is not None
    return Outcome(curve.loss, session.weights(), curve.batch_digests, in_force.loss_input)


def differ(one: Outcome, other: Outcome) -> bool:
    """Whether the losses or any weight differ by more than rounding."""
    if len(one.loss) != len(other.loss) or not np.allclose(one.loss, other.loss, atol=1e-5):
        return True
    return any(
        not np.allclose(value, other.weights[name], atol=1e-5)
        for name, value in one.weights.items()
    )
