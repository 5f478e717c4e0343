"""The laws of the contract, without a framework."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from frameworks import contract
from frameworks.contract import (
    BUCKET,
    Examples,
    Feed,
    Recipe,
    batch_digest,
    is_embedding,
    learning_rate,
    precision,
    takes_decay,
    warmup_steps,
)

PAD = 0


@st.composite
def ragged(draw: st.DrawFn) -> Examples:
    """1 to 40 examples of 2 to 60 tokens; ids count up from 1, so that each is known."""
    lengths = draw(st.lists(st.integers(2, 60), min_size=1, max_size=40))
    offsets = np.cumsum([0, *lengths])
    seconds = [draw(st.integers(1, length)) for length in lengths]
    return Examples(
        ids=np.arange(1, offsets[-1] + 1, dtype=np.int32),
        offsets=offsets,
        second_starts=np.array(seconds, np.int32),
        labels=np.arange(len(lengths), dtype=np.int32),
        pad_id=PAD,
        has_token_types=draw(st.booleans()),
    )


recipes = st.builds(
    Recipe,
    batch_size=st.integers(1, 7),
    accumulation=st.integers(1, 5),
    epochs=st.integers(1, 3),
    steps=st.one_of(st.none(), st.integers(1, 30)),
    padding=st.sampled_from(["max", "longest", "buckets"]),
    length=st.integers(60, 70),
    seed=st.integers(0, 2**31 - 1),
    schedule=st.sampled_from(["constant", "linear", "cosine"]),
    warmup_share=st.floats(0, 1),
)


@given(ragged(), recipes, st.integers(0, 3))
def test_an_epoch_holds_every_example_once(examples: Examples, recipe: Recipe, epoch: int) -> None:
    order = Feed(examples, recipe).order(epoch)
    assert sorted(order) == list(range(len(examples)))


@given(ragged(), recipes)
def test_the_order_is_fixed_by_seed_and_epoch(examples: Examples, recipe: Recipe) -> None:
    assert np.array_equal(Feed(examples, recipe).order(1), Feed(examples, recipe).order(1))


def test_epochs_and_seeds_differ_in_order() -> None:
    examples = make(np.full(30, 5))
    orders = [
        Feed(examples, Recipe(seed=seed)).order(epoch).tolist()
        for seed in (1, 2)
        for epoch in (0, 1)
    ]
    assert len({tuple(order) for order in orders}) == 4


@given(ragged(), recipes)
def test_batches_are_full_but_for_an_epochs_last(examples: Examples, recipe: Recipe) -> None:
    feed = Feed(examples, recipe)
    sizes = [len(indices) for indices in feed.batch_indices(0)]
    assert len(sizes) == feed.batches_per_epoch
    assert all(size == recipe.batch_size for size in sizes[:-1])
    assert sizes == [feed.examples_in(batch) for batch in range(len(sizes))]


@given(ragged(), recipes)
def test_total_batches_end_total_steps(examples: Examples, recipe: Recipe) -> None:
    feed = Feed(examples, recipe)
    ends = [batch for batch in range(feed.total_batches) if feed.ends_step(batch)]
    assert len(ends) == feed.total_steps
    assert ends[-1] == feed.total_batches - 1
    assert [feed.step_of(batch) for batch in ends] == list(range(feed.total_steps))


@given(ragged(), recipes)
def test_collate_keeps_every_token_and_pads_on_the_right(
    examples: Examples, recipe: Recipe
) -> None:
    for indices in Feed(examples, recipe).batch_indices(0):
        batch = examples.collate(indices, recipe)
        mask = batch["attention_mask"].astype(bool)
        assert (np.diff(batch["attention_mask"], axis=1) <= 0).all()
        assert (batch["input_ids"][~mask] == PAD).all()
        for row, index in enumerate(indices):
            span = slice(examples.offsets[index], examples.offsets[index + 1])
            assert batch["input_ids"][row][mask[row]].tolist() == examples.ids[span].tolist()
        assert batch["labels"].tolist() == examples.labels[indices].tolist()
        assert all(values.dtype == np.int32 for values in batch.values())


@given(ragged(), recipes)
def test_token_types_mark_the_second_text_alone(examples: Examples, recipe: Recipe) -> None:
    batch = examples.collate(np.arange(len(examples)), recipe)
    assert ("token_type_ids" in batch) == examples.has_token_types
    if examples.has_token_types:
        seconds = examples.lengths - examples.second_starts
        assert batch["token_type_ids"].sum(axis=1).tolist() == seconds.tolist()
        assert not (batch["token_type_ids"] & ~batch["attention_mask"]).any()


@pytest.mark.parametrize(("padding", "width"), [("max", 100), ("longest", 33), ("buckets", 64)])
def test_padding_rules(padding: str, width: int) -> None:
    examples = make([5, 33])
    recipe = Recipe(padding=padding, length=100)
    assert examples.collate(np.array([0, 1]), recipe)["input_ids"].shape == (2, width)


def test_buckets_never_exceed_the_length() -> None:
    recipe = Recipe(padding="buckets", length=BUCKET + 8)
    assert make([BUCKET + 1]).collate(np.array([0]), recipe)["input_ids"].shape[1] == BUCKET + 8


def test_buckets_spare_padding_and_shuffle() -> None:
    generator = np.random.default_rng(0)
    examples = make(generator.integers(5, 400, 2000))
    plain, grouped = (Feed(examples, Recipe(padding=p, length=400)) for p in ("longest", "buckets"))
    tokens = [sum(batch["input_ids"].size for batch in feed.epoch(0)) for feed in (plain, grouped)]
    assert tokens[1] < 0.75 * tokens[0]
    longest = [examples.lengths[indices].max() for indices in grouped.batch_indices(0)]
    assert abs(np.corrcoef(longest, np.arange(len(longest)))[0, 1]) < 0.3


@given(ragged(), recipes)
def test_learning_rate_laws(examples: Examples, recipe: Recipe) -> None:
    total = Feed(examples, recipe).total_steps
    warmup = warmup_steps(recipe, total)
    rates = [learning_rate(recipe, step, total) for step in range(total)]
    assert all(0 <= rate <= recipe.learning_rate for rate in rates)
    assert rates[:warmup] == sorted(rates[:warmup])
    assert warmup == 0 or rates[0] == 0
    after = rates[warmup:]
    assert not after or after[0] == recipe.learning_rate
    assert after == sorted(after, reverse=True)
    if recipe.schedule != "constant":
        assert learning_rate(recipe, total, total) == pytest.approx(0) or warmup == total


def test_learning_rate_values() -> None:
    recipe = Recipe(learning_rate=1.0, warmup_share=0.5)
    rates = [learning_rate(recipe, step, 8) for step in range(8)]
    assert rates == [0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25]


@given(ragged(), recipes)
@settings(max_examples=20)
def test_digests_see_every_value_but_not_the_integer_type(
    examples: Examples, recipe: Recipe
) -> None:
    batch = examples.collate(np.arange(len(examples)), recipe)
    digest = batch_digest(batch)
    assert digest == batch_digest({name: batch[name].astype(np.int64) for name in reversed(batch)})
    for name in batch:
        changed = {key: values.copy() for key, values in batch.items()}
        changed[name].flat[-1] += 1
        assert batch_digest(changed) != digest


@pytest.mark.parametrize(
    ("name", "decays"),
    [
        ("bert.encoder.layer.0.attention.self.query.weight", True),
        ("bert.encoder.layer.0.attention.output.LayerNorm.weight", False),
        ("bert.embeddings.LayerNorm.bias", False),
        ("distilbert.transformer.layer.0.sa_layer_norm.weight", False),
        ("distilbert.transformer.layer.0.output_layer_norm.bias", False),
        ("transformer.h.0.ln_1.weight", False),
        ("transformer.ln_f.weight", False),
        ("transformer.h.0.attn.c_attn.weight", True),
        ("transformer.h.0.attn.c_attn.bias", False),
        ("transformer.wte.weight", True),
        ("lower/forward_lstm/lstm_cell/bias", False),
        ("lower/forward_lstm/lstm_cell/recurrent_kernel", True),
        ("lstm.bias_ih_l0_reverse", False),
        ("encoder.layers.0.norm1.weight", False),
        ("encoder.layers.0.self_attn.in_proj_bias", False),
        ("layer_normalization_1/gamma", False),
        ("classifier.weight", True),
    ],
)
def test_decay_spares_biases_and_layernorm(name: str, decays: bool) -> None:
    assert takes_decay(name) is decays


def test_embeddings_are_look_up_tables_only() -> None:
    assert is_embedding("bert.embeddings.word_embeddings.weight")
    assert is_embedding("transformer.wpe.weight")
    assert not is_embedding("bert.embeddings.LayerNorm.weight")
    assert not is_embedding("classifier.weight")


def test_a_cpu_supports_neither_tf32_nor_what_its_flags_do_not_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(precision, "processor_flags", lambda: frozenset({"avx2"}))
    assert contract.unsupported_precision("cpu", "fp32") is None
    assert "TF32" in (contract.unsupported_precision("cpu", "tf32") or "")
    assert "avx512_bf16" in (contract.unsupported_precision("cpu", "bf16") or "")
    assert contract.unsupported_precision("gpu", "bf16") is None
    monkeypatch.setattr(precision, "processor_flags", lambda: frozenset({"amx_bf16"}))
    assert contract.unsupported_precision("cpu", "bf16") is None
    assert "avx512_fp16" in (contract.unsupported_precision("cpu", "fp16") or "")


@pytest.mark.parametrize("variable", ["ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"])
@pytest.mark.parametrize(
    ("limit", "bf16", "fp16"),
    [
        ("", True, True),
        ("AVX2", False, False),
        ("AVX512_CORE", False, False),
        ("avx512_core_bf16", True, False),  # oneDNN reads small letters too
        ("AVX512_CORE_FP16", True, True),
        ("DEFAULT", True, True),
    ],
)
def test_the_limit_of_onednn_hides_what_the_processor_has(
    monkeypatch: pytest.MonkeyPatch, variable: str, limit: str, bf16: bool, fp16: bool
) -> None:
    flags = "processor : 0\nflags : avx2 avx512_bf16 avx512_fp16 amx_bf16\n"
    monkeypatch.setattr(Path, "read_text", lambda self: flags)
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    monkeypatch.setenv(variable, limit)
    for name, supported in (("bf16", bf16), ("fp16", fp16)):
        reason = contract.unsupported_precision("cpu", name)
        assert (reason is None) == supported
        assert supported or f"under {variable}={limit}" in (reason or "")


@pytest.mark.parametrize(
    "fields",
    [
        {"batch_size": 0},
        {"batch_size": "16"},
        {"epochs": None},
        {"keep_best": "accuracy"},
        {"precision": "fp8"},
        {"warmup_share": 1.5},
        {"optimizer": "adafactor", "beta1": 0.8},
        {"optimizer": "adafactor", "beta2": 0.9},
        {"optimizer": "adafactor", "epsilon": 1e-6},
        {"optimizer": "sgd"},
        {"gradient_checkpointing": 1},
        {"batchsize": 4},
    ],
)
def test_a_recipe_refuses_what_it_cannot_mean(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Recipe(**fields)


def make(lengths: object) -> Examples:
    lengths = np.asarray(lengths)
    offsets = np.cumsum([0, *lengths])
    return Examples(
        ids=np.ones(offsets[-1], np.int32),
        offsets=offsets,
        second_starts=lengths.astype(np.int32),
        labels=np.zeros(len(lengths), np.int32),
        pad_id=PAD,
        has_token_types=False,
    )
