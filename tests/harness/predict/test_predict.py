"""What is predicted for which target, how a search gets it, and what the user reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.harness.cli import main
from benchmarks.harness.errors import UserError
from benchmarks.harness.jobs.job import StartFile
from benchmarks.harness.jobs.trace_request import Answer, Ask, save
from benchmarks.harness.machine.gpu_types import gpu_types
from benchmarks.harness.predict import predictions, tracing
from benchmarks.harness.predict.allocators.blocks import MIB
from benchmarks.harness.predict.calibration import calibrations
from benchmarks.harness.predict.footprint import Footprint
from benchmarks.harness.predict.largest_batch import limit
from benchmarks.harness.predict.predictions import predicted_limit
from benchmarks.harness.predict.text import sentence, text
from benchmarks.harness.predict.workload import Target, Workload, targets
from frameworks.contract import Recipe, backends
from tests.harness.limits.fakes import CPU, ready
from tests.harness.predict.sample_steps import EACH, footprint, step
from tests.results.sample_limits import prediction

pytestmark = pytest.mark.once


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_stacks_of_more_threads_count(threads: int, tmp_path: Path) -> None:
    """TensorFlow has two pools of so many threads, and the calibration comes from two cores."""
    for size in (2, 6):
        save(step(size), tmp_path / f"0-{size}.npz")
    start = StartFile(
        folder=tmp_path, architecture="bert", label_count=2, vocabulary_size=9, max_length=9
    )
    ask = Ask(recipe=Recipe(), start=start, device="cpu", phase="training", batch_sizes=(2, 6))
    answer = Answer(process_bytes=1000, resident_bytes=500, refusals={})
    made = tracing._footprint("hf_tf", ask, answer, tmp_path, 0, threads)
    started = calibrations()["hf_tf"]["cpu"].started_bytes["fp32"]
    assert made.outside_bytes == 1000 + started + (threads - 2) * 2 * 8 * MIB


def test_a_trace_that_takes_too_long_or_fails_is_told(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    start = StartFile(
        folder=tmp_path, architecture="bert", label_count=2, vocabulary_size=100, max_length=512
    )
    ask = Ask(recipe=Recipe(), start=start, device="cpu", phase="training", batch_sizes=(2, 6))
    with pytest.raises(UserError, match="PyTorch could not be traced within 0 s"):
        tracing.footprints("hf_torch", [ask], seconds=0.01)
    with pytest.raises(UserError, match="PyTorch could not be traced: .*config.json"):
        tracing.footprints("hf_torch", [ask])


def test_a_search_gets_the_predicted_limit_of_its_own_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced by the Python, with the threads and within the time that it is given, and once for all
    budgets."""
    asked: list[tuple[str, Ask, Path, float, int]] = []

    def traced(
        backend: str, asks: list[Ask], python: Path, seconds: float, threads: int
    ) -> list[Footprint]:
        asked.append((backend, asks[0], python, seconds, threads))
        return [footprint()]

    monkeypatch.setattr(predictions, "footprints", traced)
    expect = predictions.expectation(CPU, Path("python-of-the-backend"))
    job = ready("1GiB").job.model_copy(update={"environment": {"OMP_NUM_THREADS": "3"}})
    found = [expect(job, budget * MIB) for budget in (500, 1000)]
    assert [e.limit for e in found] == [limit(footprint(), b * MIB) for b in (500, 1000)]
    assert {e.source for e in found} == {"predicted"} and all(e.seconds >= 0 for e in found)
    ((backend, ask, python, seconds, threads),) = asked
    assert (backend, python, seconds) == ("hf_torch", Path("python-of-the-backend"), 10)
    assert threads == 3
    assert (ask.device, ask.phase, ask.batch_sizes) == ("cpu", "training", (2, 6))


def test_a_step_that_cannot_be_traced_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = tracing.Refusal("compile")
    monkeypatch.setattr(predictions, "footprints", lambda *asked: [refusal])
    predictions._kept_footprint.cache_clear()
    with pytest.raises(UserError, match="compile"):
        predictions.expectation(CPU, Path("another-python"))(ready("1GiB").job, 2**30)


