"""What changes do to the accuracy, on made-up trainings."""

from __future__ import annotations

import numpy as np
import pytest

from results import store
from results.analysis.accuracy.studies import (
    accuracy_studies,
    evaluation_losses,
    jitter,
    norm_thirds,
    split_jitter,
)
from results.analysis.groups import Entry
from results.report import as_markdown, write_site
from results.report.sections.studies import failed
from results.schema import (
    Accuracy,
    Checkpoint,
    CurvePoint,
    EvaluationPoint,
    JobKey,
    Measurement,
    Score,
)
from results.schema.job import SetSummary
from tests.results import samples
from tests.results.report.test_equivalence import certificate

pytestmark = pytest.mark.smoke


def trained(
    change: str, seed: int, value: float, backend: str = "hf_torch", **fields
) -> Measurement:
    key = JobKey(
        id=f"accuracy-imdb-{backend}-{change}-seed_{seed}",
        backend=backend,
        task="imdb",
        question="accuracy",
        change=change,
    )
    fields.setdefault("accuracy", samples.accuracy("imdb", value, 1.0, seed))
    return samples.measurement(backend, "imdb", "accuracy", job=key, **fields)


def with_losses(losses: dict[int, float], seed: int = 1) -> Accuracy:
    def scores(loss: float) -> dict[str, Score]:
        return {"test": Score(examples=2500, accuracy=0.9, macro_f1=0.9, loss=loss)}

    points = [
        EvaluationPoint(step=step, training_seconds=step, scores=scores(loss))
        for step, loss in losses.items()
    ]
    made = samples.accuracy("imdb", 0.9, 1.0, seed)
    return made.model_copy(update={"evaluations": points})


def test_a_change_is_compared_seed_by_seed():
    entries = [
        Entry("a", trained(change, seed, value + seed / 100))
        for change, value in (("plain", 0.9), ("lr", 0.8))
        for seed in (1, 2, 3)
    ]
    (study,) = accuracy_studies(entries)
    assert [c.change for c in study.changes] == ["plain", "lr"]
    found = study.difference(study.changes[1], "test")
    assert found is not None and found.value == pytest.approx(-0.1)
    of_sets = (0.92 * 0.08 + 0.82 * 0.18) / 2500  # the seeds agree, the examples are 2,500
    assert found.interval is not None
    assert found.interval.width == pytest.approx(2 * 1.96 * of_sets**0.5, rel=1e-3)


def test_seeds_that_only_one_side_has_are_left_out():
    entries = [Entry("a", trained("plain", s, 0.9)) for s in (1, 2)]
    entries += [Entry("a", trained("lr", s, 0.8)) for s in (2, 3)]
    (study,) = accuracy_studies(entries)
    found = study.difference(study.changes[1], "test")
    assert found is not None and found.interval is None
    assert accuracy_studies(entries[:2]) == []


def test_gradient_norms_by_third():
    norms = [1.0, 3.0, 5.0, 5.0, 2.0, 8.0]
    curve = [CurvePoint(i + 1, 0.5, norm, 1e-5) for i, norm in enumerate(norms)]
    made = samples.accuracy("imdb", 0.9, 1.0).model_copy(update={"curve": curve, "steps": 6})
    thirds = norm_thirds([made])
    assert thirds is not None
    assert [(t.mean, t.maximum, t.variance) for t in thirds] == [(2, 3, 2), (5, 5, 0), (5, 8, 18)]
    without = [CurvePoint(1, 0.5, None, 1e-5), *curve[1:]]
    assert norm_thirds([made.model_copy(update={"curve": without})]) is None


def test_the_jitter_of_noise_is_its_standard_deviation_and_that_of_a_line_is_0():
    noise = np.random.default_rng(1).normal(0, 0.03, 4000)
    assert jitter(list(noise + np.linspace(1, 0, 4000))) == pytest.approx(0.03, rel=0.05)
    assert jitter([4.0, 3.0, 2.0, 1.0]) == pytest.approx(0)
    assert jitter([1.0, 2.0, 1.0]) is None
    assert jitter([1.0, 2.0, float("nan"), 1.0]) is None


def test_a_rare_schedule_is_a_part_of_the_frequent_one():
    made = with_losses({step: step / 100 for step in (20, 40, 60, 80, 95)})
    assert evaluation_losses(made, "test", 20) == [0.2, 0.4, 0.6, 0.8]
    assert evaluation_losses(made, "test", 40) == [0.4, 0.8]


