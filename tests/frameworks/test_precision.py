"""A session computes in its recipe's precision, as the values of its products show, or is stopped
after its first step."""

from __future__ import annotations

import functools
import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.harness.worker import training
from frameworks.contract import (
    Precision,
    Session,
    SessionSpec,
    Start,
    Watch,
    unsupported_precision,
)
from frameworks.contract.product import BITS, Product, factors
from results.schema import Role
from tests.frameworks.conftest import (
    Eyes,
    loses_bits,
    make_spec,
    needed,
    new_session,
    unsupported,
)

ROLES = pytest.mark.parametrize("role", ["framework", "control"])
LOOPS = {"framework": "train", "repeat": "train", "control": "train_bare"}


def trained(session: Session, role: Role, eyes: Eyes) -> None:
    """As a job's worker does it; of the job it needs no more. The role says which loop trains."""
    called: list[str] = []
    for name in set(LOOPS.values()):
        setattr(session, name, telling(called, name, getattr(session, name)))
    job = SimpleNamespace(key=SimpleNamespace(role=role), recipe=session.spec.recipe)
    try:
        training.run(job, session, eyes)  # type: ignore[arg-type]
    finally:
        assert called == [LOOPS[role]]


def telling(called: list[str], name: str, real: Callable[[Watch], None]) -> Callable[[Watch], None]:
    """The session's own loop, which records its name first."""

    def watched(watch: Watch) -> None:
        called.append(name)
        real(watch)

    return watched


# The probe itself.


def rounded(values: np.ndarray, bits: int) -> np.ndarray:
    return (np.round(values * 2.0**bits) / 2.0**bits).astype(np.float32)


@given(st.integers(1, BITS), st.integers(1, BITS))
def test_the_bits_that_every_product_kept(one: int, other: int) -> None:
    first, second = factors()
    results = [rounded(first, bits) @ rounded(second, bits) for bits in (one, other)]
    assert Product.of(*results, half=False).bits == min(one, other)


@pytest.mark.parametrize(
    ("bits", "half", "word"),
    [
        (23, False, "fp32"),
        (22, False, "tf32"),
        (10, False, "tf32"),
        (9, False, "bf16"),
        (7, False, "bf16"),
        (10, True, "fp16"),
    ],
)
def test_a_precision_promises_no_more_bits_than_were_kept(
    bits: int, half: bool, word: Precision
) -> None:
    assert Product(bits, half).word == word


def test_a_product_coarser_than_every_precision_has_none() -> None:
    with pytest.raises(ValueError, match="keep 3 bits"):
        _ = Product(3, half=False).word


# What sessions compute in.


@pytest.mark.parametrize(
    ("precision", "bits", "role"),
    [
        ("fp32", 23, "framework"),
        ("fp32", 23, "control"),
        ("bf16", 7, "repeat"),
        ("bf16", 7, "control"),
        ("fp16", 10, "framework"),
    ],
)
def test_what_the_recipe_says_is_what_is_computed_in(
    backend: str, start: Start, precision: Precision, bits: int, role: Role
) -> None:
    spec = make_spec(start, steps=2, precision=precision, record=False)
    if refusals := unsupported(backend, spec.recipe, start):
        pytest.skip(str(refusals[0]))
    session, eyes = new_session(backend, spec), Eyes()
    trained(session, role, eyes)
    assert eyes.steps == [1, 2]
    effective = session.effective()
    assert (effective.precision, effective.details["product_bits"]) == (precision, bits)
    scaled = {name for name in effective.details if name.startswith("loss_scale")}
    assert bool(scaled) == (precision == "fp16")
    if scaled:
        assert effective.details["loss_scale"] >= 1.0
        assert effective.details["loss_scale_growth_steps"] == 2000.0


def test_the_state_of_pytorchs_loss_scaling_is_reported() -> None:
    """Trainer has it on a GPU only."""
    needed("hf_torch")
    import torch

    from frameworks.hf_torch.precision import loss_scaling

    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    scaler.scale(torch.ones(1))  # made at its first use
    assert loss_scaling(scaler) == {
        "loss_scale": 1024.0,
        "loss_scale_steps": 0.0,
        "loss_scale_growth_steps": 2000.0,
    }
    assert loss_scaling(torch.amp.GradScaler("cpu", enabled=False)) == loss_scaling(None) == {}


# Switches that win over the recipe's fp32.


@pytest.fixture
def ambient_autocast() -> Iterator[None]:
    needed("hf_torch")
    import torch

    torch.set_autocast_enabled("cpu", True)
    yield
    torch.set_autocast_enabled("cpu", False)


