"""The suite as pytest-benchmark sees it: its clock, its files, its comparison."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from results.store import latest_run, read_run
from tests.benchmarks.conftest import finish, start, write_profile

Profile = Callable[..., Path]
pytestmark = pytest.mark.once


def run_suite(results: Path, file: Path, *arguments: str | Path) -> tuple[int, str]:
    code, output, errors = finish(
        start(
            "-m",
            "pytest",
            "benchmarks",
            "--benchmark-only",
            "-p",
            "no:cacheprovider",
            "--profile",
            file,
            "--results",
            results,
            *arguments,
        )
    )
    return code, output + errors


def storage(folder: Path) -> str:
    return f"--benchmark-storage=file://{folder / 'storage'}"


@pytest.fixture(scope="module")
def suite(logistic: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """One run of the suite: its results folder, pytest-benchmark's JSON and what it printed."""
    folder = tmp_path_factory.mktemp("suite")
    file, saved = write_profile(folder, [logistic]), folder / "saved.json"
    code, output = run_suite(
        folder, file, f"--benchmark-json={saved}", storage(folder), "--benchmark-save=first"
    )
    assert code == 0, output
    return folder, saved, output


def test_windows_are_timed_by_its_clock(suite: tuple[Path, Path, str]) -> None:
    results, saved, output = suite
    folder = latest_run(results)
    assert folder is not None
    _, measurements, problems = read_run(folder)
    assert problems == []
    benchmarks = json.loads(saved.read_text())["benchmarks"]
    for m in (m for m in measurements if m.throughput and m.job.question == "throughput"):
        assert m.throughput is not None
        for round_ in range(2):
            (row,) = [
                b
                for b in benchmarks
                if b["name"]
                == f"test_training_speed[imdb-{m.job.backend}-launch1-round{round_ + 1}]"
            ]
            ours = [w.seconds for w in m.throughput.windows if w.round == round_]
            assert row["stats"]["data"] == ours
            rates = sorted(2 / seconds for seconds in ours)
            assert row["extra_info"]["steps_per_second"] == pytest.approx(sum(rates) / 2)
    assert any("peak_process_bytes" in b["extra_info"] for b in benchmarks)
    assert str(folder / "report.html") in output


def test_its_comparison_works(suite: tuple[Path, Path, str]) -> None:
    results, saved, _ = suite
    code, output, errors = finish(start("-m", "pytest_benchmark", "compare", saved))
    assert code == 0 and "test_training_speed" in output + errors
    select = (results / "tiny.toml", "-k", "training_speed", storage(results))
    code, output = run_suite(
        results, *select, "--benchmark-compare", "--benchmark-compare-fail=median:100000%"
    )
    assert code == 0 and "Comparing against benchmarks from" in output, output
    (file,) = results.glob("storage/*/*.json")
    content = json.loads(file.read_text())
    for row in content["benchmarks"]:  # as if the machine had been a thousand times as fast
        row["stats"]["median"] /= 1000
    file.write_text(json.dumps(content))
    code, output = run_suite(
        results, *select, "--benchmark-compare", "--benchmark-compare-fail=median:100%"
    )
    assert code == 1 and "Performance has regressed" in output, output


def test_part_of_a_job_is_recorded_as_far_as_it_went(
    logistic: str, tmp_path: Path, profile: Profile
) -> None:
    file = profile([logistic], launches=3)
    code, output = run_suite(tmp_path, file, "-k", "training_speed and round1 and not launch2")
    assert code == 0, output
    folder = latest_run(tmp_path)
    assert folder is not None
    (m,) = [m for m in read_run(folder)[1] if m.throughput]
    assert m.throughput is not None and not m.throughput.evaluation_windows
    assert [(w.launch, w.round) for w in m.throughput.windows] == [(0, 0)] * 2 + [(2, 0)] * 2
    assert [launch.number for launch in m.throughput.launches] == [0, 2]
