"""What the report says of certificates: proven, broken, or none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from results import store
from results.analysis.proof import proof, scientific
from results.report import as_markdown, certificate_text, render, table, write_site
from results.report.cards import same_work
from results.report.proofs import proof_of_all, proof_of_rows
from results.report.view import Run, View
from results.schema import Certificate, Check, Measurement, Repeat, Side
from tests.results import samples

MakeRun = Callable[..., Path]
TITLES = {"hf_torch": "PyTorch", "hf_tf": "TensorFlow", "keras_rnn": "Keras LSTM"}
PROVEN = (
    "same work: proven to 1e-5 over 100 steps (PyTorch and TensorFlow; fp32, 2 epochs, "
    "accumulation 1 and 2)"
)


def certificate(task: str = "imdb", accumulation: int = 1, **changes: Any) -> Certificate:
    sides = [
        Side(backend=b, device="Sample processor", versions={"x": "1"}, started_at="now")
        for b in ("hf_torch", "hf_tf")
    ]
    loss = Check(name="loss", bound=1e-5, kind="absolute", worst=2.4e-7, passed=True)
    return Certificate(
        **{
            "task": task,
            "first": sides[0],
            "second": sides[1],
            "recipe": {"precision": "fp32", "accumulation": accumulation},
            "steps": 100,
            "epochs": 2,
            "clipped_steps": 40,
            "weights_compared": "sketch",
            "checks": [loss],
            "holds": True,
            "failed_first": None,
            "likely_cause": None,
            "verdict": "same work: proven",
            "notes": [],
            "loss_differences": [1e-7] * 100,
            **changes,
        }
    )


def in_bf16(task: str = "imdb", **changes: Any) -> Certificate:
    loss = Check(name="loss", bound=8e-3, kind="absolute", worst=2e-3, passed=True, derived=True)
    return certificate(
        task,
        **{
            "recipe": {"precision": "bf16", "accumulation": 1},
            "checks": [loss],
            "repeat": Repeat(backends=["hf_torch", "hf_tf"], times=4.0),
            "loss_differences": [1e-3] * 100,
            **changes,
        },
    )


def broken(task: str) -> Certificate:
    loss = Check(
        name="loss", bound=1e-5, kind="absolute", worst=0.3, passed=False, step=7, value=0.002
    )
    return certificate(
        task,
        checks=[loss],
        holds=False,
        failed_first="loss",
        likely_cause="the schedule",
        verdict="not the same work: loss differs from step 7 on by 0.002",
    )


def words(folder: Path, *certificates: Certificate) -> str:
    for i, one in enumerate(certificates):
        store.write_certificate(folder, f"made-up-{i}", one)
    return as_markdown([folder], TITLES)


def shown(folder: Path, *certificates: Certificate) -> tuple[str, str]:
    markdown = words(folder, *certificates)
    return markdown, render([folder], titles=TITLES).html.read_text("utf-8")


def test_what_is_proven_is_said_wherever_backends_are_compared(make_run: MakeRun) -> None:
    markdown, html = shown(
        make_run(), *[certificate(task, a) for task in ("imdb", "mnli") for a in (1, 2)]
    )
    assert markdown.count(PROVEN) > 3 and "not proven" not in markdown
    assert "## Is it the same work?" in markdown
    assert "at most 1e-7 nats at any step" in markdown
    assert html.index("Is it the same work?") < html.index("How fast?")


def test_a_task_without_a_certificate_says_not_proven(make_run: MakeRun) -> None:
    markdown = words(make_run(), certificate("imdb"))
    assert "imdb: same work: proven to 1e-5" in markdown
    assert "mnli: same work: not proven" in markdown


def traces(status: str = "ok", accumulation: int = 1, precision: str = "fp32") -> list[Measurement]:
    """Of both backends; the second one's with the status."""
    recipe = {"accumulation": accumulation, "precision": precision}
    return [
        samples.measurement(
            backend,
            "imdb",
            "equivalence",
            recipe=recipe,
            status=outcome,
            suffix=f"-{accumulation}-{precision}",
        )
        for backend, outcome in (("hf_torch", "ok"), ("hf_tf", status))
    ]


def in_precision(measurements: list[Measurement], precision: str) -> list[Measurement]:
    return [
        m.model_copy(update={"recipe": m.recipe | {"precision": precision}}) for m in measurements
    ]


