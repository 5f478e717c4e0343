"""The command that weighs ftbench against a user's own scripts runs, and gives a ratio."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.benchmarks.conftest import finish, here, start


@pytest.mark.parametrize("backend", [pytest.param("hf_torch", marks=pytest.mark.once), "hf_tf"])
def test_script_and_job_are_paired(
    backend: str, tmp_path: Path, profile: Callable[..., Path]
) -> None:
    file = profile(here(backend), questions=("throughput",))
    code, output, errors = finish(
        start(
            "-m",
            "benchmarks.studies.overhead",
            "--profile",
            file,
            "--backend",
            backend,
            "--pairs",
            "1",
        )
    )
    assert code == 0, output + errors
    assert output.count(f"throughput-imdb-{backend}: pair ") == 1
    words = "fewer than 3 pairs: no interval"
    (ratio,) = re.findall(rf"ftbench / script = (\S+) \({words}\), 1 pairs", output)
    assert math.isfinite(float(ratio)) and float(ratio) > 0


@pytest.mark.once
def test_what_the_scripts_do_not_do_is_refused(profile: Callable[..., Path]) -> None:
    code, _, errors = finish(
        start(
            "-m",
            "benchmarks.studies.overhead",
            "--profile",
            profile(here("hf_torch")),
            "--recipe",
            "precision=bf16",
        )
    )
    assert code == 2 and errors.strip() == (
        "overhead: --recipe precision: the scripts to compare with have 'fp32': leave it out"
    )
