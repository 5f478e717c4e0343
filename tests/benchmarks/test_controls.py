"""The bare loop and the second self of a backend take part in its race, and in nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from results.report import as_markdown, table
from results.schema import Measurement
from results.store import latest_run
from tests.benchmarks.conftest import finish, ftbench, here, measured, start

Profile = Callable[..., Path]
TRACK = """
from benchmarks.harness.cli import main
from benchmarks.harness.run.participant import Participant
window = Participant.window
def printed(self):
    if self.phase == "training":
        print("TURN", self.attempt.ready.job.key.id, self.launch, self.round)
    window(self)
Participant.window = printed
main.main({arguments!r})
"""


def check(found: dict[str, Measurement], backends: list[str], launches: int = 1) -> None:
    names = [*backends, *(f"{b}-control" for b in backends), f"{backends[0]}-repeat"]
    assert set(found) == {f"throughput-imdb-{name}" for name in names}
    for name in names:
        m = found[f"throughput-imdb-{name}"]
        assert m.status == "ok" and m.throughput and m.effective, m
        backend, _, role = name.partition("-")
        assert (m.job.backend, m.job.role) == (backend, role or "framework")
        assert [(w.launch, w.round, w.steps, w.examples) for w in m.throughput.windows] == [
            (launch, round_, 2, 8) for launch in range(launches) for round_ in (0, 0, 1, 1)
        ]
        own = found[f"throughput-imdb-{backend}"].throughput
        assert own and [w.tokens for w in m.throughput.windows] == [w.tokens for w in own.windows]
        assert bool(m.throughput.evaluation_windows) == (not role)
    (race,) = {m.throughput and m.throughput.race for m in found.values()}
    assert race
    text = table(list(found.values()))
    assert f"(A/A pair: imdb: {backends[0]} against itself" in text
    lines = text.splitlines()  # neither controls nor repeats have a row
    assert [line.split()[1] for line in lines if line.startswith("imdb ")] == backends
    assert len([line for line in lines if line.startswith("(")]) == 2


@pytest.mark.once
def test_they_take_turns_with_the_backends(tmp_path: Path, logistic: str, profile: Profile) -> None:
    backends = [logistic, f"{logistic}_twin"]
    file = profile(backends, questions=("throughput",), controls=True, launches=2)
    arguments = ["run", "--profile", str(file), "--results", str(tmp_path)]
    code, output, errors = finish(start("-c", TRACK.format(arguments=arguments)))
    assert code == 0, output + errors
    check(measured(tmp_path), backends, launches=2)
    turns = [line.split()[1:] for line in output.splitlines() if line.startswith("TURN")]
    order = [name for b in backends for name in (b, f"{b}-control")] + [f"{backends[0]}-repeat"]
    assert turns == [
        [f"throughput-imdb-{name}", str(launch), str(round_)]
        for launch, round_ in ((0, 0), (0, 1), (1, 0), (1, 1))
        for name in order[:: (-1) ** (launch + round_)]
        for _ in range(2)
    ]
    run = latest_run(tmp_path)
    assert run is not None
    report = as_markdown([run])
    assert "Overhead of the framework's own loop" in report
    assert "The same backend against itself" in report


@pytest.mark.once
def test_pytest_runs_them_too_and_a_resumed_race_is_repeated_as_a_whole(
    tmp_path: Path, logistic: str, profile: Profile
) -> None:
    backends = [logistic]
    file = profile(backends, questions=("throughput",), controls=True)
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
            tmp_path,
            "--strict-markers",
        )
    )
    assert code == 0, output + errors
    before = measured(tmp_path)
    check(before, backends)
    assert f"test_training_speed[imdb-{backends[0]}-control-launch1-round2]" in output
    assert f"test_evaluation_speed[imdb-{backends[0]}-control" not in output
    folder = latest_run(tmp_path)
    assert folder is not None
    (folder / f"throughput-imdb-{backends[0]}-repeat.json").unlink()
    code, output, errors = ftbench("run", "--resume", "last", "--results", tmp_path)
    assert code == 0, output + errors
    assert "[3/3]" in output
    after = measured(tmp_path)
    check(after, backends)
    races = {m.throughput.race for m in (*before.values(), *after.values()) if m.throughput}
    assert len(races) == 2


@pytest.mark.once
def test_a_framework_that_runs_in_another_precision_fails_with_the_reason(
    tmp_path: Path, profile: Profile
) -> None:
    """Autocast, switched on before anything else in every process, overrides the recipe."""
    pytest.importorskip("torch")
    (tmp_path / "sitecustomize.py").write_text(
        "import torch\ntorch.set_autocast_enabled('cpu', True)\n"
    )
    file = profile(here("hf_torch"), questions=("throughput",))
    process = start(
        "-c",
        f"""
import os, sys
os.environ["PYTHONPATH"] = {str(tmp_path)!r}
from benchmarks.harness.cli.main import main
sys.exit(main(["run", "--profile", {str(file)!r}, "--results", {str(tmp_path)!r}]))
""",
    )
    code, _, errors = finish(process)
    assert code == 1, errors
    for m in measured(tmp_path).values():
        assert m.status == "failed" and m.throughput is None and m.memory is None
        assert 'precision = "fp32"' in (m.reason or "") and "'bf16'" in (m.reason or "")
