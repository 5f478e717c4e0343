"""A small profile."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.harness.plan.profile import Profile, load_profile


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    file = tmp_path / "mine.toml"
    file.write_text("""
description = "a test"
[recipe]
length = 32
padding = "longest"
evaluation_interval = 5
keep_best = "loss"
[tasks.imdb]
train_examples = 10
[tasks.mnli]
[vary]
length = [16, 32]
[throughput]
rounds = 2
retakes = 1
windows = 3
steps_per_window = 4
warmup_windows = 2
control = false
noise_pair = false
[accuracy]
seeds = [1, 2]
""")
    return load_profile(str(file))
