"""Tuning: what is tried, kept and dropped, and the profile that is written. Races and trainings are
fakes here; `tests/benchmarks/test_tuning.py` runs real ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.harness.plan.plan import Plan
from benchmarks.harness.plan.profile import load_profile
from benchmarks.harness.tune.profile import profile_text
from benchmarks.harness.tune.tuner import NoWinner, plan_for
from results.report.sections.tuning import sentence
from tests.harness.tune.fake_run import FakeRun, rate, tuned

pytestmark = pytest.mark.usefixtures("two_levers")


def test_what_gains_and_holds_wins(tmp_path: Path, plan: Plan) -> None:
    run = FakeRun(tmp_path, plan, rate)
    found = tuned(run)
    assert found.levers == ["bf16", "buckets"] and found.dropped == []
    assert found.tuned_fields == {"precision": "bf16", "padding": "buckets"}
    assert found.gain == pytest.approx(3, rel=0.05) and found.gain_low and found.gain_low > 2.5
    assert found.accuracy and found.accuracy.verdict == "holds"
    assert found.accuracy.seeds == [42, 43, 44] and found.levers_tried == 2
    text = sentence(found)
    assert text.startswith("With bf16 and buckets, training is 3.")
    assert "the plain recipe (fp32, padded to 32, batch 8)" in text
    assert "the accuracy holds to within 1 point: 90.0% against 90.0% on 1,000 examples" in text
    again = FakeRun(tmp_path, plan, rate, kept=run.kept)  # as --resume does
    assert tuned(again) == found and again.ran == []


@pytest.mark.parametrize("last", [9.8, "it was killed"])
def test_a_whole_that_gains_nothing_leaves_its_best_lever(
    tmp_path: Path, plan: Plan, last: float | str
) -> None:
    found = tuned(
        FakeRun(
            tmp_path,
            plan,
            lambda spec, round_: (
                last
                if "_all-" in spec.key.id
                and spec.recipe.precision == "bf16"
                and spec.recipe.padding == "buckets"
                else rate(spec, round_)
            ),
        )
    )
    assert found.levers == ["bf16"] and found.tuned_fields == {"precision": "bf16"}
    assert found.gain == pytest.approx(2, rel=0.05)
    (dropped,) = found.dropped
    assert dropped.levers == "buckets" and "bf16 + buckets against plain" in dropped.reason
    assert ("killed: it was killed" if last == "it was killed" else "0.98x") in dropped.reason


def test_gains_that_are_not_seen_again_leave_the_plain_recipe(tmp_path: Path, plan: Plan) -> None:
    run = FakeRun(
        tmp_path,
        plan,
        lambda spec, round_: (
            rate(spec, round_) if "_all-" not in spec.key.id else 10 + round_ % 3 / 100
        ),
    )
    found = tuned(run)
    assert (found.levers, found.tuned_fields, found.gain) == ([], {}, None)
    assert found.accuracy is None and [one.levers for one in found.dropped] == ["buckets", "bf16"]
    assert sentence(found).startswith("No gain was confirmed: the plain recipe (fp32")
    assert not any(name.startswith("accuracy") for name in run.ran)


def test_no_lever_gains(tmp_path: Path, plan: Plan) -> None:
    run = FakeRun(
        tmp_path,
        plan,
        lambda spec, round_: 8 if spec.recipe.precision == "bf16" else 10 + round_ % 2,
    )
    found = tuned(run)
    assert found.levers == [] and found.dropped == []
    assert sentence(found).startswith("No lever made the plain recipe (fp32, padded to 32")
    (bf16,) = (step for step in found.steps if step.lever == "bf16")
    assert bf16.reason == "slower, ended after 1 of 6 launches"
    assert not bf16.kept and bf16.gain_low is None
    throughput = run.kept["throughput-imdb-hf_torch-03_bf16-second"].throughput
    assert throughput and len(throughput.windows) == 3 * 2


def test_where_the_plain_recipe_fails_there_is_no_winner(tmp_path: Path, plan: Plan) -> None:
    with pytest.raises(NoWinner, match="against itself gave no interval.*killed: out of"):
        tuned(
            FakeRun(
                tmp_path,
                plan,
                lambda spec, round_: (
                    "out of memory" if spec.key.id.endswith("again-second") else rate(spec, round_)
                ),
            )
        )


def test_the_race_against_itself_is_run_to_its_end_and_vetoes_nothing(
    tmp_path: Path, plan: Plan
) -> None:
    run = FakeRun(
        tmp_path,
        plan,
        lambda spec, round_: (
            rate(spec, round_) * (0.4 if spec.key.id.endswith("again-second") else 1)
        ),
    )
    found = tuned(run)
    noise = found.steps[0]
    assert noise.gain_low and noise.gain_high and noise.reason is None and not noise.kept
    assert found.steps[1].kept and found.levers == ["bf16", "buckets"]


def test_a_race_is_repeated_unless_it_was_of_exactly_this_work(tmp_path: Path, plan: Plan) -> None:
    """A name alone says little: after a stop another way may lead to it."""
    run = FakeRun(tmp_path, plan, rate)
    tuned(run)
    name = "throughput-imdb-hf_torch-04_with_buckets-second"
    first = name.replace("second", "first")
    timed = run.kept[name].throughput
    assert timed
    for changed in (
        {"recipe": run.kept[name].recipe | {"padding": "longest"}},
        {"environment": {}},
        {"payload": timed.model_copy(update={"race": "another"})},
        {"status": "failed"},
    ):
        kept = run.kept | {name: run.kept[name].model_copy(update=changed)}
        again = FakeRun(tmp_path, plan, rate, kept=kept)
        tuned(again)
        assert again.ran == [first, name]


def test_races_and_accuracies_have_enough_for_an_interval(plan: Plan) -> None:
    said: list[str] = []
    one = plan.throughput.model_copy(update={"launches": 1})
    few = plan_for(plan.model_copy(update={"throughput": one, "jobs": plan.jobs[:1]}), said.append)
    assert few.throughput.launches == 6 and "instead of the profile's 1" in said[0]
    assert [job.key.id[-2:] for job in few.jobs] == ["42", "43", "44"] and "3 seeds" in said[1]
    assert [job.recipe.seed for job in few.jobs] == few.accuracy.seeds == [42, 43, 44]
    assert plan_for(plan, said.append) == plan and plan.tunes and len(said) == 2


def test_the_winner_is_a_profile_that_loads(tmp_path: Path, plan: Plan) -> None:
    plan = plan.model_copy(update={"command": "ftbench tune\n[recipe]", "data": 'dir:a "q" é'})
    file = tmp_path / "tuned.toml"
    file.write_text(profile_text(tuned(FakeRun(tmp_path, plan, rate)), plan))
    profile = load_profile(str(file))
    assert (profile.data, profile.checkpoint) == ('dir:a "q" é', "random:tiny-bert")
    assert (profile.job_seconds, profile.tasks["imdb"].train_examples) == (7000, 10)
    recipe = profile.recipe_for("hf_torch", "imdb")
    assert (recipe.precision, recipe.padding, recipe.batch_size) == ("bf16", "buckets", 8)
    assert (recipe.steps, recipe.evaluation_interval, recipe.keep_best) == (200, 50, "accuracy")
    assert profile.environment == {"hf_torch": {"MALLOC_CHECK_": 'a "quoted" word'}}
    assert "# bf16 against plain: 2.0" in file.read_text() and "(kept)" in file.read_text()
