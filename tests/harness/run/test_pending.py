"""What a resumed run does again: a race runs as a whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.harness.plan.expand import make_plan
from benchmarks.harness.plan.plan import Choice, JobSpec
from benchmarks.harness.plan.profile import load_profile
from benchmarks.harness.run.folder import RunFolder
from results.schema import Measurement, Status
from tests.results import samples

PROFILE = """
description = "a test"
backends = ["hf_torch", "hf_tf", "keras_rnn"]
questions = ["throughput", "memory"]
checkpoint = "random:tiny-bert"
data = "embedded"
[tasks.imdb]
[tasks.mnli]
[throughput]
control = false
noise_pair = false
"""
Statuses = dict[str, Status]


def measured(spec: JobSpec, status: Status) -> Measurement:
    reason = None if status == "ok" else f"it {status}"
    return samples.measurement(
        spec.key.backend,
        spec.key.task,
        spec.key.question,
        job=spec.key,
        status=status,
        reason=reason,
    )


@pytest.fixture
def run_with(tmp_path: Path) -> Callable[[Statuses], RunFolder]:
    """A run in which all jobs are measured, with the given statuses or as 'ok'."""

    def make(statuses: Statuses) -> RunFolder:
        file = tmp_path / "mine.toml"
        file.write_text(PROFILE)
        run = RunFolder.new(
            tmp_path, make_plan(Choice(), load_profile(str(file)), ["imdb", "mnli"], "")
        )
        run.create()
        for spec in run.plan.jobs:
            run.record(measured(spec, statuses.get(spec.key.id, "ok")))
        return run

    return make


@pytest.mark.parametrize(
    ("statuses", "pending"),
    [
        ({}, []),
        ({"memory-imdb-hf_tf": "failed"}, ["memory-imdb-hf_tf"]),
        (
            {"throughput-imdb-hf_tf": "killed"},
            ["throughput-imdb-hf_torch", "throughput-imdb-hf_tf", "throughput-imdb-keras_rnn"],
        ),
        (
            {
                "throughput-imdb-hf_tf": "killed",
                "throughput-imdb-hf_torch": "not_installed",
                "throughput-imdb-keras_rnn": "unsupported",
            },
            ["throughput-imdb-hf_tf"],
        ),
        ({"throughput-mnli-hf_torch": "not_installed"}, []),
        (
            {"throughput-mnli-hf_torch": "interrupted", "throughput-mnli-hf_tf": "refused"},
            ["throughput-mnli-hf_torch", "throughput-mnli-keras_rnn"],
        ),
    ],
)
def test_a_race_is_repeated_as_a_whole(
    run_with: Callable[[Statuses], RunFolder], statuses: Statuses, pending: list[str]
) -> None:
    assert [spec.key.id for spec in run_with(statuses).pending()] == pending


def test_what_was_never_measured_is_pending(run_with: Callable[[Statuses], RunFolder]) -> None:
    run = run_with({})
    (run.path / "throughput-imdb-hf_tf.json").unlink()
    assert len(run.pending()) == 3


def test_a_race_that_is_stopped_again_loses_no_figures(
    run_with: Callable[[Statuses], RunFolder],
) -> None:
    run = run_with({"throughput-imdb-hf_tf": "killed"})
    for spec in run.pending():
        run.record(measured(spec, "interrupted"))
    status = {m.job.id: m.status for m in run.measurements()}
    assert status["throughput-imdb-hf_torch"] == "ok"
    assert status["throughput-imdb-hf_tf"] == "killed"
    assert len(run.pending()) == 3  # as before
    (memory,) = [spec for spec in run.plan.jobs if spec.key.id == "memory-imdb-hf_tf"]
    run.record(measured(memory, "interrupted"))
    assert "interrupted" in {m.status for m in run.measurements()}
