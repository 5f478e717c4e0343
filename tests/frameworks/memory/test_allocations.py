"""A traced step against the real one: the same buffers as PyTorch takes, and all that the recipe
says counts."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.once
torch = pytest.importorskip("torch")

import numpy as np  # noqa: E402

from benchmarks.harness.cli import main  # noqa: E402
from benchmarks.harness.predict import text  # noqa: E402
from benchmarks.studies import published_steps  # noqa: E402
from frameworks.contract import Recipe, Start, StepTrace, Unsupported  # noqa: E402
from frameworks.hf_torch import step_trace  # noqa: E402
from results import store  # noqa: E402
from results.schema import Prediction  # noqa: E402
from tests.frameworks.conftest import LENGTH, Eyes, make_spec, new_session  # noqa: E402


def recipe(**fields: object) -> Recipe:
    return Recipe(**{"batch_size": 4, "length": LENGTH, **fields})


def trace(
    start: Start, device: str = "cpu", batch: int = 4, phase: str = "training", **fields: object
) -> StepTrace:
    return step_trace.step_trace(recipe(**fields), start, batch, device, phase)


def live(made: StepTrace) -> np.ndarray:
    """Bytes held after every event."""
    change = np.zeros(made.events + 1, np.int64)
    np.add.at(change, made.allocated_at, made.bytes)
    np.add.at(change, made.freed_at, -made.bytes)
    return change[:-1].cumsum()


def kept(made: StepTrace, part: str) -> int:
    """Bytes of a part at the end."""
    alive = (made.freed_at == made.events) & (np.array(made.parts) == part)
    return int(made.bytes[alive].sum())


def peak(start: Start, device: str = "gpu", **fields: object) -> int:
    return int(live(trace(start, device, **fields)).max())


def test_what_stays_is_what_the_session_holds(starts: dict[str, Start]) -> None:
    for architecture, start in starts.items():
        session = new_session("hf_torch", make_spec(start, steps=2, dropout=None))
        session.train(Eyes(stop_after=2))
        weights = sum(p.numel() * 4 for p in session.model.parameters())
        state = sum(
            t.numel() * t.element_size()
            for values in session.optimizer.state.values()
            for t in values.values()
        )
        made = trace(start)
        buffers = kept(made, "weights") - weights
        assert 0 <= buffers <= 32 * 32 * 8, architecture  # positions and masks
        assert kept(made, "optimizer") == state, architecture
        assert kept(made, "gradients") == 0, architecture


def memory_changes(profile: torch.profiler.profile) -> np.ndarray:
    """Bytes allocated (above 0) and freed (below), in order."""
    events = [e for e in profile.profiler.kineto_results.events() if e.name() == "[memory]"]
    return np.array([e.nbytes() for e in sorted(events, key=lambda e: e.start_ns())])


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("architecture", ["bert", "distilbert", "gpt2"])
def test_the_peak_is_what_pytorch_takes(
    starts: dict[str, Start], architecture: str, attention: str
) -> None:
    """PyTorch's profiler counts every byte that its CPU allocator gives out."""
    start = starts[architecture]
    spec = make_spec(
        start, count=12, steps=3, batch_size=4, dropout=0.1, padding="max", attention=attention
    )
    session = new_session("hf_torch", spec)
    gc.collect()  # what earlier sessions left must not be given back meanwhile
    with torch.profiler.profile(profile_memory=True) as profile:
        session.train(Eyes())
    weights = kept(trace(start), "weights")
    measured = np.cumsum(memory_changes(profile)).max() + weights
    made = trace(start, attention=attention, dropout=0.1)
    assert live(made).max() == pytest.approx(measured, rel=0.02)