def test_hopper_takes_larger_workspaces() -> None:
    known = calibrations()["hf_torch"]["gpu"]
    assert known.workspaces("9.0") == (32 * MIB,) * 2
    assert known.workspaces("8.0") == known.workspaces(None) == (8_519_680,) * 2
    found = {t.label: t.compute_capability for t in targets(work(), ["H100", "H200", "L4"], [])}
    assert found == {"H100": "9.0", "H200": "9.0", "L4": "8.9"}
    made = footprint(
        workspaces_bytes=(30 * MIB,), workspaces_by_capability={"9.0": (30 * MIB + 2 * EACH,)}
    )
    assert made.on("9.0").peak(3).bytes == made.peak(3).bytes + 2 * EACH
    limits = [
        predicted_limit(
            made, Target("GPU", 2000 * MIB, compute_capability=c), made._calibration
        ).limit
        for c in ("8.0", "9.0")
    ]
    assert limits[0] == limits[1] + 2


def work(**fields) -> Workload:
    return Workload("hf_torch", "minilm", "gpu", "training", Recipe(**fields))


def test_every_gpu_type_is_a_target() -> None:
    found = targets(work(), list(gpu_types()), [])
    assert [t.label for t in found] == list(gpu_types())
    assert all(0 < t.budget_bytes < gpu_types()[t.label].memory_bytes for t in found)


def test_a_gpu_type_without_a_reading_says_what_its_budget_rests_on() -> None:
    notes = {t.label: t.note for t in targets(work(), ["T4", "H200"], [])}
    assert notes["T4"] is None
    assert "was not measured" in (notes["H200"] or "")


def test_a_gpu_type_is_left_out_where_it_lacks_the_precision() -> None:
    assert [t.label for t in targets(work(precision="bf16"), ["T4", "L4"], [])] == ["L4"]


@pytest.mark.parametrize(
    ("label", "said"), [("6 apples", "6 apples"), ("T4", "--gpu"), ("0GiB", "larger than 0")]
)
def test_a_wrong_budget_is_named(label: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        targets(work(), [], [label])


def test_every_backend_is_calibrated_for_both_kinds_of_device() -> None:
    assert set(calibrations()) == set(backends())
    for kinds in calibrations().values():
        assert set(kinds) == {"cpu", "gpu"}


@pytest.mark.parametrize(("assumed", "said"), [(True, "assumed range"), (False, "95 % interval")])
def test_the_text_says_what_stands_behind_a_range(assumed: bool, said: str) -> None:
    shown = text(prediction(assumed=assumed))
    assert f"with {said}" in shown and f"({said} " in shown
    assert ("95 %" in shown) is not assumed


def test_a_baseline_goes_by_its_own_name() -> None:
    made = prediction("keras_rnn", 64, checkpoint="minilm", tokenizer_only=True)
    assert sentence(made).startswith("Keras LSTM on the tokens of minilm, length 64, fp32: about ")
    assert sentence(prediction(length=64)).startswith("minilm, length 64, fp32, PyTorch")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--gpu", "T44"], "did you mean T4"),
        (["--budget", "lots"], "--budget 'lots'"),
        (["--backend", "hf_jax"], "unknown backend 'hf_jax'"),
        (["--checkpoint", "nothing-there"], "unknown checkpoint 'nothing-there'"),
        (["--backend", "hf_torch", "--checkpoint", "bert-base", "--length", "513"], "512 tokens"),
        (["--recipe", "precision=int4"], "recipe.precision"),
        (["--gpu", "T4", "--task", "cola"], "unknown task 'cola'"),
        (["--check", "no-such-run"], "not a run's folder"),
        (["--profile", "t4"], "--profile t4: a profile has a recipe for each task: add --task"),
        (["--length", "0"], "length"),
        (["--check", "no-such-run", "--gpu", "T4"], "leave out --gpu"),
        (["--checkpoint", "bert-base", "--length", "513"], "nothing can be predicted: skipped on"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["predict", *options, "--results", str(tmp_path / "results")]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert said in error[-1] and error[-1] not in error[:-1]
    assert sum("cannot do length" in line for line in error) <= 1
    assert not (tmp_path / "results").exists()
