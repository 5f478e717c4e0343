"""Which ftbench took a figure."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from benchmarks.harness.machine import packages

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(shutil.which("git") is None, reason="there is no git here"),
]


def test_a_checkout_names_its_commit_and_whether_files_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words],
            cwd=tmp_path,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    module = tmp_path / "benchmarks" / "harness" / "machine" / "packages.py"
    module.parent.mkdir(parents=True)
    module.write_text("")
    monkeypatch.setattr(packages, "__file__", str(module))
    alone = packages.own_version()
    assert " at " not in alone
    git("init", "-q")
    assert packages.own_version() == alone  # nothing is committed yet
    git("add", ".")
    git("commit", "-qm", "first")
    git("tag", "v1")
    commit = git("rev-parse", "HEAD")[:12]
    assert packages.own_version() == f"{alone} at {commit}"
    module.write_text("x = 1")
    assert packages.own_version() == f"{alone} at {commit}+changes"