def test_the_factors_of_batch_and_looks_multiply_to_the_total():
    split = split_jitter(small_often=2.0, small_rare=6.0, large_often=1.0, large_rare=3.0)
    assert split is not None
    assert (split.total, split.batch, split.looks) == pytest.approx((6, 2, 3))
    uneven = split_jitter(2.0, 8.0, 1.0, 1.0)
    assert uneven is not None
    assert uneven.total == pytest.approx(8) == pytest.approx(uneven.batch * uneven.looks)
    assert split_jitter(1.0, 1.0, 0.0, 1.0) is None


def test_the_report_answers_from_the_data(make_run):
    runs = []
    for seed in (1, 2, 3):
        noise = np.random.default_rng(seed).normal(0, 1, 60)
        runs.append(trained("plain", seed, 0.9 + seed / 1000, recipe={"batch_size": 8}))
        for change, size, sd in (("plain", 8, 0.04), ("batch_64", 64, 0.01)):
            losses = {20 * (i + 1): 0.5 + sd * float(x) for i, x in enumerate(noise)}
            recipe = {"batch_size": size, "evaluation_interval": 20}
            made = trained(change, seed, 0.9, recipe=recipe, accuracy=with_losses(losses, seed))
            runs = [m for m in runs if m.job.id != made.job.id] + [made]
    text = as_markdown([make_run(runs)], {"hf_torch": "PyTorch"})
    part = text.split("## What does each change do to the accuracy?")[1].split("\n## ")[0]
    assert "with batch 8 seen every 200 steps as with batch 64 seen every 20 steps" in part
    assert "a factor of 4.00 comes from the batch" in part
    assert "For batch 64, a difference on test is not shown" in part
    assert "gradient norm: variance" in part


def test_a_study_of_shares_draws_accuracy_against_examples_and_seconds(make_run):
    runs = [
        trained(change, seed, value, data=samples.data(train_examples=size, fingerprint=change))
        for change, size, value in (("plain", 10_000, 0.9), ("one", 100, 0.6), ("five", 500, 0.7))
        for seed in (1, 2)
    ]
    text = as_markdown([make_run(runs)], {"hf_torch": "PyTorch"})
    assert "Accuracy against training examples: imdb, test" in text
    assert "PyTorch from 60.0 to 90.0 %" in text
    assert "one -30.00 points" in text


def test_the_report_summarizes_the_sets(make_run):
    one = SetSummary(
        name="test",
        rows=2500,
        label_counts=[1200, 1300],
        characters_median=970,
        characters_max=13_704,
        tokens_median=212,
        tokens_max=256,
        truncated=1000,
        duplicates=7,
        in_training=3,
    )
    runs = [trained(c, 1, 0.9, data=samples.data(sets=[one])) for c in ("plain", "lr")]
    text = as_markdown([make_run(runs)])
    (row,) = [line for line in text.splitlines() if "13,704" in line]
    cells = [cell.strip() for cell in row.split("|")]
    assert cells[5] == "negative 1,200, positive 1,300"
    assert cells[8:11] == ["40.0", "7", "3"]


def test_the_site_has_a_page_of_studies(make_run, tmp_path):
    runs = [trained(c, seed, v) for c, v in (("plain", 0.9), ("lr", 0.6)) for seed in (1, 2)]
    write_site([make_run(runs)], tmp_path / "site", {"hf_torch": "PyTorch"})
    page = (tmp_path / "site" / "studies.html").read_text("utf-8")
    assert "lr -30.00 points" in page and "PyTorch" in page


def test_the_report_says_that_weights_were_random(make_run):
    start = Checkpoint(name="random:small-gpt2", architecture="gpt2", sha256="", random=True)
    runs = [trained(c, 1, 0.6, checkpoint=start) for c in ("plain", "batch_32")]
    text = as_markdown([make_run(runs)])
    assert text.count("Random weights (random:small-gpt2): these accuracies show") == 2


def test_accumulation_says_how_far_the_curves_are_apart(make_run):
    def with_shift(shift: float) -> Accuracy:
        made = samples.accuracy("imdb", 0.9, 1.0, 1)
        curve = [CurvePoint(p.step, p.loss + shift * p.step / 625, 1.0, 1e-5) for p in made.curve]
        return made.model_copy(update={"curve": curve})

    at_once = {"batch_size": 64, "accumulation": 1}
    parts = {"batch_size": 8, "accumulation": 8}
    runs = [
        trained("plain", 1, 0.9, recipe=at_once, accuracy=with_shift(0.0)),
        trained("accumulate_8", 1, 0.9, recipe=parts, accuracy=with_shift(0.025)),
    ]
    text = as_markdown([make_run(runs)])
    assert "differs from the plain recipe's: accumulate 8 by at most 0.0250 nats" in text
    other = trained("accumulate_8", 1, 0.9, recipe={**parts, "accumulation": 4})
    assert "Step by step" not in as_markdown([make_run([runs[0], other], samples.run_info("b"))])


