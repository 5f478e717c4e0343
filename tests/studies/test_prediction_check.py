"""Predictions compared with measurements: which cases there are, and how they are summarised."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from benchmarks.harness.checkpoints.architectures import RANDOM_CONFIGS
from benchmarks.harness.cli import main
from benchmarks.harness.machine import packages
from benchmarks.harness.predict.allocators.blocks import MIB
from benchmarks.harness.predict.calibration import Calibration, calibrations
from benchmarks.harness.predict.footprint import Footprint
from benchmarks.harness.predict.workload import Workload
from benchmarks.studies import prediction_cases
from benchmarks.studies.prediction_cases import (
    case_name,
    cases,
    workload_of,
    workload_of_published,
)
from benchmarks.studies.prediction_check import summary
from frameworks.contract import Recipe, backends
from results import store
from results.analysis.predictions import judge
from results.analysis.reference import published_memory
from results.schema import Measurement, PredictedLimit, PredictionCase, Probe
from tests.harness.predict.sample_steps import footprint
from tests.results.sample_limits import batch_limit, limit_measurement
from tests.results.sample_limits import case as made_up
from tests.results.samples import run_info

pytestmark = pytest.mark.once
Said = list[str]


def measured(
    task: str = "imdb",
    budget: str = "4GiB",
    checkpoint: str = "minilm",
    *,
    peak: int = 400 * MIB,
    **found: Any,
) -> Measurement:
    """One probe of batch 6, and a limit of 20."""
    probe = Probe(batch_size=6, outcome="ok", peak_bytes=peak, steps=3, seconds=1.0)
    limit = batch_limit(
        budget=budget, **{"limit": 20, "fails_at": 21, "highest": 64, "probes": [probe]} | found
    )
    m = limit_measurement(task=task, budget=budget, length=64, found=limit)
    assert m.checkpoint is not None
    return m.model_copy(update={"checkpoint": m.checkpoint.model_copy(update={"name": checkpoint})})


def found_cases(
    monkeypatch: pytest.MonkeyPatch, measurements: Sequence[Measurement], rows: Sequence[Any] = ()
) -> tuple[list[PredictionCase], Said]:
    """With a made-up step for every work."""
    said: Said = []

    def footprints(works: Sequence[Workload], say: Any) -> dict[Workload, Footprint]:
        return {work: footprint() for work in works}

    monkeypatch.setattr(prediction_cases, "footprints", footprints)
    monkeypatch.setattr(prediction_cases, "published_memory", lambda: list(rows))
    return cases(measurements, said.append), said


def test_probes_and_limits_become_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    m = measured()
    assert workload_of(m) == Workload("hf_torch", "minilm", "cpu", "training", Recipe(length=64))
    peak, limit = found_cases(monkeypatch, [m])[0]
    assert (peak.unit, peak.batch_size, peak.measured) == ("bytes", 6, 400 * MIB)
    assert peak.predicted == footprint().in_use(6, 4096 * MIB)
    assert (limit.unit, limit.budget, limit.measured, limit.fails_at) == (
        "examples",
        "4GiB",
        20,
        21,
    )


def test_runs_whose_jobs_have_the_same_name_are_kept_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job's name holds neither the checkpoint nor the recipe."""
    names = ["minilm", "distilbert", "gpt2"]
    runs = [measured(checkpoint=name, peak=(i + 1) * MIB) for i, name in enumerate(names)]
    assert len({m.job.id for m in runs}) == 1
    found = [
        (c.checkpoint, c.measured) for c in found_cases(monkeypatch, runs)[0] if c.unit == "bytes"
    ]
    assert found == [(name, (i + 1) * MIB) for i, name in enumerate(names)]


def test_a_batch_is_one_case_however_often_it_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [measured(task, budget) for task in ("imdb", "mnli") for budget in ("4GiB", "6GiB")]
    runs.append(measured(checkpoint="random:minilm"))
    found, _ = found_cases(monkeypatch, runs)
    assert [(c.batch_size, c.budget) for c in found] == [(6, None), (None, "4GiB"), (None, "6GiB")]


def test_a_fitted_case_is_known_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = Calibration(
        allocator="malloc", error=0.1, how="made up", cases=("minilm 64 fp32 training 6",)
    )
    monkeypatch.setattr(prediction_cases, "calibrations", lambda: {"hf_torch": {"cpu": fitted}})
    for name in ("minilm", "random:minilm"):
        assert found_cases(monkeypatch, [measured(checkpoint=name)])[0][0].fitted
    assert not found_cases(monkeypatch, [measured(checkpoint="gpt2")])[0][0].fitted


def test_every_fitted_case_has_the_form_of_a_case_name() -> None:
    work = Workload("hf_torch", "random:minilm", "cpu", "training", Recipe(attention="eager"))
    Calibration(allocator="malloc", error=0.1, how="made up", cases=(f"{case_name(work)} 6",))
    with pytest.raises(ValidationError, match="MiniLM 4x128"):
        Calibration(allocator="malloc", error=0.1, how="made up", cases=("MiniLM 4x128 fp32",))
    known = [name for kinds in calibrations().values() for c in kinds.values() for name in c.cases]
    assert known and {name.split()[0] for name in known} <= set(RANDOM_CONFIGS)