def test_a_batch_adds_the_same_again(starts: dict[str, Start]) -> None:
    """Every buffer is a line over the batch size."""
    two, four, nine = (trace(starts["bert"], batch=b) for b in (2, 4, 9))
    assert two.parts == four.parts == nine.parts
    assert np.array_equal(two.allocated_at, nine.allocated_at)
    assert np.array_equal(two.bytes + (four.bytes - two.bytes) * 7 // 2, nine.bytes)


@pytest.mark.parametrize(
    "fields",
    [
        {"precision": "bf16"},
        {"attention": "sdpa"},
        {"gradient_checkpointing": True},
    ],
)
def test_what_saves_memory_saves_it(starts: dict[str, Start], fields: dict[str, object]) -> None:
    plain = trace(starts["bert"], "gpu", attention="eager")
    lighter = trace(starts["bert"], "gpu", **{"attention": "eager", **fields})
    for part in ("activations", "attention"):
        assert peak_of(lighter, part) <= peak_of(plain, part)
    assert peak_of(lighter, "activations") + peak_of(lighter, "attention") < (
        peak_of(plain, "activations") + peak_of(plain, "attention")
    )


def peak_of(made: StepTrace, part: str) -> int:
    mine = np.array(made.parts) == part
    change = np.zeros(made.events + 1, np.int64)
    np.add.at(change, made.allocated_at[mine], made.bytes[mine])
    np.add.at(change, made.freed_at[mine], -made.bytes[mine])
    return int(change[:-1].cumsum().max())


@pytest.mark.parametrize(
    "fields",
    [
        {"length": 8},
        {"dropout": 0.0},
        {"accumulation": 2},
        {"optimizer": "adafactor"},
        {"precision": "fp16"},
    ],
)
def test_every_field_that_moves_memory_counts(
    starts: dict[str, Start], fields: dict[str, object]
) -> None:
    plain, other = (
        trace(starts["bert"], "gpu", dropout=0.1),
        trace(starts["bert"], "gpu", **{"dropout": 0.1, **fields}),
    )
    assert live(plain).max() != live(other).max()


def test_evaluation_takes_no_gradients(starts: dict[str, Start]) -> None:
    made = trace(starts["gpt2"], phase="evaluation")
    assert "gradients" not in made.parts
    assert "optimizer" not in made.parts
    assert live(made).max() < peak(starts["gpt2"], "cpu")


def test_a_compiled_step_is_refused(starts: dict[str, Start]) -> None:
    with pytest.raises(Unsupported, match="compile"):
        trace(starts["bert"], compile=True)


def test_a_published_step_has_its_own_weights_and_no_optimizer(starts: dict[str, Start]) -> None:
    """In half precision, each weight takes half of what it takes in a step of ours."""
    made = published_steps.step_trace("summed logits", recipe(), starts["bert"], 4, "gpu")
    parts = np.array(made.parts)
    ours = trace(starts["bert"], "gpu")
    largest = made.bytes[parts == "weights"].max()
    assert largest == ours.bytes[np.array(ours.parts) == "weights"].max() // 2
    assert not (parts == "optimizer").any() and kept(made, "gradients") > 0


@pytest.mark.parametrize(
    ("precision", "bytes_per_logit"), [("fp32", 4 + 4 + 4 + 4), ("fp16", 2 + 2 + 4 + 4)]
)
def test_a_language_models_loss_takes_the_types_of_cudas_autocast(
    starts: dict[str, Start], precision: str, bytes_per_logit: int
) -> None:
    """At its peak, in the backward pass: in fp16 the logits and their log-softmax, in fp32 the copy
    of this for the loss and the copy's gradient; in fp32 the softmax's gradient comes last."""
    start, batch = starts["bert"], 64
    made = published_steps.step_trace(
        "masked language model", recipe(precision=precision), start, batch, "gpu"
    )
    logits = batch * LENGTH * start.vocabulary_size
    large = np.isin(made.bytes, [2 * logits, 4 * logits]) & (np.array(made.parts) != "weights")
    assert large.any()
    alive = (made.allocated_at <= live(made).argmax()) & (made.freed_at > live(made).argmax())
    assert made.bytes[alive & large].sum() == bytes_per_logit * logits


def test_no_weights_are_needed(starts: dict[str, Start], tmp_path: Path) -> None:
    start = starts["bert"]
    (tmp_path / "config.json").write_bytes((start.folder / "config.json").read_bytes())
    bare = Start(tmp_path, "bert", 3, start.vocabulary_size, start.max_length)
    assert np.array_equal(trace(bare).bytes, trace(start).bytes)


def test_the_command_predicts_what_fits_on_a_gpu_that_is_not_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main.main(
        [
            "predict",
            "--backend",
            "hf_torch",
            "--checkpoint",
            "random:tiny-bert",
            "--recipe",
            "length=512",
            "--gpu",
            "T4",
            "--gpu",
            "A100-40",
            "--json",
            "--results",
            str(tmp_path),
        ]
    )
    assert code == 0
    shown = [Prediction(**p) for p in json.loads(capsys.readouterr().out)]
    folder = store.latest_run(tmp_path)
    assert folder is not None
    assert store.read_predictions(folder) == (shown, [])
    t4, a100 = shown[0].limits
    assert (t4.target, a100.target) == ("T4", "A100-40")
    assert 0 < t4.low <= t4.limit <= t4.high < a100.limit
    assert sum(shown[0].parts.values()) == shown[0].peak_bytes
    assert f"about {t4.limit} on a T4, {a100.limit} on an A100-40 (predicted)" in (
        text.text(shown[0])
    )