def with_answers(folder, change: str, seed: int, right: np.ndarray, fingerprint="") -> Entry:
    """A training whose predictions are recorded: binary labels, and which of them are right."""
    labels = np.arange(len(right)) % 2
    name = f"{change}-{seed}.npz"
    logits = np.eye(2)[np.where(right, labels, 1 - labels)]
    np.savez(folder / name, test_logits=logits, test_labels=labels)
    one = SetSummary(
        name="test",
        rows=len(right),
        label_counts=[len(right) // 2, len(right) // 2],
        characters_median=9,
        characters_max=9,
        tokens_median=9,
        tokens_max=9,
        truncated=0,
        duplicates=0,
        in_training=0,
        fingerprint=fingerprint,
    )
    score = Score(examples=len(right), accuracy=float(right.mean()), macro_f1=0.5, loss=0.5)
    made = samples.accuracy("imdb", 0.9, 1.0, seed)
    made = made.model_copy(update={"scores": {"test": score}, "predictions_file": name})
    data = samples.data(sets=[one])
    return Entry("a", trained(change, seed, 0.9, accuracy=made, data=data), folder)


def test_a_change_on_the_same_examples_is_compared_example_by_example(tmp_path):
    generator = np.random.default_rng(3)
    hard = generator.random(400) < 0.3  # examples that every training gets wrong
    entries = []
    for seed in (1, 2, 3):
        plain = ~hard & (generator.random(400) < 0.98)
        entries.append(with_answers(tmp_path, "plain", seed, plain, "one"))
        worse = plain & (generator.random(400) < 0.97)
        entries.append(with_answers(tmp_path, "lr", seed, worse, "one"))
        entries.append(with_answers(tmp_path, "resplit", seed, worse, "other"))
    (study,) = accuracy_studies(entries)
    changes = {c.change: c for c in study.changes}
    paired, apart = (study.difference(changes[name], "test") for name in ("lr", "resplit"))
    assert paired is not None and apart is not None
    assert paired.paired and not apart.paired
    assert paired.value == pytest.approx(apart.value) and -0.05 < paired.value < 0
    assert paired.interval is not None and apart.interval is not None
    assert apart.interval.width > 2 * paired.interval.width
    assert paired.interval.high < 0 < apart.interval.high
    (tmp_path / "lr-2.npz").unlink()  # without all predictions there is nothing to pair
    unread = study.difference(changes["lr"], "test")
    assert unread is not None and not unread.paired
    assert unread.interval is not None
    assert unread.interval.width == pytest.approx(apart.interval.width)


def test_a_training_that_gives_every_example_one_label_is_counted(tmp_path):
    even = np.arange(40) % 2 == 0  # right on label 0 alone
    learned = even | (np.arange(40) < 30)
    answers = [("plain", 1, learned), ("plain", 2, learned), ("lr", 1, learned), ("lr", 2, even)]
    study = accuracy_studies([with_answers(tmp_path, *answer) for answer in answers])[0]
    assert [change.collapsed("test") for change in study.changes] == [0, 1]
    assert failed(study.changes[1], "test") == "1 with one label for all"


def test_the_report_says_which_changes_no_certificate_covers(make_run):
    backends = ("hf_torch", "hf_tf")
    other = {"learning_rate": 1e-3}
    runs = [trained("plain", 1, 0.9, backend) for backend in backends]
    runs += [trained("lr_1e_3", 1, 0.6, backend, recipe=other) for backend in backends]
    shared = samples.data(fingerprint="premises")
    runs += [trained("premise_only", 1, 0.5, backend, data=shared) for backend in backends]
    folder = make_run(runs)
    assert "imdb, plain recipe: same work: not proven." in as_markdown([folder])
    store.write_certificate(folder, "made-up", certificate())
    text = as_markdown([folder])
    assert (
        "accumulation 1). The certificate does not cover the changed examples of premise only and the "
        "changed recipe of lr 1e 3." in text
    )
    alone = make_run([m for m in runs if m.job.backend == "hf_tf"], samples.run_info("alone"))
    assert "plain recipe: same work" not in as_markdown([alone])
