"""The certificates that the profiles ship can fail: each fault of an optimizer, under the very
recipe of a profile's traces, is several times over its bound.

`pytest tests/frameworks/certificates/test_shipped_faults.py -s` prints by how much: the table in
docs/equivalence.md.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.harness.equivalence.certificate import certify
from benchmarks.harness.equivalence.trace import Traced
from benchmarks.harness.plan.expand import make_plan
from benchmarks.harness.plan.plan import Choice
from benchmarks.harness.plan.profile import load_profile
from benchmarks.harness.worker.questions.equivalence import clipping_some
from frameworks.contract import Session, SessionSpec, Start
from tests.frameworks.certificates import faults
from tests.frameworks.certificates.tracing import clean_trace, traced
from tests.frameworks.conftest import make_examples, needed, new_session

TASK = "mnli"
LENGTH = 128  # tokens at most, in any of the profiles
MARGIN = 3.0  # over the bound


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Start:
    """A small BERT whose weights have the sizes of a checkpoint's: MiniLM's matrices have a root
    mean square of about 0.05, its LayerNorms of about 0.9."""
    needed("hf_torch")
    needed("hf_tf")
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification

    config = AutoConfig.for_model(
        "bert",
        vocab_size=60,
        num_labels=3,
        pad_token_id=0,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=LENGTH,
        initializer_range=0.05,
    )
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=0.05)
            elif "LayerNorm" in name:
                parameter.mul_(0.9)
    folder = tmp_path_factory.mktemp("start")
    model.save_pretrained(folder, safe_serialization=True)
    return Start(Path(folder), "bert", 3, 60, LENGTH)


@pytest.fixture(scope="module", params=["quick", "cpu"])
def spec(request: pytest.FixtureRequest, start: Start) -> SessionSpec:
    profile = load_profile(request.param)
    plan = make_plan(Choice(tasks=[TASK], questions=["equivalence"]), profile, [TASK], "")
    recipe = plan.jobs[0].recipe
    examples = make_examples(plan.equivalence.examples(recipe.accumulation), pairs=True)
    spec = SessionSpec(recipe, start, examples, record=True, hash_batches=True)
    return clipping_some(lambda plain: new_session("hf_torch", plain), spec)[0]


@pytest.fixture(scope="module")
def reference(spec: SessionSpec) -> Traced:
    return clean_trace("hf_tf", spec)


def no_decay(session: Session) -> None:
    for group in session.optimizer.param_groups:
        group["weight_decay"] = 0.0


def test_without_a_fault_it_holds(reference: Traced, spec: SessionSpec) -> None:
    found = certify(reference, clean_trace("hf_torch", spec))
    assert found.holds, found.verdict


@pytest.mark.parametrize(
    ("inject", "check"),
    [
        (faults.decay_everywhere, "first update"),
        (no_decay, "first update"),
        (faults.decay_in_the_gradient, "first update"),
        (faults.epsilon_unscaled, "first update"),
        (faults.epsilon_of_keras, "first update"),
        (faults.clipping_by_variable, None),  # at whichever step is the first to be clipped
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_fault_of_the_update_is_caught(
    reference: Traced, spec: SessionSpec, inject: Callable[[Session], None], check: str | None
) -> None:
    session = new_session("hf_torch", spec)
    inject(session)
    caught(inject.__name__, reference, traced("hf_torch", session), check)


@pytest.mark.parametrize(
    "inject",
    [faults.warmup_one_step_early, faults.no_decay_of_the_rate],
    ids=lambda inject: inject.__name__,
)
def test_a_fault_of_the_schedule_is_caught(
    reference: Traced,
    spec: SessionSpec,
    monkeypatch: pytest.MonkeyPatch,
    inject: Callable[[pytest.MonkeyPatch], None],
) -> None:
    inject(monkeypatch)
    caught(inject.__name__, reference, clean_trace("hf_torch", spec), "learning rate")


def caught(fault: str, reference: Traced, trace: Traced, check: str | None) -> None:
    found = certify(reference, trace)
    times = {
        c.name: c.worst / c.bound
        for c in found.checks
        if not c.passed and c.worst is not None and c.kind in ("absolute", "relative")
    }
    print(
        f"\n| {fault}, {reference.trace.steps} steps | "
        + ", ".join(f"{name} {over:.2g} times" for name, over in times.items())
        + " |"
    )
    assert not found.holds and found.failed_first in times, fault
    assert check in (None, found.failed_first), found.verdict
    assert max(times.values()) > MARGIN, found.verdict
