"""The plan: which jobs a profile makes, in which order, under which names."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.harness.errors import UserError
from benchmarks.harness.plan import Choice, Plan, make_plan
from benchmarks.harness.profiles import Profile, load_profile

TASKS = ["imdb", "mnli"]


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
windows = 3
steps_per_window = 4
warmup_windows = 2
[accuracy]
seeds = [1, 2]
""")
    return load_profile(str(file))


def test_one_job_per_backend_task_question_and_shape(profile: Profile) -> None:
    plan = make_plan(Choice(), profile, TASKS, "ftbench run")
    ids = [spec.key.id for spec in plan.jobs]
    assert len(ids) == len(set(ids)) == 3 * 2 * (2 + 2 + 2)
    assert "throughput-mnli-hf_tf-length_16" in ids
    assert "accuracy-imdb-keras_rnn-seed_2" in ids
    questions = [spec.key.question for spec in plan.jobs]
    assert questions == sorted(questions, key=["throughput", "memory", "accuracy"].index)


def test_backends_of_a_comparison_stand_together(profile: Profile) -> None:
    plan = make_plan(Choice(), profile, TASKS, "")
    first = plan.jobs[:3]
    assert len({spec.comparison for spec in first}) == 1
    assert [spec.key.backend for spec in first] == profile.backends


def test_what_a_question_fixes_in_the_recipe(profile: Profile) -> None:
    jobs = {spec.key.id: spec.recipe for spec in make_plan(Choice(), profile, TASKS, "").jobs}
    speed = jobs["throughput-imdb-hf_torch-length_16"]
    assert speed.steps == 1 + 4 * (2 + 2 * 3)
    assert (speed.evaluation_interval, speed.keep_best) == (0, None)
    memory = jobs["memory-imdb-hf_torch-length_16"]
    assert (memory.padding, memory.steps) == ("max", profile.memory.steps)
    accuracy = jobs["accuracy-imdb-hf_torch-seed_1"]
    assert (accuracy.seed, accuracy.steps, accuracy.keep_best) == (1, None, "loss")


def test_the_command_line_wins_and_leaves_no_shape_twice(profile: Profile) -> None:
    choice = Choice(recipe={"batch_size": 3}, backends=["hf_tf"], tasks=["mnli"],
                    questions=["memory"])
    plan = make_plan(choice, profile, TASKS, "")
    assert [spec.key.id for spec in plan.jobs] == ["memory-mnli-hf_tf-length_16",
                                                   "memory-mnli-hf_tf-length_32"]
    assert all(spec.recipe.batch_size == 3 for spec in plan.jobs)
    fixed = make_plan(choice.model_copy(update={"recipe": {"length": 24}}), profile, TASKS, "")
    assert [spec.key.id for spec in fixed.jobs] == ["memory-mnli-hf_tf"]


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (Choice(backends=["hf_trch"]), "unknown backend 'hf_trch': did you mean hf_torch"),
        (Choice(tasks=["imbd"]), "unknown task 'imbd': did you mean imdb"),
        (Choice(tasks=["other"]), "profile 'quick' has no task 'other'"),
    ],
)
def test_unknown_choices_are_told(profile: Profile, choice: Choice, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_plan(choice, profile, [*TASKS, "other"], "")


def test_a_plan_survives_its_file(profile: Profile) -> None:
    plan = make_plan(Choice(), profile, TASKS, "ftbench run --profile mine.toml")
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
