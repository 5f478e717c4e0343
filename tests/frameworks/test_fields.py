"""No field of the recipe is accepted and ignored: each one, changed, changes what the framework
does, or is refused by name. A new field fails here until it has a row."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from frameworks.contract import Recipe, Session, Start, unsupported_precision
from tests.frameworks.conftest import Eyes, make_spec, new_session, unsupported

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
}


def test_every_field_has_its_row() -> None:
    rows = [*CHANGED, *BATCHES, *READ_BACK, *ELSEWHERE]
    assert sorted(rows) == sorted(Recipe.model_fields)


@pytest.fixture(scope="module")
def bases() -> dict[str, object]:
    return {}


@pytest.mark.parametrize("field", CHANGED)
def test_a_changed_field_changes_the_run(
    backend: str, field: str, starts: dict[str, Start], bases: dict[str, object]
) -> None:
    start = starts["distilbert"]
    if backend not in bases:
        bases[backend] = outcome(run(backend, start, {}))
    changed = outcome(run(backend, start, {field: CHANGED[field]}))
    assert differ(bases[backend], changed), f"{backend} ignores {field}"


@pytest.mark.parametrize("field", BATCHES)
def test_a_changed_field_changes_the_batches(
    backend: str, field: str, starts: dict[str, Start]
) -> None:
    fields = {"padding": "longest"} if field == "padding" else {}
    start = starts["distilbert"]
    before = run(backend, start, fields).curve().batch_digests
    after = run(backend, start, {**fields, field: BATCHES[field]}).curve().batch_digests
    assert len(before) == len(after) == 3
    assert set(before).isdisjoint(after)


@pytest.mark.parametrize("field", READ_BACK)
def test_a_setting_is_read_back_or_refused(
    backend: str, field: str, starts: dict[str, Start]
) -> None:
    value, reading = READ_BACK[field]
    start = starts["distilbert"]
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


def outcome(session: Session) -> tuple[list[float], dict[str, np.ndarray]]:
    return session.curve().loss, session.weights()


def differ(one: object, other: object) -> bool:
    """Whether the losses or any weight differ by more than rounding."""
    if len(one[0]) != len(other[0]) or not np.allclose(one[0], other[0], atol=1e-5):
        return True
    return any(not np.allclose(one[1][name], other[1][name], atol=1e-5) for name in one[1])
