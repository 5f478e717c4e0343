"""What every backend's session must do, on real frameworks and tiny models."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from frameworks.contract import (
    Session,
    SessionSpec,
    Start,
    Unsupported,
    batch_digest,
    learning_rate,
    unsupported_precision,
)
from tests.frameworks.conftest import (
    Eyes,
    make_examples,
    make_spec,
    needed,
    new_session,
)

# Two epochs that accumulate and clip.
FULL = {
    "epochs": 2,
    "accumulation": 2,
    "learning_rate": 1e-3,
    "hash_batches": True,
    "max_gradient_norm": 0.3,
}


@pytest.fixture(scope="module")
def full(start: Start) -> Callable[[str], tuple[Session, Eyes]]:
    """A backend's session that trained as FULL says, and what its watch saw. Tests only read it."""

    def train(backend: str) -> tuple[Session, Eyes]:
        eyes = Eyes()
        return trained(backend, make_spec(start, **FULL), eyes), eyes

    return cache(train)


def trained(backend: str, spec: SessionSpec, eyes: Eyes | None = None):
    session = new_session(backend, spec)
    session.train(eyes or Eyes())
    return session


def test_trains_to_the_end_and_keeps_what_was_asked(
    backend: str, full: Callable[[str], tuple[Session, Eyes]]
) -> None:
    session, eyes = full(backend)
    spec = session.spec
    feed, curve = spec.feed, session.curve()
    assert feed.total_steps == 6 and feed.total_batches == 12
    assert eyes.begun == 1 and eyes.steps == [1, 2, 3, 4, 5, 6]
    assert len(curve.loss) == len(curve.gradient_norm) == 6
    expected = [learning_rate(spec.recipe, step, 6) for step in range(6)]
    assert curve.learning_rate == pytest.approx(expected, rel=1e-6)
    digests = [batch_digest(batch) for epoch in (0, 1) for batch in feed.epoch(epoch)]
    assert curve.batch_digests == digests
    effective = session.effective()
    assert effective.precision == "fp32" and not effective.compiled
    assert 0 < effective.embedding_parameters < effective.parameters
    assert effective.parameters == sum(w.size for w in session.weights().values())
    assert "AdamW" in effective.optimizer


def test_loss_falls_on_what_can_be_learned(backend: str, start: Start) -> None:
    spec = make_spec(start, 64, steps=60, batch_size=16, learning_rate=1e-2)
    curve = trained(backend, spec).curve()
    assert np.mean(curve.loss[-5:]) < 0.6 * np.mean(curve.loss[:5])


def test_stops_when_asked_and_not_one_batch_later(backend: str, start: Start) -> None:
    spec = make_spec(start, epochs=3, accumulation=2, hash_batches=True)
    eyes = Eyes(stop_after=4)
    curve = trained(backend, spec, eyes).curve()
    assert eyes.steps == [1, 2, 3, 4]
    assert len(curve.loss) == 4
    batches = sum(spec.feed.step_of(batch) < 4 for batch in range(spec.feed.total_batches))
    assert len(curve.batch_digests) == batches


def test_predict_keeps_order_and_drops_none(backend: str, start: Start) -> None:
    session = new_session(backend, make_spec(start, padding="longest"))
    examples = make_examples(10, pairs=True, seed=5)
    logits = session.predict(examples, batch_size=4)
    assert logits.shape == (10, 3) and logits.dtype == np.float32
    singly = session.predict(examples, batch_size=1)
    np.testing.assert_allclose(logits, singly, atol=2e-6)
    assert len({tuple(row) for row in logits.round(6).tolist()}) == 10


def test_predicting_between_steps_changes_nothing(backend: str, start: Start) -> None:
    """Neither the weights nor, with dropout on, what is drawn next."""
    spec = make_spec(start, steps=6, dropout=0.3, learning_rate=1e-3)
    alone = trained(backend, spec)
    session = new_session(backend, spec)
    examples = make_examples(6, pairs=True, seed=5)
    seen = []
    eyes = Eyes(lambda step: seen.append(session.predict(examples, batch_size=4)))
    session.train(eyes)
    assert eyes.steps == list(range(1, 7))
    assert session.curve().loss == pytest.approx(alone.curve().loss, abs=1e-6)
    np.testing.assert_allclose(seen[-1], session.predict(examples, batch_size=4), atol=1e-6)
    assert np.abs(seen[-1] - seen[1]).max() > 1e-4


def test_accumulation_is_one_larger_batch(
    backend: str, start: Start, full: Callable[[str], tuple[Session, Eyes]]
) -> None:
    """Also at an epoch's end, where 22 examples leave the second batch of a step half full."""
    halves, _ = full(backend)
    whole = trained(backend, make_spec(start, **FULL | {"batch_size": 8, "accumulation": 1}))
    assert halves.curve().loss == pytest.approx(whole.curve().loss, abs=2e-6)
    assert halves.curve().gradient_norm == pytest.approx(whole.curve().gradient_norm, rel=1e-4)
    twin = whole.weights()
    for name, values in halves.weights().items():
        np.testing.assert_allclose(values, twin[name], atol=2e-5, err_msg=name)


def test_the_recorded_norm_is_from_before_clipping(backend: str, start: Start) -> None:
    """Clipping scales Adam's gradients, so a second step must differ; the first norm must not."""
    fields = {"steps": 4, "learning_rate": 1e-2, "warmup_share": 0.0, "epsilon": 1e-3}
    free, unclipped, clipped = (
        trained(backend, make_spec(start, max_gradient_norm=limit, **fields)).curve()
        for limit in (0.0, 1e9, 0.01)
    )
    assert free.loss == pytest.approx(unclipped.loss, abs=1e-6)
    assert free.gradient_norm == pytest.approx(unclipped.gradient_norm, rel=1e-5)
    assert clipped.gradient_norm[0] == pytest.approx(free.gradient_norm[0], rel=1e-5)
    assert free.gradient_norm[0] > 0.05
    assert abs(clipped.loss[-1] - free.loss[-1]) > 1e-4


