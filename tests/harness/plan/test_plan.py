"""The plan: which jobs a profile makes, in which order, under which names."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.harness.errors import UserError
from benchmarks.harness.plan.expand import make_plan
from benchmarks.harness.plan.plan import Choice, Plan
from benchmarks.harness.plan.profile import Profile, load_profile, profile_names
from benchmarks.harness.run.prepare import check_device
from frameworks.contract import precision
from tests.results.samples import CPU

pytestmark = pytest.mark.smoke

TASKS = ["imdb", "mnli"]
QUESTIONS = ["equivalence", "throughput", "memory", "accuracy"]


def test_one_job_per_backend_task_question_and_shape(profile: Profile) -> None:
    plan = make_plan(Choice(), profile, TASKS, "ftbench run")
    ids = [spec.key.id for spec in plan.jobs]
    traces = 2 * 2 * 2  # of the two backends that train one architecture, accumulation 1 and 2
    assert len(ids) == len(set(ids)) == traces + 3 * 2 * (2 + 2 + 2)
    assert "equivalence-mnli-hf_tf-accumulation_2" in ids
    assert "throughput-mnli-hf_tf-length_16" in ids
    assert "accuracy-imdb-keras_rnn-seed_2" in ids
    questions = [spec.key.question for spec in plan.jobs]
    assert questions == sorted(questions, key=QUESTIONS.index)


def test_a_reduced_precision_is_traced_once_and_named(profile: Profile) -> None:
    traced = profile.equivalence.model_copy(update={"precisions": ["fp32", "bf16"]})
    profile = profile.model_copy(update={"equivalence": traced})
    choice = Choice(tasks=["imdb"], questions=["equivalence"], recipe={"precision": "tf32"})
    for chosen in (choice, choice.model_copy(update={"recipe": {}})):
        jobs = {spec.key.id: spec.recipe for spec in make_plan(chosen, profile, TASKS, "").jobs}
        assert list(jobs) == [
            f"equivalence-imdb-{backend}-{label}"
            for label in ("accumulation_1", "accumulation_2", "accumulation_1-precision_bf16")
            for backend in ("hf_torch", "hf_tf")
        ]
        plain, reduced = (
            jobs[f"equivalence-imdb-hf_tf-accumulation_1{label}"]
            for label in ("", "-precision_bf16")
        )
        assert (plain.precision, reduced.precision) == ("fp32", "bf16")
        assert reduced.model_copy(update={"precision": "fp32"}) == plain


def test_a_trace_that_the_device_cannot_take_ends_no_run(
    profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "processor_flags", lambda: frozenset())
    traced = profile.equivalence.model_copy(update={"precisions": ["fp32", "bf16"]})
    profile = profile.model_copy(update={"equivalence": traced})
    check_device(make_plan(Choice(), profile, TASKS, "").jobs, CPU)
    with pytest.raises(UserError, match="precision 'bf16'"):
        check_device(make_plan(Choice(recipe={"precision": "bf16"}), profile, TASKS, "").jobs, CPU)


def test_what_a_question_fixes_in_the_recipe(profile: Profile) -> None:
    jobs = {spec.key.id: spec.recipe for spec in make_plan(Choice(), profile, TASKS, "").jobs}
    speed = jobs["throughput-imdb-hf_torch-length_16"]
    assert speed.steps == 1 + 4 * (2 + (2 + 1) * 3)
    assert (speed.evaluation_interval, speed.keep_best) == (0, None)
    trace = jobs["equivalence-imdb-hf_torch-accumulation_2"]
    assert (trace.accumulation, trace.dropout, trace.precision) == (2, 0.0, "fp32")
    assert (trace.steps, trace.length, trace.keep_best) == (100, 32, None)
    assert (trace.weight_decay, trace.epsilon) == (1.0, 1e-6)
    memory = jobs["memory-imdb-hf_torch-length_16"]
    assert (memory.padding, memory.steps) == ("max", profile.memory.steps + 1)
    accuracy = jobs["accuracy-imdb-hf_torch-seed_1"]
    assert (accuracy.seed, accuracy.steps, accuracy.keep_best) == (1, None, "loss")


def test_a_trace_lowers_only_a_large_rate_of_adamw(profile: Profile) -> None:
    traced = {}
    for optimizer, rate in (("adamw", 2e-4), ("adamw", 3e-5), ("adafactor", 2e-4)):
        choice = Choice(
            questions=["equivalence"], recipe={"learning_rate": rate, "optimizer": optimizer}
        )
        plan = make_plan(choice, profile, TASKS, "")
        trace = next(s for s in plan.jobs if s.key.question == "equivalence")
        traced[optimizer, rate] = trace.recipe.learning_rate
    assert list(traced.values()) == [3e-5, 3e-5, 2e-4]


def test_an_optimizer_without_an_epsilon_is_traced_without_one(profile: Profile) -> None:
    choice = Choice(questions=["equivalence"], recipe={"optimizer": "adafactor"})
    plan = make_plan(choice, profile, TASKS, "")
    assert Plan.model_validate_json(plan.model_dump_json()) == plan


@pytest.mark.parametrize("name", profile_names())
def test_a_profile_certifies_every_precision_that_it_compares(name: str) -> None:
    profile = load_profile(name)
    if "equivalence" not in profile.questions:
        pytest.skip("it certifies nothing")
    compared = set(profile.vary.get("precision", [])) | {profile.recipe.get("precision", "fp32")}
    assert compared <= set(profile.equivalence.precisions)


def test_the_command_line_wins_and_leaves_no_shape_twice(profile: Profile) -> None:
    choice = Choice(
        recipe={"batch_size": 3}, backends=["hf_tf"], tasks=["mnli"], questions=["memory"]
    )
    plan = make_plan(choice, profile, TASKS, "")
    assert [spec.key.id for spec in plan.jobs] == [
        "memory-mnli-hf_tf-length_16",
        "memory-mnli-hf_tf-length_32",
    ]
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
def test_unknown_choices_are_reported(profile: Profile, choice: Choice, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_plan(choice, profile, [*TASKS, "other"], "")


def test_a_plan_survives_its_file(profile: Profile) -> None:
    plan = make_plan(Choice(), profile, TASKS, "ftbench run --profile mine.toml")
    assert Plan.model_validate_json(plan.model_dump_json()) == plan


def test_what_is_asked_twice_is_done_once(profile: Profile) -> None:
    choice = Choice(
        backends=["hf_tf", "hf_tf"],
        tasks=["imdb", "imdb"],
        questions=["memory", "batch_limit"],
        batch_limit={"phases": ["training", "training"]},
    )
    ids = [spec.key.id for spec in make_plan(choice, profile, TASKS, "").jobs]
    assert ids and len(ids) == len(set(ids))


@pytest.mark.parametrize("command", ["ftbench tune --task imdb", "ftbench run"])
def test_an_old_plan_tells_a_tuning_by_its_command(profile: Profile, command: str) -> None:
    new = make_plan(Choice(), profile, TASKS, command)
    old = new.model_dump(mode="json", exclude={"tunes"})
    assert not new.tunes and Plan.model_validate(old).tunes == ("tune" in command)


def test_a_target_needs_evaluations_during_the_training(profile: Profile) -> None:
    task = profile.tasks["imdb"].model_copy(update={"target_accuracy": 0.88})
    aimed = profile.model_copy(update={"tasks": {"imdb": task}})
    assert make_plan(Choice(), aimed, TASKS, "x").target_accuracies == {"imdb": 0.88}
    blind = aimed.model_copy(update={"recipe": {}})
    with pytest.raises(
        UserError, match=r"target_accuracy = 0\.88 needs evaluations .* evaluation_int"
    ):
        make_plan(Choice(), blind, TASKS, "x")


@pytest.mark.parametrize(
    ("seeds", "words"), [([1], "1 seed "), ([1, 2], "2 seeds "), ([*range(6)], "")]
)
def test_too_few_seeds_are_named_before_anything_is_trained(
    profile: Profile, seeds: list[int], words: str
) -> None:
    few = profile.model_copy(
        update={"accuracy": profile.accuracy.model_copy(update={"seeds": seeds})}
    )
    note = make_plan(Choice(), few, TASKS, "x").seed_note()
    assert words in note if note else not words
    assert make_plan(Choice(backends=["hf_tf"]), few, TASKS, "x").seed_note() is None


def test_accuracy_is_measured_with_every_change_and_seed(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text("""
description = "a test"
backends = ["hf_torch"]
questions = ["accuracy"]
[tasks.imdb]
train_examples = 100
[changes.fast]
learning_rate = 1e-3
[changes.quarter]
data = { train_share = 0.25 }
[accuracy]
seeds = [1, 2]
""")
    plan = make_plan(Choice(), load_profile(str(file)), TASKS, "ftbench run")
    jobs = {spec.key.id: spec for spec in plan.jobs}
    assert list(jobs) == [
        f"accuracy-imdb-hf_torch-{change}-seed_{seed}"
        for change in ("plain", "fast", "quarter")
        for seed in (1, 2)
    ]
    fast, quarter = (jobs[f"accuracy-imdb-hf_torch-{name}-seed_2"] for name in ("fast", "quarter"))
    assert (fast.recipe.learning_rate, fast.recipe.seed, fast.data) == (1e-3, 2, None)
    assert quarter.data is not None
    assert (quarter.data.train_examples, quarter.data.train_share) == (100, 0.25)
    one = make_plan(Choice(recipe={"seed": 7}), load_profile(str(file)), TASKS, "ftbench run")
    assert {spec.recipe.seed for spec in one.jobs} == {7}
    old = plan.model_dump(mode="json")
    del old["examples"]
    assert Plan.model_validate(old | {"sizes": {"imdb": [100, None]}}).examples == plan.examples
