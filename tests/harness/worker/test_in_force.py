"""The recipe is compared with what the framework runs: every field has its line."""

from __future__ import annotations

import dataclasses
from math import inf
from pathlib import Path

import numpy as np
import pytest

from benchmarks.harness.worker.in_force import differences, shapes
from frameworks.contract import (
    Effective,
    Examples,
    InForce,
    OptimizerGroup,
    Recipe,
    SessionSpec,
    Start,
    few_examples,
)

pytestmark = [pytest.mark.once, pytest.mark.smoke]

DECAYED, FREE = ("encoder.weight", "classifier.weight"), ("encoder.bias", "LayerNorm.weight")
START = Start(Path("x"), "bert", 2, 60, 64)
ADAM = {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}


def make_spec(count: int = 22, **fields: object) -> SessionSpec:
    recipe = Recipe(
        **{"batch_size": 4, "length": 32, "padding": "longest", "warmup_share": 0.0} | fields
    )
    lengths = 5 + np.arange(count) % 9
    examples = Examples(
        ids=np.ones(lengths.sum(), np.int32),
        offsets=np.cumsum([0, *lengths]),
        second_starts=lengths.astype(np.int32),
        labels=np.zeros(count, np.int32),
        pad_id=0,
        has_token_types=True,
    )
    return SessionSpec(recipe, START, examples)


def in_force(spec: SessionSpec, **changes: object) -> Effective:
    """What a framework says that runs the recipe, after one step; with changes."""
    # The rate of the second of 6 steps, and 3 of them with two batches each.
    rate = 3e-5 * (1 - 1 / spec.feed.total_steps)
    taken = shapes(spec.feed)
    fields = {
        "attention": "sdpa",
        "optimizer": "adamw",
        "groups": (
            OptimizerGroup(DECAYED, rate, 0.01, **ADAM),
            OptimizerGroup(FREE, rate, 0.0, **ADAM),
        ),
        "parameters": frozenset(DECAYED + FREE),
        "frozen": frozenset(),
        "weight_types": frozenset({"float32"}),
        "max_gradient_norm": 1.0,
        "dropout": {"embeddings": 0.1, "head": 0.1},
        "checkpoint_dropout": frozenset({0.1}),
        "batches": tuple(next(taken) for _ in range(spec.feed.batches_of(1))),
    }
    own = {
        name: changes.pop(name)
        for name in list(changes)
        if name not in fields | {"not_compiled": 0, "loss_input": 0}
    }
    found = InForce(**fields | changes)
    base = {
        "precision": "fp32",
        "attention": "sdpa",
        "optimizer": "AdamW",
        "compiled": False,
        "parameters": 9,
        "embedding_parameters": 3,
        "device": "cpu",
    }
    return Effective(**base | own, in_force=found)


@pytest.mark.parametrize("fields", [{}, {"accumulation": 2}, {"padding": "buckets"}, {"seed": 3}])
def test_a_recipe_in_force_has_no_difference(fields: dict[str, object]) -> None:
    spec = make_spec(**fields)
    assert differences(spec, in_force(spec), 1) == []


def changed_group(**changes: object) -> dict[str, object]:
    groups = in_force(make_spec()).in_force.groups
    return {"groups": (dataclasses.replace(groups[0], **changes), groups[1])}


