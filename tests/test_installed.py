"""An installation works beside a project's own `benchmarks`, `frameworks` and `results`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import ftbench
from tests.benchmarks.conftest import ROOT

pytestmark = pytest.mark.once
HOSTILE = "raise SystemExit('a module of the project was imported')"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of installed packages, with ftbench's as `pip install` arranges them."""
    package = tmp_path / "site" / "ftbench"
    package.mkdir(parents=True)
    for file in (ROOT / "ftbench").glob("*.py"):
        (package / file.name).symlink_to(file)
    for name in ftbench.PACKAGES:
        (package / name).symlink_to(ROOT / name)
    return package.parent


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with modules of these names in all forms; the first is a namespace package."""
    folder = tmp_path / "project"
    (folder / "benchmarks").mkdir(parents=True)
    (folder / "benchmarks" / "harness.py").write_text(HOSTILE)
    (folder / "frameworks").mkdir()
    (folder / "frameworks" / "__init__.py").write_text(HOSTILE)
    (folder / "results.py").write_text(HOSTILE)
    return folder


def python(
    site: Path, project: Path, arguments: Sequence[str], **variables: str
) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(project), str(site)])
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=project,
        env={**os.environ, "PYTHONPATH": path, **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_project_with_the_same_names_hides_nothing(site: Path, project: Path) -> None:
    done = python(site, project, ["-m", "ftbench", "run", "--profile", "quik"])
    assert done.returncode == 2 and "unknown profile 'quik': did you mean quick" in done.stderr


@pytest.mark.parametrize("safe_path", ["", "1"])
def test_workers_are_started_from_the_package(site: Path, project: Path, safe_path: str) -> None:
    command = [str(site / "ftbench" / "start.py"), "benchmarks.harness.worker", "nowhere.json"]
    done = python(site, project, command, PYTHONSAFEPATH=safe_path)
    assert "nowhere.json" in done.stderr and "a module of the project" not in done.stderr


def test_the_projects_own_modules_are_not_hidden(site: Path, project: Path) -> None:
    done = python(site, project, ["-c", "import benchmarks.harness"])
    assert "a module of the project was imported" in done.stderr


def test_a_module_that_was_imported_before_is_named(site: Path, project: Path) -> None:
    code = "import sys, types; sys.modules['results'] = types.ModuleType('results'); "
    done = python(site, project, ["-c", code + "import ftbench; sys.exit(ftbench.main())"])
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2 and "another module named 'results' was imported before" in line


FEW = ("--profile", "quick", "--backend", "hf_torch", "--task", "imdb", "-k", "launch1-round1")
TRAINING = "ftbench/benchmarks/test_throughput.py::test_training_speed"


@pytest.mark.parametrize(
    ("arguments", "evaluates"),
    [
        (["-p", "ftbench.suite", *FEW], True),
        (["{site}/" + TRAINING, *FEW], False),  # the folder, a file of it or a test
        (["--pyargs", "ftbench.benchmarks"], True),  # without options: they would not be known
    ],
)
def test_pytest_finds_the_benchmarks_in_any_project(
    site: Path, project: Path, arguments: list[str], evaluates: bool
) -> None:
    (project / "pytest.ini").write_text("[pytest]\ntestpaths = tests\n")
    command = [word.format(site=site) for word in arguments]
    done = python(site, project, ["-m", "pytest", *command, "--collect-only", "-q"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_training_speed[imdb-hf_torch-launch1-round1]" in done.stdout
    assert ("test_evaluation_speed" in done.stdout) == evaluates