def test_a_certificate_in_fp32_proves_nothing_of_a_race_in_bf16(make_run: MakeRun) -> None:
    raced = in_precision(samples.sample_measurements(("imdb",)), "bf16")
    both = [certificate(), certificate(accumulation=2)]
    unproven = f"same work: not proven in bf16; {PROVEN.removeprefix('same work: ')}"
    markdown, html = shown(make_run([*raced, *traces()]), *both)
    assert markdown.count(unproven) > 3 and PROVEN not in markdown
    assert f'<p class="failed"><strong>imdb</strong>: {unproven}.' in html
    assert table(raced, TITLES, both).endswith(f"({unproven})")
    text = table(raced, TITLES, [*both, in_bf16()])
    assert "not proven" not in text and "bf16, 2 epochs, accumulation 1" in text


def test_each_comparison_says_what_is_proven_of_its_own_precision() -> None:
    raced = samples.sample_measurements(("imdb",))
    both = [certificate(), certificate(accumulation=2)]
    run = Run("a", None, None, [*raced, *in_precision(raced, "bf16")], [], both)
    view = View.of([run], TITLES)
    said = {rows[0].comparison.varied_text: proof_of_rows(view, rows) for rows in view.comparisons}
    assert said["precision fp32"] == PROVEN
    assert said["precision bf16"].startswith("same work: not proven in bf16; proven to 1e-5")
    assert proof_of_all(view) == said["precision bf16"]


def proof_from_another_run(ftbench: str = "0.1.0 at 1234abcd5678", **changes: Any) -> str:
    """The proof that a report shows for a race, when another run certified the same work."""
    code = {"ftbench_version": "0.1.0 at 1234abcd5678"}
    raced, proved = (samples.run_info(name).model_copy(update=code) for name in ("raced", "proved"))
    raced_entries = [m.model_copy(update=changes) for m in samples.sample_measurements(("imdb",))]
    both = [certificate(), certificate(accumulation=2)]
    view = View.of(
        [
            Run(
                "raced",
                None,
                raced.model_copy(update={"ftbench_version": ftbench}),
                raced_entries,
                [],
            ),
            Run("proved", None, proved, [*traces(), *traces(accumulation=2)], [], both),
        ],
        TITLES,
    )
    return proof_of_rows(view, view.comparisons[0])


def test_a_certificate_of_the_same_commit_holds_for_another_run() -> None:
    assert proof_from_another_run() == f"{PROVEN}, in run proved"


@pytest.mark.parametrize(
    "changes",
    [
        {"ftbench": "0.1.0 at 999999999999"},
        {"ftbench": "0.1.0 at 1234abcd5678+changes"},
        {"ftbench": "0.1.0"},
        {"versions": {"torch": "1.0"}},
        {"checkpoint": None},
        {"data": samples.data("imdb").model_copy(update={"fingerprint": "other"})},
    ],
)
def test_a_certificate_of_other_code_texts_or_weights_proves_nothing_here(
    changes: dict[str, Any],
) -> None:
    assert proof_from_another_run(**changes) == "same work: not proven"


def badge_of(measurements: list[Measurement], *certificates: Certificate) -> tuple[str, str]:
    view = View.of([Run("a", None, samples.run_info(), measurements, [], certificates)], TITLES)
    found = same_work(view, view.comparisons[0])
    return found.proof, found.text


def test_a_badge_says_one_thing() -> None:
    raced = samples.sample_measurements(("imdb",))
    both = [certificate(), certificate(accumulation=2)]
    to = "proven to 1e-5 over 100 steps"
    assert badge_of(raced) == ("unproven", "Same work: not proven")
    # The LSTM is another model.
    assert badge_of(raced, *both) == ("proven", f"Same work: {to} for TensorFlow and PyTorch")
    alike = [m for m in raced if m.job.backend != "keras_rnn"]
    assert badge_of(alike, *both) == ("proven", f"Same work: {to}")
    assert badge_of(in_precision(alike, "bf16"), *both) == (
        "part",
        f"Same work: not proven in bf16; {to}",
    )
    proof, text = badge_of(alike, certificate(), broken("imdb"))
    assert proof == "failed" and text.startswith("PyTorch and TensorFlow: not the same work: loss")


