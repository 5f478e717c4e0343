"""What saves memory does what it says, in the framework's own loop and in the barest one, and a
step's phases are reported where the framework has them."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packaging.requirements import Requirement

from benchmarks.harness.equivalence.certificate import certify
from benchmarks.harness.jobs.events import Event
from benchmarks.harness.jobs.job import Built, Job
from benchmarks.harness.machine import process_memory
from benchmarks.harness.plan.sections import MemoryPlan
from benchmarks.harness.worker.questions import memory as memory_pass
from frameworks.contract import Recipe, Start, Unsupported
from results.schema import JobKey
from tests.frameworks.certificates.tracing import clean_trace, traced_spec
from tests.frameworks.conftest import Eyes, make_spec, needed, new_session, unsupported

KERAS = ("hf_tf", "keras_rnn")
STEPS = 3
LARGE = 100 * 2**20
LOOPS = pytest.mark.parametrize("loop", ["train", "train_bare"])
needs_eight_bit = pytest.mark.skipif(
    find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed here"
)


@pytest.mark.once
@LOOPS
@pytest.mark.parametrize("architecture", ["bert", "distilbert", "gpt2"])
def test_checkpointing_computes_layers_twice_and_changes_nothing_else(
    starts: dict[str, Start], architecture: str, loop: str
) -> None:
    """Dropout is on: the recomputed layers must draw the same masks."""

    def run(**fields: object) -> tuple[int, list[float], bool]:
        session, calls = (
            new_session(
                "hf_torch",
                make_spec(
                    starts[architecture], steps=STEPS, dropout=0.5, learning_rate=1e-2, **fields
                ),
            ),
            [],
        )
        (layers,) = [m for m in session.model.modules() if type(m).__name__ == "ModuleList"][:1]
        # Something inside of a layer: of the layer itself the call is what is repeated.
        next(layers[0].children()).register_forward_hook(lambda *_: calls.append(1))
        getattr(session, loop)(Eyes())
        return len(calls), session.curve().loss, session.effective().gradient_checkpointing

    plain, checkpointed = run(), run(gradient_checkpointing=True)
    assert (plain[0], checkpointed[0]) == (STEPS, 2 * STEPS)
    assert checkpointed[1] == pytest.approx(plain[1], abs=1e-6)
    assert (plain[2], checkpointed[2]) == (False, True)


def test_recomputing_in_tensorflow_draws_other_dropout() -> None:
    """The reason for which the TensorFlow backend refuses it."""
    needed("hf_tf")
    import tensorflow as tf

    @tf.function
    def outcome() -> tuple[tf.Tensor, tf.Tensor]:
        values = tf.ones(1000)
        recomputed = tf.recompute_grad(lambda v: tf.nn.dropout(v, 0.5))
        with tf.GradientTape() as tape:
            tape.watch(values)
            dropped = recomputed(values)
            total = tf.reduce_sum(dropped)
        return dropped, tape.gradient(total, values)

    dropped, gradient = (tensor.numpy() for tensor in outcome())
    assert 0.3 < np.mean(dropped != gradient) < 0.7  # the same mask would leave no difference


def test_keras_cannot_recompute_a_layer_that_takes_a_mask() -> None:
    """The reason for which the Keras backend refuses it."""
    needed("keras_rnn")
    import keras
    import tensorflow as tf

    with keras.RematScope(mode="full"):
        layer = keras.layers.LSTM(2)
        layer(tf.ones((1, 3, 2)), mask=tf.ones((1, 3), tf.bool))  # outside of a graph it may

    @tf.function
    def called(values: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        return layer(values, mask=mask)

    with pytest.raises(ValueError, match="only when eager execution is enabled"):
        called(tf.ones((1, 3, 2)), tf.ones((1, 3), tf.bool))


def test_what_keras_does_not_have_is_refused_by_name(starts: dict[str, Start]) -> None:
    for backend in KERAS:
        for field, value in (("optimizer", "adamw_8bit"), ("gradient_checkpointing", True)):
            spec = make_spec(starts["bert"], **{field: value})
            (refusal,) = unsupported(backend, spec.recipe, starts["bert"])
            assert (refusal.backend, refusal.field) == (backend, field) and refusal.reason
    needed("hf_tf")
    with pytest.raises(Unsupported, match="hf_tf cannot do gradient_checkpointing = True"):
        new_session("hf_tf", make_spec(starts["bert"], gradient_checkpointing=True))


@pytest.mark.parametrize(
    ("asked", "word"), [("no-such-package>=1", "not installed"), ("numpy<1", "numpy<1 is required")]
)
def test_a_missing_eight_bit_optimizer_is_refused_and_says_how_to_install_it(
    starts: dict[str, Start], monkeypatch: pytest.MonkeyPatch, asked: str, word: str
) -> None:
    package = importlib.import_module("frameworks.hf_torch")
    monkeypatch.setattr(package, "EIGHT_BIT", Requirement(asked))
    (refusal,) = unsupported("hf_torch", Recipe(length=16, optimizer="adamw_8bit"), starts["bert"])
    assert (
        refusal.field == "optimizer" and word in refusal.reason and "pip install" in refusal.reason
    )


@needs_eight_bit
@LOOPS
def test_the_eight_bit_adamw_is_adamw_where_it_keeps_32_bits(
    starts: dict[str, Start], loop: str
) -> None:
    """All tensors of a tiny model are too small for 8 bits: what is left is the recipe's AdamW."""
    fields = {
        "steps": 6,
        "accumulation": 2,
        "learning_rate": 1e-2,
        "weight_decay": 0.1,
        "beta1": 0.8,
        "beta2": 0.9,
        "epsilon": 1e-4,
        "max_gradient_norm": 0.1,
    }
    losses = []
    for name in ("adamw", "adamw_8bit"):
        session = new_session("hf_torch", make_spec(starts["bert"], optimizer=name, **fields))
        getattr(session, loop)(Eyes())
        losses.append(session.curve().loss)
    assert losses[1] == pytest.approx(losses[0], abs=1e-5)
    assert "AdamW8bit" in session.effective().optimizer