CASES = [
    ({}, {"precision": "tf32"}, "precision = \"fp32\", but the framework computes in 'tf32'"),
    (
        {"compile": True},
        {"not_compiled": "no frame was compiled: no C++ compiler found; install g++"},
        "compile = true, but no frame was compiled: no C++ compiler found; install g++ or set "
        "compile = false",
    ),
    ({}, {"compiled": True}, "compile = false, but the framework compiled"),
    (
        {"attention": "sdpa"},
        {"attention": "eager"},
        "attention = \"sdpa\", but the model ran 'eager'",
    ),
    ({}, {"loss_input": "probabilities"}, "mistake = null, but the loss takes probabilities"),
    (
        {"mistake": "softmax_before_loss"},
        {"loss_input": "logits"},
        'mistake = "softmax_before_loss", but the loss takes logits',
    ),
    (
        {},
        {"gradient_checkpointing": True},
        "gradient_checkpointing = false, but the model recomputes",
    ),
    (
        {"gradient_checkpointing": True},
        {},
        "gradient_checkpointing = true, but the model keeps activations",
    ),
    ({}, {"optimizer": "torch.optim.SGD"}, 'optimizer = "adamw", but the training runs torch'),
    ({}, changed_group(epsilon=1e-7), "epsilon = 1e-08, but the optimizer has 1e-07"),
    ({}, changed_group(beta1=0.8), "beta1 = 0.9, but the optimizer has 0.8"),
    ({}, changed_group(beta2=0.99), "beta2 = 0.999, but the optimizer has 0.99"),
    (
        {},
        changed_group(weight_decay=0.0),
        "weight_decay = 0.01, but classifier.weight and 1 more are decayed by 0;",
    ),
    (
        {},
        changed_group(parameters=(*DECAYED, *FREE)),
        "weight_decay on biases and LayerNorm = 0.0, but LayerNorm.weight and 1 more are decayed",
    ),
    ({}, changed_group(parameters=(*DECAYED, *FREE)), "in the optimizer more than once"),
    (
        {},
        changed_group(learning_rate=3e-5),
        "learning_rate = 3e-05, but step 2 has 3e-05, its schedule says 2.5e-05",
    ),
    (
        {},
        changed_group(parameters=DECAYED[:1]),
        "trains all weights, but classifier.weight is not in the optimizer",
    ),
    ({}, {"frozen": frozenset({"encoder.weight"})}, "but encoder.weight is frozen"),
    ({}, {"weight_types": frozenset({"bfloat16"})}, "in float32, but they are in bfloat16"),
    ({}, {"max_gradient_norm": 0.5}, "max_gradient_norm = 1.0, but gradients are clipped at 0.5"),
    ({}, {"max_gradient_norm": 0.0}, "max_gradient_norm = 1.0, but gradients are clipped at 0"),
    ({"max_gradient_norm": 0.0}, {}, "max_gradient_norm = 0.0, but gradients are clipped at 1"),
    (
        {},
        {"dropout": {"embeddings": 0.1, "head": 0.0}},
        'dropout = "the checkpoint\'s rates 0.1", but the rate of layer head is 0',
    ),
    ({"dropout": 0.0}, {}, "dropout = 0.0, but the rate of layer embeddings is 0.1"),
    ({}, {"batches": ()}, "accumulation = 1, but 0 batches were trained on in 1 steps, not 1"),
    ({}, {"batches": ((4, 13), (4, 13))}, "accumulation = 1, but 2 batches were trained on"),
    ({}, {"batches": ((2, 13),)}, "batch_size = 4, but batch 1 had 2 rows, not 4"),
    ({"padding": "max"}, {"batches": ((4, 13),)}, "padded to 13 tokens, not 32"),
]


@pytest.mark.parametrize(("fields", "changes", "line"), CASES, ids=[case[2][:40] for case in CASES])
def test_a_difference_names_the_field_and_both_values(
    fields: dict[str, object], changes: dict[str, object], line: str
) -> None:
    spec = make_spec(**fields)
    found = differences(spec, in_force(spec, **changes), 1)
    assert any(line in difference for difference in found), found


def test_what_a_framework_may_do_in_two_ways_is_no_difference() -> None:
    spec = make_spec(max_gradient_norm=0.0, attention="sdpa")
    found = in_force(spec, max_gradient_norm=inf, attention=None)
    assert differences(spec, found, 1) == []
    assert differences(spec, dataclasses.replace(found, in_force=None), 1) == []


@pytest.mark.parametrize(
    ("asked", "computed", "differs"),
    [(2, 1, True), (1, 2, True), (2, 2, False), (None, 1, False), (2, None, False)],
)
def test_threads_are_compared_where_both_numbers_are_known(
    asked: int | None, computed: int | None, differs: bool
) -> None:
    spec = dataclasses.replace(make_spec(), threads=asked)
    found = differences(spec, in_force(spec, threads=computed), 1)
    line = f"the job asks for threads = {asked}, but the framework computes with {computed}"
    assert [one.startswith(line) for one in found] == ([True] if differs else [])


def test_under_fp16_a_skipped_step_does_not_move_the_schedule() -> None:
    spec = make_spec(precision="fp16")
    for rate, differs in ((3e-5, False), (2.5e-5, False), (1e-5, True)):
        found = in_force(spec, precision="fp16", **changed_group(learning_rate=rate))
        assert bool(differences(spec, found, 1)) is differs


def test_before_training_only_the_precision_is_compared() -> None:
    spec = make_spec(compile=True)
    assert differences(spec, in_force(spec, batches=()), 0) == []
    assert differences(spec, in_force(spec, batches=(), precision="bf16"), 0)


@pytest.mark.parametrize(
    ("fields", "count", "line"),
    [
        ({"batch_size": 32}, 20, "batch_size = 32, but there are 20 training examples"),
        ({"batch_size": 8, "accumulation": 4}, 20, "accumulation = 4, but an epoch of 20 training"),
        ({"batch_size": 20}, 20, None),
        ({"batch_size": 8, "accumulation": 3}, 20, None),
    ],
)
def test_no_figure_stands_under_a_batch_that_no_step_had(
    fields: dict[str, int], count: int, line: str | None
) -> None:
    spec = make_spec(count, **fields)
    found = few_examples(spec.recipe, count)
    assert found == line if line is None else line in str(found)
    assert differences(spec, in_force(spec), 1) == ([found] if found else [])
