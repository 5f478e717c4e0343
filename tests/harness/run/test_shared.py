"""Which environments of one call of tox come after the current one."""

from __future__ import annotations

import pytest

from benchmarks.harness.run.environments import later_environments

SHARING = ["torch", "tf"]


@pytest.mark.parametrize(
    ("arguments", "current", "later"),
    [
        (["-e", "torch,tf"], "torch", ["tf"]),
        (["run", "-e", "torch,tf", "--", "--task", "imdb"], "torch", ["tf"]),
        (["-etorch,tf"], "torch", ["tf"]),
        (["-e=tf,torch"], "tf", ["torch"]),
        (["-e", "torch,tf"], "tf", []),
        (["-e", "torch,lint"], "torch", []),
        (["-e", "torch"], "torch", []),
        (["-e", "lint,tests"], "torch", []),
        (["-m", "all"], "torch", []),
        ([], "torch", []),
        (["-e"], "torch", []),
    ],
)
def test_the_environments_that_come_later(
    arguments: list[str], current: str, later: list[str]
) -> None:
    assert later_environments(["python", "/usr/bin/tox", *arguments], current, SHARING) == later