@needs_eight_bit
def test_the_eight_bit_adamw_keeps_moments_in_bytes_but_for_embeddings() -> None:
    needed("hf_torch")
    import torch

    from frameworks.hf_torch import optimizer

    model = torch.nn.ModuleDict(
        {"words": torch.nn.Embedding(100, 64), "dense": torch.nn.Linear(64, 128)}
    )
    built = optimizer.adamw_8bit(Recipe(), [{"params": list(model.parameters())}], model)
    model["dense"](model["words"](torch.arange(9))).sum().backward()
    built.step()
    kinds = {name: built.state[p]["state1"].dtype for name, p in model.named_parameters()}
    assert kinds == {
        "words.weight": torch.float32,
        "dense.weight": torch.uint8,
        "dense.bias": torch.float32,
    }


@pytest.mark.parametrize("backend", KERAS)
def test_adafactor_is_trainers_step_by_step(backend: str, starts: dict[str, Start]) -> None:
    """Keras's on the same gradients: a matrix, a vector and a stack of matrices, with decay."""
    needed(backend)
    pytest.importorskip("torch")
    import torch

    from frameworks.hf_torch.optimizer import adafactor

    spec = make_spec(
        starts["distilbert"],
        steps=4,
        schedule="constant",
        warmup_share=0.0,
        learning_rate=0.05,
        weight_decay=0.1,
        max_gradient_norm=0.0,
        record=False,
        optimizer="adafactor",
    )
    draw = np.random.default_rng(0).standard_normal
    shapes = [(6, 4), (5,), (2, 3, 4)]
    begun = [draw(shape).astype(np.float32) for shape in shapes]
    parameters = [torch.nn.Parameter(torch.tensor(value)) for value in begun]
    theirs = adafactor(spec.recipe, [{"params": parameters, "weight_decay": 0.1}], None)
    ours, variables = keras_adafactor(backend, spec, begun)
    for step in range(4):
        gradients = [10.0**-step * draw(shape).astype(np.float32) for shape in shapes]
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = torch.tensor(gradient)
        theirs.step()
        ours(gradients)
        for parameter, variable in zip(parameters, variables, strict=True):
            np.testing.assert_allclose(variable.numpy(), parameter.detach().numpy(), atol=2e-6)


