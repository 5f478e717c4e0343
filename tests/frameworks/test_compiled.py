"""What a recipe says of compilation and of TF32 is what runs: a compiler that is missing, switched off
or asked for by something else is found after the first step."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.harness.worker.in_force import differences
from benchmarks.harness.worker.training import Checked, RecipeOverridden
from frameworks.contract import Device, Recipe, Start
from tests.frameworks.conftest import Eyes, make_spec, needed, new_session, unsupported

FIELDS = {"steps": 4, "learning_rate": 1e-3, "padding": "longest", "record": False}


@pytest.fixture
def dynamo() -> Iterator[object]:
    needed("hf_torch")
    import torch

    fields = ("suppress_errors", "recompile_limit", "automatic_dynamic_shapes")
    with torch._dynamo.config.patch({name: getattr(torch._dynamo.config, name) for name in fields}):
        yield torch._dynamo.config
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()


@pytest.mark.once
def test_a_compiler_that_is_switched_off_is_no_compilation(
    start: Start, dynamo: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHDYNAMO_DISABLE", "1")
    session = new_session("hf_torch", make_spec(start, compile=True, **FIELDS))
    with pytest.raises(RecipeOverridden, match="no frame was compiled: TORCHDYNAMO_DISABLE"):
        session.train(Checked(Eyes(), session))


@pytest.mark.once
def test_a_missing_compiler_is_named_also_where_its_error_is_suppressed(
    dynamo: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    import torch._inductor.config as inductor

    from frameworks.hf_torch import model

    def f(x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x) + 1

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    dynamo.suppress_errors = True
    with inductor.patch({"cpp.cxx": (None, "/bin/false"), "force_disable_caches": True}):
        torch.compile(f)(torch.ones(2))
        assert model.hides_errors() and model.not_compiled() == (
            "some frames were not compiled: no C++ compiler found; install g++"
        )
    dynamo.suppress_errors = False
    assert not model.hides_errors()


@pytest.mark.once
def test_shapes_beyond_the_recompile_limit_are_not_compiled(
    start: Start, dynamo: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    dynamo.recompile_limit, dynamo.automatic_dynamic_shapes = 1, False
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    session = new_session("hf_torch", make_spec(start, compile=True, **FIELDS))
    session.train_bare(Eyes())
    assert len({width for _, width in session.recording.batches}) > 1
    assert "reached its recompile limit" in "; ".join(
        differences(session.spec, session.effective(), 4)
    )


@pytest.mark.once
def test_a_compilation_that_the_environment_asks_for_is_found(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed("hf_torch")
    monkeypatch.setenv("ACCELERATE_DYNAMO_BACKEND", "eager")
    session = new_session("hf_torch", make_spec(start, **FIELDS))
    with pytest.raises(RecipeOverridden, match="compile = false, but the framework compiled"):
        session.train(Checked(Eyes(), session))


@pytest.mark.parametrize("backend", ["hf_tf", "keras_rnn"])
def test_a_graph_without_xla_is_no_compilation(backend: str, start: Start) -> None:
    """As Keras leaves XLA out for layers that cannot do it, with a warning."""
    session = new_session(backend, make_spec(start, compile=True, **FIELDS))
    session.model.jit_compile = False
    with pytest.raises(RecipeOverridden, match="compile = true, but no frame was compiled: Keras"):
        session.train(Checked(Eyes(), session))


@pytest.mark.parametrize(("device", "refused"), [("gpu", ["compile"]), ("cpu", [])])
def test_the_lstm_is_not_compiled_where_cudnn_runs_it(
    start: Start, device: Device, refused: list[str]
) -> None:
    from frameworks import keras_rnn

    recipe = Recipe(compile=True, length=16)
    assert [r.field for r in keras_rnn.unsupported(recipe, start, device)] == refused
    assert not unsupported("keras_rnn", Recipe(length=16), start)


@pytest.mark.once
def test_tf32_is_as_in_the_recipe_after_accelerate_switched_it_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    needed("hf_torch")
    import torch

    from frameworks.hf_torch import precision

    monkeypatch.setattr(precision.device, "kind", lambda: "gpu")
    products = torch.backends.cuda.matmul
    before, products.allow_tf32 = products.fp32_precision, True  # as accelerate does
    try:
        for word, kept in (("fp32", "ieee"), ("tf32", "tf32"), ("bf16", "ieee")):
            precision.set_products(Recipe(precision=word, compile=True))
            assert products.fp32_precision == kept
            assert products.allow_tf32 is (word == "tf32")  # read by the compiler
    finally:
        products.allow_tf32 = False
        products.fp32_precision = before
