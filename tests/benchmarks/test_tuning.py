"""`ftbench tune` end to end on a tiny model, with two levers so that it takes seconds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.harness.profiles import load_profile
from results.store import latest_run
from tests.benchmarks.conftest import finish, ftbench, here, start

Profile = Callable[..., Path]

pytestmark = pytest.mark.once


def test_levers_are_raced_and_the_winner_is_written(tmp_path: Path, profile: Profile) -> None:
    (backend,) = here("hf_torch", "keras_rnn")[:1]
    file = profile([backend], questions=("throughput",))
    code, output, errors = tune("--backend", backend, "--task", "imdb", "--profile", str(file),
                                "--results", str(tmp_path))
    assert code == 0, errors
    folder = latest_run(tmp_path)
    assert folder is not None
    found = json.loads((folder / "tuning.json").read_text())
    noise, tf32, half = found["steps"]
    assert noise["lever"] == "plain, again" and noise["gain"] > 0 and not noise["kept"]
    assert tf32["gain"] is None and "GPU" in tf32["reason"]
    assert half["gain"] > 0 and half["gain_low"] <= half["gain"] <= half["gain_high"]
    floor = max(noise["gain_high"] - 1, 1 - noise["gain_low"])
    assert half["kept"] == (half["gain_low"] > 1 and half["gain"] - 1 > floor)
    assert found["accuracy"] is None or backend == "keras_rnn"  # random weights have none
    load_profile(str(folder / "tuned.toml"))
    assert "How fast can it be made?" in (folder / "report.md").read_text()
    assert str(folder / "tuned.toml") in output


def test_a_stopped_tuning_goes_on(tmp_path: Path, profile: Profile) -> None:
    """As a stop leaves it after its first race, the second one's files half there."""
    (backend,) = here("hf_torch", "keras_rnn")[:1]
    file = profile([backend], questions=("throughput",))
    asked = ("--backend", backend, "--task", "imdb", "--profile", str(file))
    assert tune(*asked, "--results", str(tmp_path))[0] == 0
    folder = latest_run(tmp_path)
    assert folder is not None
    before = json.loads((folder / "tuning.json").read_text())
    (folder / "tuning.json").unlink()
    races = {side: sorted(folder.glob(f"throughput-*-{side}.json")) for side in ("first", "second")}
    races["second"][1].unlink()
    kept = races["first"][0].stat().st_mtime_ns
    resume = ("--resume", folder.name, "--results", str(tmp_path))
    code, output, errors = tune(*resume)
    assert code == 0, errors
    assert races["first"][0].stat().st_mtime_ns == kept and races["second"][1].is_file()
    after = json.loads((folder / "tuning.json").read_text())
    assert after["steps"][0] == before["steps"][0]  # the noise, not raced again
    for words, part in [((*resume, *asked[:2]), "--backend cannot change a run"),
                        (("--resume", "las", "--results", str(tmp_path)), "unknown run 'las'")]:
        code, _, errors = ftbench("tune", *words)
        assert code == 2 and part in errors and len(errors.strip().splitlines()) == 1
    code, _, errors = ftbench("run", *resume)
    assert code == 2 and f"`ftbench tune --resume {folder.name}` goes on" in errors


def tune(*arguments: str) -> tuple[int, str, str]:
    """`ftbench tune` with two levers."""
    return finish(start("-c", f"""
import sys
from benchmarks.harness import cli, tune
every = tune.levers
tune.levers = lambda recipe, device: [
    lever for lever in every(recipe, device)
    if lever.name in ("tf32", "half the batch, accumulated")]
sys.exit(cli.main(["tune", *{arguments!r}]))
"""))


def test_what_it_takes(tmp_path: Path) -> None:
    for arguments, part in [
        (("--task", "imdb"), "one --backend"),
        (("--backend", "hf_torch"), "one --task"),
        (("--backend", "hf_torch", "--task", "imdb", "--question", "memory"), "--question"),
    ]:
        code, _, errors = ftbench("tune", "--results", tmp_path, *arguments)
        assert code == 2 and part in errors and len(errors.strip().splitlines()) == 1
    assert not (tmp_path / "runs").exists()
