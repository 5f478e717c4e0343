"""A plan to tune, and two levers to tune it with."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.harness.plan.expand import make_plan
from benchmarks.harness.plan.plan import Choice, Plan
from benchmarks.harness.plan.profile import load_profile
from benchmarks.harness.tune import tuner
from benchmarks.harness.tune.tuner import plan_for
from tests.harness.tune.test_judge import BF16, BUCKETS

PROFILE = """
description = "a test"
checkpoint = "random:tiny-bert"
job_seconds = 7000
[recipe]
length = 32
steps = 200
evaluation_interval = 50
keep_best = "accuracy"
[tasks.imdb]
train_examples = 10
recipe = { batch_size = 8 }
[environment.hf_torch]
MALLOC_CHECK_ = "a \\"quoted\\" word"
[throughput]
launches = 6
rounds = 3
windows = 2
[accuracy]
seeds = [42, 43, 44]
"""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    file = tmp_path / "mine.toml"
    file.write_text(PROFILE)
    choice = Choice(profile=str(file), backends=["hf_torch"], questions=["accuracy"])
    return plan_for(make_plan(choice, load_profile(str(file)), ["imdb"], "ftbench tune"), print)


@pytest.fixture
def two_levers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuner, "levers", lambda *_: [BUCKETS, BF16])