def test_weights_go_out_and_come_back(backend: str, start: Start) -> None:
    session = new_session(backend, make_spec(start, steps=4, learning_rate=1e-2))
    examples = make_examples(5, pairs=True, seed=5)
    before, logits = session.weights(), session.predict(examples, batch_size=5)
    session.train(Eyes())
    after = session.weights()
    moved = [name for name in before if not np.array_equal(before[name], after[name])]
    assert set(before) == set(after) and len(moved) > len(before) / 2
    session.load_weights(before)
    np.testing.assert_array_equal(session.predict(examples, batch_size=5), logits)


def test_the_same_recipe_gives_the_same_run(backend: str, start: Start) -> None:
    spec = make_spec(start, steps=4, dropout=0.2)
    assert trained(backend, spec).curve().loss == trained(backend, spec).curve().loss


def test_nothing_is_kept_that_was_not_asked_for(backend: str, start: Start) -> None:
    curve = trained(backend, make_spec(start, steps=2, record=False)).curve()
    assert not (curve.loss or curve.gradient_norm or curve.learning_rate or curve.batch_digests)


def test_bf16_is_used_where_the_processor_has_it(backend: str, start: Start) -> None:
    spec = make_spec(start, 64, steps=20, precision="bf16", learning_rate=3e-3)
    if why := unsupported_precision("cpu", "bf16"):
        with pytest.raises(Unsupported, match="bf16"):
            new_session(backend, spec)
        pytest.skip(why)
    session = trained(backend, spec)
    assert session.effective().precision == "bf16"
    exact = trained(backend, make_spec(start, 64, steps=20, learning_rate=3e-3)).curve().loss
    assert session.curve().loss == pytest.approx(exact, abs=0.1)
    assert session.curve().loss != exact


def test_missing_weights_are_named(backend: str, start: Start, tmp_path) -> None:
    if backend == "keras_rnn":
        pytest.skip("keras_rnn starts from no checkpoint")
    from safetensors.numpy import load_file, save_file

    (tmp_path / "config.json").write_text((start.folder / "config.json").read_text())
    tensors = load_file(start.folder / "model.safetensors")
    del tensors["classifier.weight"]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    spec = make_spec(Start(tmp_path, "bert", 3, start.vocabulary_size, start.max_length))
    with pytest.raises(ValueError, match="classifier"):
        new_session(backend, spec)


@pytest.mark.parametrize("accumulation", [1, 2])
def test_the_bare_loop_does_the_same_work(
    backend: str, start: Start, full: Callable[[str], tuple[Session, Eyes]], accumulation: int
) -> None:
    spec, eyes = make_spec(start, **FULL | {"accumulation": accumulation}), Eyes()
    session = full(backend)[0] if accumulation == 2 else trained(backend, spec)
    bare = new_session(backend, spec)
    bare.train_bare(eyes)
    assert eyes.begun == 1 and eyes.steps == list(range(1, spec.feed.total_steps + 1))
    ours, theirs = bare.curve(), session.curve()
    assert ours.batch_digests == theirs.batch_digests
    assert ours.loss == pytest.approx(theirs.loss, abs=1e-6)
    assert ours.gradient_norm == pytest.approx(theirs.gradient_norm, rel=1e-5)
    assert ours.learning_rate == pytest.approx(theirs.learning_rate, rel=1e-6)


def test_the_bare_loop_stops_when_asked(backend: str, start: Start) -> None:
    session, eyes = new_session(backend, make_spec(start, epochs=3)), Eyes(stop_after=2)
    session.train_bare(eyes)
    assert eyes.steps == [1, 2] and len(session.curve().loss) == 2


@pytest.mark.parametrize("compiled", [False, True])
def test_the_bare_loop_says_whether_what_it_ran_was_compiled(
    backend: str, start: Start, compiled: bool
) -> None:
    session = new_session(backend, make_spec(start, 4, steps=1, compile=compiled, record=False))
    session.train_bare(Eyes())
    assert session.effective().compiled is compiled


def test_a_bare_loop_that_does_not_compile_says_so(
    backend: str, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read is what ran: not the recipe, and not what the framework's own loop would do."""
    bare = importlib.import_module(f"frameworks.{backend}.bare")
    prepared = bare.prepared
    monkeypatch.setattr(
        bare,
        "prepared",
        lambda *arguments: prepared(
            *arguments[:-1], arguments[-1].model_copy(update={"compile": False})
        ),
    )
    session = new_session(backend, make_spec(start, 4, steps=1, compile=True, record=False))
    session.train_bare(Eyes())
    assert session.effective().compiled is False


@pytest.mark.parametrize("backend", ["hf_tf", "keras_rnn"])
def test_the_bare_loop_is_not_traced_again_for_batches_of_any_width(
    backend: str, start: Start
) -> None:
    """Traced again for every width, it would be slower than the loop that it is the control of."""
    needed(backend)
    spec = make_spec(start, padding="longest", record=False)
    assert len({batch["input_ids"].shape for batch in spec.feed.epoch(0)}) > 2
    session = new_session(backend, spec)
    session.train_bare(Eyes())
    # A first trace may only have made the optimizer's variables.
    assert session.bare.experimental_get_tracing_count() <= 2
