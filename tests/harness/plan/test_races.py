"""Races in a plan: who takes part, and how long their windows are."""

from __future__ import annotations

import itertools

import pytest

from benchmarks.harness.errors import UserError
from benchmarks.harness.machine import packages
from benchmarks.harness.plan.expand import make_plan
from benchmarks.harness.plan.plan import Choice
from benchmarks.harness.plan.profile import Profile
from benchmarks.harness.plan.sections import ThroughputPlan

pytestmark = pytest.mark.smoke

TASKS = ["imdb", "mnli"]


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