def test_no_range_is_called_an_interval_without_a_case() -> None:
    for kinds in calibrations().values():
        for calibration in kinds.values():
            assert calibration.assumed or calibration.cases


@pytest.mark.parametrize(
    ("batch", "limit", "fails_at", "rounded", "steps", "verdict"),
    [
        (63, 63, 64, 63, 0, "right"),
        (130, 128, 136, 128, 0, "right"),  # the search tries no batch between
        (136, 128, 136, 136, 1, "too high"),
        (127, 128, 136, 120, -1, "too low"),
        (0, 0, 1, 0, 0, "right"),
        (100, 64, 128, 96, 4, "undecided"),
        (64, 64, 128, 64, 0, "right"),
        (5000, 1024, None, 1024, 0, "right"),  # nothing failed: at least 1,024
        (1000, 1024, None, 960, -2, "too low"),
    ],
)
def test_a_predicted_limit_is_judged_on_the_sizes_that_a_search_tries(
    batch: int, limit: int, fails_at: int | None, rounded: int, steps: int, verdict: str
) -> None:
    about = made_up().model_dump(
        include={"backend", "device", "architecture", "checkpoint", "length", "precision", "source"}
    )
    expected = PredictedLimit(target="4GiB", budget_bytes=2**32, limit=batch, low=batch, high=batch)
    found = prediction_cases._limit_case(about, expected, limit, fails_at, 1024)
    assert (found.predicted, found.steps, judge(found)) == (rounded, steps, verdict)
    assert found.low == found.high == rounded and found.budget == "4GiB"


def test_other_versions_are_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "versions", lambda: {"torch": "2.13.0", "transformers": "4.54"})
    _, said = found_cases(monkeypatch, [measured(), measured("mnli")])
    assert said == ["hf_torch is traced with transformers 4.54, but was measured with 5.23.0"]


def test_a_check_keeps_the_cases_of_backends_that_are_not_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = [made_up(backend=name, measured=5.0) for name in ("hf_tf", "hf_torch")]
    new = [made_up(0.02)]
    folder = store.create_run(tmp_path, run_info())
    store.write_prediction_cases(folder, old)
    monkeypatch.setattr(
        packages, "missing_packages", lambda name: "gone" if name == "hf_tf" else None
    )
    monkeypatch.setattr(prediction_cases, "cases", lambda measurements, say: list(new))
    assert main.main(["predict", "--check", str(folder)]) == 0
    assert store.read_prediction_cases(folder) == ([*new, old[0]], [])
    assert "hf_tf: kept 1 cases of an earlier check" in capsys.readouterr().err


def test_published_figures_name_their_source() -> None:
    assert all(row.source and (row.peaks or row.fits) for row in published_memory())


def test_figures_published_under_other_conditions_do_not_count() -> None:
    """TensorFlow 1 on an unknown budget."""
    other = [row for row in published_memory() if row.conditions]
    assert {row.backend for row in other} == {"hf_tf"}
    assert all(row.conditions for row in published_memory() if row.budget_bytes)
    away = made_up(9.0, source="a paper", conditions="fp16 weights")
    near = made_up(0.01, source="a paper")
    shown = summary([near, away])
    assert "published peaks: 1 case, median error 1.0%, worst +1.0%" in shown
    assert "1 that were published under other conditions" in shown


PEAKS = {
    ("A100-80", "fp32"): [(32, 8), (64, 8), (80, 8)],
    ("H100", "fp16"): [(batch, 16) for batch in (24, 40, 48, 64, 104, 136)],
}


@pytest.fixture(scope="module")
def published() -> dict[tuple[str, str], list[PredictionCase]]:
    """The cases of published peaks of BERT, by GPU and precision; one process traces all steps."""
    pytest.importorskip("torch")
    rows = {
        (row.gpu, row.precision): row
        for row in reversed(published_memory())
        if row.over_batch_size and (row.gpu, row.precision) in PEAKS
    }
    works = {place: workload_of_published(row) for place, row in rows.items()}
    steps = prediction_cases.footprints(list(works.values()), pytest.fail)
    return {
        place: list(prediction_cases._published(row, works[place], steps[works[place]]))
        for place, row in rows.items()
    }


@pytest.mark.parametrize("place", PEAKS, ids="-".join)
def test_published_peaks_are_predicted_by_the_step_that_they_were_taken_with(
    published: dict[tuple[str, str], list[PredictionCase]], place: tuple[str, str]
) -> None:
    """Of BERT, over the peak at the smallest batch. In fp16, the loss is all in the types of CUDA's
    autocast: with those of a CPU's the prediction was 7 % too high."""
    found = published[place]
    assert [(c.batch_size, c.over_batch_size) for c in found] == PEAKS[place]
    for c in found:
        segment = 20 * MIB  # of the allocator
        assert c.predicted == pytest.approx(c.measured, rel=0.005, abs=1.1 * segment), c.batch_size
        assert "masked language model" in c.setting and c.conditions is None


def test_every_backend_can_be_summed_up() -> None:
    shown = summary(
        [made_up(backend=name, device=device) for name in backends() for device in ("cpu", "gpu")]
    )
    assert [line.split(",")[0] for line in shown.splitlines()[:-1]] == [
        f"{name} on a {device}" for name in backends() for device in ("CPU", "GPU")
    ]