@pytest.fixture
def coarse_products() -> Iterator[None]:
    """fp32 in, fp32 out, and bf16 between: no data type shows it."""
    needed("hf_torch")
    import torch

    matmul = getattr(torch.backends.mkldnn, "matmul", None)
    if matmul is None:
        pytest.skip("this PyTorch has no switch for the precision of fp32 products on a CPU")
    before = matmul.fp32_precision
    matmul.fp32_precision = "bf16"
    try:
        if not loses_bits(lambda a, b: torch.matmul(*map(torch.from_numpy, (a, b))).numpy()):
            pytest.skip("fp32_precision = 'bf16' changes no fp32 product on this processor")
        yield
    finally:
        matmul.fp32_precision = before


def refused(backend: str, spec: SessionSpec, role: Role) -> None:
    session, eyes = new_session(backend, spec), Eyes()
    with pytest.raises(training.RecipeOverridden, match="precision = \"fp32\", but .* in 'bf16'"):
        trained(session, role, eyes)
    assert eyes.begun == 1 and eyes.steps == []


@pytest.mark.once
@ROLES
def test_products_that_a_switch_makes_coarse_are_detected(
    start: Start, coarse_products: None, role: Role
) -> None:
    refused("hf_torch", make_spec(start, steps=5, record=False), role)


@pytest.mark.once
def test_autocast_from_outside_changes_trainer_and_not_the_bare_loop(
    start: Start, ambient_autocast: None
) -> None:
    spec = make_spec(start, steps=2, record=False)
    refused("hf_torch", spec, "framework")
    eyes = Eyes()
    trained(new_session("hf_torch", spec), "control", eyes)
    assert eyes.steps == [1, 2]


def test_the_products_of_attention_are_checked_too() -> None:
    """This switch of TensorFlow's makes batched products coarse and no others. It is read once in
    a process, so it has one of its own."""
    needed("hf_tf")
    code = (
        "import tensorflow as tf, tf_keras\nfrom types import SimpleNamespace\n"
        "from frameworks.hf_tf.precision import product\n"
        "from tests.frameworks.conftest import loses_bits\n"
        "batched = tf.function(lambda a, b: tf.linalg.matmul(a[None], b[None])[0])\n"
        "model = SimpleNamespace(submodules=[tf_keras.layers.Dense(1)])\n"
        "print(loses_bits(lambda a, b: batched(a, b).numpy()), product(model, compiled=False).bits)"
    )
    variables = os.environ | {"TF_SET_ONEDNN_FPMATH_MODE": "BF16"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    coarse, bits = done.stdout.split()
    if coarse == "False":
        pytest.skip("TF_SET_ONEDNN_FPMATH_MODE=BF16 changes no fp32 product on this processor")
    assert bits == "7"


@ROLES
@pytest.mark.parametrize("backend", ["hf_tf", "keras_rnn"])
def test_another_policy_is_detected(
    backend: str, start: Start, role: Role, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed(backend)
    if why := unsupported_precision("cpu", "bf16"):
        pytest.skip(why)
    precision = importlib.import_module("frameworks._tensorflow.precision")
    monkeypatch.setitem(precision.POLICIES, "fp32", "mixed_bfloat16")
    refused(backend, make_spec(start, steps=5, record=False), role)


# Other switches, which a race has to share or the report has to name.


def test_determinism_and_onednn_are_read_back(backend: str) -> None:
    needed(backend)
    switches = importlib.import_module(f"frameworks.{backend}.precision").switches
    assert switches()["deterministic"] is False and isinstance(switches()["onednn"], bool)
    if backend == "hf_torch":
        import torch

        use = torch.use_deterministic_algorithms
        on, off = functools.partial(use, True), functools.partial(use, False)
        with torch.backends.mkldnn.flags(enabled=False):
            assert switches()["onednn"] is False
    else:
        from tensorflow.python.framework import config

        on, off = config.enable_op_determinism, config.disable_op_determinism
    on()
    try:
        assert switches()["deterministic"] is True
    finally:
        off()
    assert switches()["deterministic"] is False


def test_whether_the_smallest_numbers_are_kept_is_measured(backend: str) -> None:
    """PyTorch keeps them unless it is told otherwise; TensorFlow's threads do not."""
    needed(backend)
    switches = importlib.import_module(f"frameworks.{backend}.precision").switches
    assert switches()["flushes_denormals"] is (backend != "hf_torch")
    if backend == "hf_torch":
        import torch

        if not torch.set_flush_denormal(True):
            pytest.skip("this processor cannot round them to zero")
        try:
            assert switches()["flushes_denormals"] is True
        finally:
            torch.set_flush_denormal(False)
