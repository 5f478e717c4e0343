"""Names that become file names are checked or shortened before anything is measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.harness.errors import UserError
from benchmarks.harness.plan.expand import make_plan
from benchmarks.harness.plan.plan import Choice, Plan
from benchmarks.harness.plan.profile import load_profile
from benchmarks.harness.run.folder import LONGEST_JOB, RunFolder, file_name_part

PROFILE = """
description = "a test"
backends = ["hf_torch"]
questions = ["memory"]
checkpoint = "random:tiny-bert"
data = "embedded"
[tasks.imdb]
[changes.{change}]
padding = "longest"
"""
PlanOf = Callable[..., Plan]


@pytest.fixture
def plan_of(tmp_path: Path) -> PlanOf:
    def make(profile: str = "mine", change: str = "longest") -> Plan:
        file = tmp_path / f"{profile}.toml"
        file.write_text(PROFILE.format(change=change))
        choice = Choice(profile=str(file))
        return make_plan(choice, load_profile(str(file)), ["imdb"], "")

    return make


@pytest.mark.parametrize(
    "profile", ["n" * 200, "two words", "ünïcödé", ".hidden", "line\nbreak", "-", "a'b\"c$(d)"]
)
def test_a_run_folder_has_a_short_and_safe_name(
    plan_of: PlanOf, profile: str, tmp_path: Path
) -> None:
    folder = RunFolder.new(tmp_path, plan_of(profile))
    folder.create()
    name = folder.path.name
    assert folder.path.is_dir() and len(name) <= 80
    assert name.isascii() and name.isprintable() and not set(name) & set(" '\"$()/")


@pytest.mark.parametrize("text", ["", "...", "---", "日本語"])
def test_a_name_without_any_usable_character_gets_one(text: str) -> None:
    assert file_name_part(text) == "profile"


def test_a_job_name_that_is_too_long_for_a_file_ends_before_anything_is_made(
    plan_of: PlanOf, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="at most 150 are possible: shorten the name of task"):
        RunFolder.new(tmp_path, plan_of(change="c" * LONGEST_JOB))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("other", ["memory-imdb-hf_torch-plain", "MEMORY-imdb-hf_torch-plain"])
def test_two_jobs_never_share_a_name(plan_of: PlanOf, tmp_path: Path, other: str) -> None:
    plan = plan_of()
    (spec, *_) = plan.jobs
    twins = [
        spec.model_copy(update={"key": spec.key.model_copy(update={"id": name})})
        for name in ("memory-imdb-hf_torch-plain", other)
    ]
    with pytest.raises(UserError, match="two jobs have the name .*list every value once"):
        RunFolder.new(tmp_path, plan.model_copy(update={"jobs": twins}))


@pytest.mark.parametrize("task", ["a/b", "two words", "ta\nsk", "täsk"])
def test_an_unsafe_job_name_is_refused(plan_of: PlanOf, tmp_path: Path, task: str) -> None:
    plan = plan_of()
    (spec, *_) = plan.jobs
    key = spec.key.model_copy(update={"id": f"memory-{task}-hf_torch"})
    unsafe = plan.model_copy(update={"jobs": [spec.model_copy(update={"key": key})]})
    with pytest.raises(UserError, match="cannot be a file name"):
        RunFolder.new(tmp_path, unsafe)