def test_a_badge_names_the_questions_that_are_proven_and_the_page_the_others(
    make_run: MakeRun, tmp_path: Path
) -> None:
    raced = [m for m in samples.sample_measurements(("imdb",)) if m.job.backend != "keras_rnn"]
    code = {"ftbench_version": "0.1.0 at 1234abcd5678"}
    of = {q: [m for m in raced if m.job.question == q] for q in ("throughput", "memory")}
    speed = make_run(of["throughput"], samples.run_info("speed").model_copy(update=code))
    memory = make_run(of["memory"], samples.run_info("memory"))
    proved = make_run(traces(), samples.run_info("proved").model_copy(update=code))
    store.write_certificate(proved, "made-up", certificate())
    home, same_work_page, *_ = write_site([speed, memory, proved], tmp_path / "out", TITLES)
    text = home.read_text("utf-8")
    assert 'class="badge part"' in text and "Same work: proven for speed only" in text
    text = same_work_page.read_text("utf-8")
    assert "<strong>Same work</strong>: proven for 1 of 2 rows below. On imdb, PyTorch and " in text
    assert "proven only with another version of ftbench" in text


@pytest.mark.parametrize("status", ["failed", "unsupported"])
@pytest.mark.parametrize(
    ("changes", "gap"),
    [({"accumulation": 2}, "with accumulation 2"), ({"precision": "bf16"}, "in bf16")],
)
def test_a_planned_trace_without_a_certificate_is_said_in_red(
    make_run: MakeRun, changes: dict[str, Any], gap: str, status: str
) -> None:
    """Except for what a backend or the device does not support: its reason is listed elsewhere."""
    run = [*samples.sample_measurements(("imdb",)), *traces(), *traces(status, **changes)]
    markdown, html = shown(make_run(run), certificate())
    missing = f"not proven {gap}; " if status == "failed" else ""
    said = f"same work: {missing}proven to 1e-5 over 100 steps"
    tone = "failed" if status == "failed" else "lead"
    assert f'<p class="{tone}"><strong>imdb</strong>: {said}' in html
    assert said in markdown.split("\n## ")[0]


def test_what_differs_is_said_in_red(make_run: MakeRun) -> None:
    folder = make_run(
        [*samples.sample_measurements(), samples.measurement("hf_torch", "imdb", "equivalence")]
    )
    markdown, html = shown(folder, certificate("imdb"), broken("imdb"))
    first = markdown.split("\n## ")[0]
    said = "PyTorch and TensorFlow: not the same work: loss differs from step 7 on by 0.002"
    assert said in first and "Likely cause: the schedule." in markdown
    assert f'<p class="failed"><strong>imdb</strong>: {said}.' in html
    assert "fails from step 7 on" in html


def test_the_terminal_says_it_too() -> None:
    measurements = samples.sample_measurements(("imdb",))
    text = table(measurements, TITLES, [certificate("imdb"), certificate("imdb", 2)])
    assert text.splitlines()[-1] == f"({PROVEN})"
    lines = certificate_text(broken("imdb"), TITLES).splitlines()
    assert lines[0] == "imdb, PyTorch and TensorFlow"
    assert lines[-1] == "likely cause: the schedule"


def test_a_reduced_precision_says_where_its_bounds_come_from(make_run: MakeRun) -> None:
    proven = proof([in_bf16(), certificate(), certificate(accumulation=2)], TITLES)
    assert proven == (
        f"{PROVEN}; to 8e-3 over 100 steps (PyTorch and TensorFlow; bf16, 2 epochs, accumulation 1)"
    )
    origin = (
        "derived bounds are 4 times the difference between bf16 and fp32 in the training of "
        "PyTorch or TensorFlow, whichever differs less"
    )
    assert certificate_text(in_bf16(), TITLES).splitlines()[-1] == origin
    alone = in_bf16(repeat=Repeat(backends=["hf_tf"], times=4.0))
    assert "in TensorFlow's training" in certificate_text(alone, TITLES)
    markdown = words(make_run(), certificate(), in_bf16())
    assert origin in markdown and "8e-3 derived" in markdown
    assert "imdb, bf16, accumulation 1" in markdown
    assert "Difference of the losses in fp32" in markdown
    assert "Difference of the losses in bf16" in markdown


def test_a_damaged_certificate_is_told(make_run: MakeRun) -> None:
    folder = make_run()
    store.write_certificate(folder, "made-up", certificate())
    (folder / "certificates" / "made-up.json").write_text("{")
    found, problems = store.read_certificates(folder)
    assert found == [] and len(problems) == 1
    assert "made-up.json: damaged" in shown(folder)[0]


def test_small_numbers() -> None:
    assert [scientific(v) for v in (1e-5, 2.44e-7, 0.0, 1.0)] == ["1e-5", "2.4e-7", "0", "1e0"]
    assert proof([]) == "same work: not proven"
