"""The plan: which jobs a profile makes, in which order, under which names."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from benchmarks.harness.errors import UserError
from benchmarks.harness.machine import packages
from benchmarks.harness.plan.expand import make_plan
from benchmarks.harness.plan.plan import Choice, Plan
from benchmarks.harness.plan.profile import Profile, load_profile, profile_names
from benchmarks.harness.plan.sections import ThroughputPlan
from benchmarks.harness.run.prepare import check_device
from frameworks.contract import precision
from tests.results.samples import CPU

pytestmark = pytest.mark.smoke

TASKS = ["imdb", "mnli"]
QUESTIONS = ["equivalence", "throughput", "memory", "accuracy"]


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


def test_backends_of_a_comparison_stand_together(profile: Profile) -> None:
    plan = make_plan(Choice(questions=["throughput"]), profile, TASKS, "")
    first = plan.jobs[:3]
    assert len({spec.comparison for spec in first}) == 1
    assert [spec.key.backend for spec in first] == profile.backends


def raced(profile: Profile, **throughput: bool) -> Profile:
    return profile.model_copy(
        update={"throughput": profile.throughput.model_copy(update=throughput)}
    )


def test_controls_stand_in_the_race_of_their_backend(
    profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        packages, "missing_packages", lambda b: None if b == "hf_tf" else "not here"
    )
    choice = Choice(tasks=["imdb"], questions=["throughput", "memory"])
    plan = make_plan(choice, raced(profile, control=True, noise_pair=True), TASKS, "")
    first = [spec for spec in plan.jobs if spec.comparison == plan.jobs[0].comparison]
    assert first == plan.jobs[:7] and plan.jobs[7].key.question == "throughput"
    assert [(spec.key.backend, spec.key.role) for spec in first] == [
        *((b, v) for b in profile.backends for v in ("framework", "control")),
        ("hf_tf", "repeat"),
    ]
    assert first[1].key.id == f"throughput-imdb-{profile.backends[0]}-control-length_16"
    assert [spec.evaluates for spec in first] == [True, False] * 3 + [False]
    assert len({spec.recipe.model_dump_json() for spec in first}) == 1
    others = {spec.key.role for spec in plan.jobs if spec.key.question != "throughput"}
    assert others == {"framework"}


def test_a_study_of_named_changes_races_those_of_one_backend(profile: Profile) -> None:
    named = raced(
        profile.model_copy(
            update={
                "vary": {},
                "changes": {"small": {"batch_size": 8}, "factored": {"optimizer": "adafactor"}},
            }
        ),
        control=True,
    )
    choice = Choice(tasks=["imdb"], backends=["hf_torch", "hf_tf"])
    plan = make_plan(choice, named, TASKS, "")
    speed = [spec for spec in plan.jobs if spec.key.question == "throughput"]
    assert [spec.key.id for spec in speed[:4]] == [
        f"throughput-imdb-hf_torch-{name}"
        for name in ("plain", "control-plain", "small", "factored")
    ]
    assert [len(list(group)) for _, group in itertools.groupby(s.comparison for s in speed)] == [
        4,
        4,
    ]
    shapes = {spec.key.change: spec.recipe for spec in plan.jobs if spec.key.question == "memory"}
    assert [shapes[name].batch_size for name in ("plain", "small", "factored")] == [16, 8, 16]
    twice = [
        spec.key.id
        for spec in plan.jobs
        if spec.key.question == "memory" and spec.key.role == "repeat"
    ]
    assert twice == [f"memory-imdb-{name}-repeat-plain" for name in ("hf_torch", "hf_tf")]
    assert shapes["factored"].optimizer == "adafactor"
    traces = [spec for spec in plan.jobs if spec.key.question == "equivalence"]
    assert traces and not any(spec.key.change for spec in traces)
    with pytest.raises(UserError, match="--recipe batch_size: .* has changes that set it"):
        make_plan(choice.model_copy(update={"recipe": {"batch_size": 4}}), named, TASKS, "")


@pytest.mark.parametrize(
    ("fields", "changes"),
    [
        ({"control": True}, {"framework", "control"}),
        ({"noise_pair": True}, {"framework", "repeat"}),
    ],
)
def test_each_control_can_be_had_alone(
    profile: Profile, fields: dict[str, bool], changes: set[str]
) -> None:
    plan = make_plan(Choice(), raced(profile, **fields), TASKS, "")
    assert {spec.key.role for spec in plan.jobs} == changes


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


def test_a_race_until_it_is_decided_is_a_choice(profile: Profile) -> None:
    choice = Choice(throughput={"until": "decided", "until_minutes": 5})
    speed = make_plan(choice, profile, TASKS, "").throughput
    assert (speed.until, speed.until_minutes, speed.rounds) == ("decided", 5, 2)
    for fields, questions, message in (
        ({"until_minutes": 5}, [], "--until-minutes 5 needs --until decided"),
        (
            {"until": "decided"},
            ["memory"],
            "--until and --until-minutes apply to the question throughput only",
        ),
    ):
        with pytest.raises(UserError, match=message):
            make_plan(Choice(throughput=fields, questions=questions), profile, TASKS, "")


def test_windows_on_a_gpu_have_twenty_steps_at_least(profile: Profile) -> None:
    """Their steps take milliseconds. A race's training is as much longer, nothing else is."""
    plan = make_plan(Choice(profile="mine"), profile, TASKS, "command")
    longer = plan.on_gpu()
    assert (plan.throughput.steps_per_window, longer.throughput.steps_per_window) == (4, 20)
    assert longer.throughput.evaluation_batches == 20
    steps = {spec.key.question: spec.recipe.steps for spec in longer.jobs}
    assert steps["throughput"] == longer.throughput.training_steps
    assert [s for s in longer.jobs if s.key.question != "throughput"] == [
        s for s in plan.jobs if s.key.question != "throughput"
    ]
    assert longer.on_gpu() == longer
    windows = (plan.throughput.window_seconds, longer.throughput.window_seconds)
    assert windows == (None, 0.5)


def test_a_training_window_has_as_many_steps_as_its_seconds_need() -> None:
    plan = ThroughputPlan(steps_per_window=20, window_seconds=0.5, rounds=2, retakes=1)
    assert plan.window_steps(1.0) == 20
    assert 0.5 <= plan.window_steps(0.001) * 0.001 <= 0.7
    assert plan.window_steps(1e-9) == plan.most_window_steps
    assert plan.window_steps(1.0, "evaluation") == plan.evaluation_batches
    assert plan.window_steps(0.001, "evaluation") == plan.window_steps(0.001)
    # A first step, a warm-up window, and whatever may come at its longest.
    assert plan.training_steps > 1 + 20 + 3 * plan.most_window_steps
    without = ThroughputPlan(steps_per_window=4)
    assert without.window_steps(1e-9) == without.most_window_steps == 4
    assert without.window_steps(1e-9, "evaluation") == without.evaluation_batches


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