def keras_adafactor(backend: str, spec: Any, begun: list[np.ndarray]) -> tuple[Any, list[Any]]:
    import tensorflow as tf

    module = importlib.import_module(f"frameworks.{backend}.optimizer")
    recording = importlib.import_module(f"frameworks.{backend}.recording").Recording(spec)
    built = module.Adafactor(spec, recording)
    if backend == "hf_tf":
        variables = [tf.Variable(value) for value in begun]
        return lambda gradients: built.apply_gradients(
            [(tf.constant(g), v) for g, v in zip(gradients, variables, strict=True)]
        ), variables
    import keras

    variables = [keras.Variable(value) for value in begun]
    return lambda gradients: built.apply(list(map(tf.constant, gradients)), variables), variables


@pytest.mark.parametrize("accumulation", [1, 2])
def test_adafactor_is_the_same_work_in_both_frameworks(
    starts: dict[str, Start], accumulation: int
) -> None:
    for name in ("hf_torch", "hf_tf"):
        needed(name)
    spec = traced_spec(
        starts["distilbert"],
        accumulation=accumulation,
        optimizer="adafactor",
        max_gradient_norm=0.5,
    )
    found = certify(*(clean_trace(name, spec) for name in ("hf_torch", "hf_tf")))
    assert found.holds, found.verdict


@LOOPS
def test_adafactor_keeps_less_state_than_adamw(
    backend: str, starts: dict[str, Start], loop: str
) -> None:
    """AdamW's is twice the parameters. Trainer's Adafactor keeps rows and columns alone, Keras's
    the whole second moment beside them."""
    session = new_session(backend, make_spec(starts["distilbert"], steps=2, optimizer="adafactor"))
    getattr(session, loop)(Eyes())
    effective = session.effective()
    share = 0.3 if backend == "hf_torch" else 0.65
    assert 0 < state_size(session.optimizer) < share * 2 * effective.parameters
    assert "Adafactor" in effective.optimizer and len(session.curve().loss) == 2


def state_size(optimizer: Any) -> int:
    if hasattr(optimizer, "state"):
        return sum(
            value.numel()
            for state in optimizer.state.values()
            for value in state.values()
            if hasattr(value, "numel")
        )
    variables = optimizer.variables
    return sum(int(np.prod(v.shape)) for v in (variables() if callable(variables) else variables))


@pytest.mark.once
def test_the_phases_of_every_step_are_reported(starts: dict[str, Start]) -> None:
    session = new_session("hf_torch", make_spec(starts["bert"], 16, steps=2, accumulation=2))
    seen: list[str | None] = []
    assert session.tell_phases(seen.append)
    session.train(Eyes())
    assert seen == ["forward", "backward", "forward", "backward", "optimizer", None] * 2


class Silent:
    def send(self, event: Event) -> None:
        pass


def test_the_memory_pass_reports_the_phases_of_one_more_step(backend: str, start: Start) -> None:
    """A tiny model's own needs are below what the process holds anyway, so the forward pass is
    given some: memory that it takes and gives back."""
    spec = make_spec(start, steps=STEPS + 1, record=False)
    before = process_memory.reset_peak()
    session = new_session(backend, spec)
    if backend == "hf_torch":
        session.model.register_forward_pre_hook(lambda *_: np.ones(LARGE, np.int8).sum() and None)
    job = Job.model_construct(
        key=JobKey(id="x", backend=backend, task="imdb", question="memory"),
        recipe=spec.recipe,
        memory=MemoryPlan(steps=STEPS),
        predictions=Path("x"),
    )
    result = memory_pass.measure(job, Built(session, 0.0, before), Silent())
    memory = result.memory
    assert memory.steps == STEPS
    if before is None:
        assert result.gaps["peak_process_bytes"] == "unsupported"
        return
    if backend == "hf_torch":
        assert memory.phase_peaks is not None and "phase_peaks" not in result.gaps
        assert list(memory.phase_peaks) == ["forward", "backward", "optimizer"]
        forward, backward, optimizer = memory.phase_peaks.values()
        assert forward > 0.9 * LARGE + max(backward, optimizer)
        assert 0 < memory.peak_process_bytes < 1.5 * forward
    else:
        assert memory.phase_peaks is None and result.gaps["phase_peaks"] == "unsupported"
