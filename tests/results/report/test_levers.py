"""The section on memory levers: what it says of a study's peaks and speeds."""

from __future__ import annotations

import re
from typing import Any

import pytest

from results.analysis.levers import studies
from results.report import as_markdown, changes_of
from results.report import table as terminal_table
from results.report.format import GIB
from results.report.sections.levers import sentence
from results.report.view import Run, View
from results.schema import JobKey, Measurement, Question, Role, Throughput
from tests.results import samples
from tests.results.conftest import MakeRun

LEVERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "accumulate_4": {"batch_size": 4, "accumulation": 4},
    "checkpointing": {"gradient_checkpointing": True},
    "half": {"batch_size": 8},
}
PEAKS = {"plain": 2.0, "accumulate_4": 1.5, "checkpointing": 1.25, "half": 1.4}
SPEEDS = {"plain": 1.0, "accumulate_4": 0.8, "checkpointing": 0.7, "half": 1.9}


def shaped(
    backend: str, shape: str, question: Question, role: Role = "framework", **fields: Any
) -> Measurement:
    key = JobKey(
        id=f"{question}-mnli-{backend}-{role}-{shape}",
        backend=backend,
        task="mnli",
        question=question,
        change=shape,
        role=role,
    )
    recipe = {"gradient_checkpointing": False, **LEVERS[shape]}
    return samples.measurement(backend, "mnli", question, job=key, recipe=recipe, **fields)


def timed(shape: str, seed: int) -> Throughput:
    """A step of 'half' takes half the examples."""
    found = samples.throughput(SPEEDS[shape], seed)
    share = 2 if shape == "half" else 1
    windows = [w.model_copy(update={"examples": w.examples // share}) for w in found.windows]
    return found.model_copy(update={"windows": windows})


def study(backend: str, phases: bool = True) -> list[Measurement]:
    found = [
        shaped(
            backend,
            "plain",
            "throughput",
            role="repeat",
            throughput=samples.throughput(SPEEDS["plain"], 9),
        )
    ]
    for seed, shape in enumerate(LEVERS):
        peak = int(PEAKS[shape] * GIB)
        peaks = {"forward": peak - 9, "backward": peak, "optimizer": peak // 2} if phases else None
        found += [
            shaped(
                backend,
                shape,
                "memory",
                memory=samples.memory(peak).model_copy(update={"phase_peaks": peaks}),
                gaps={} if peaks else {"phase_peaks": "unsupported"},
            ),
            shaped(backend, shape, "throughput", throughput=timed(shape, seed)),
        ]
    return found


@pytest.fixture
def measurements() -> list[Measurement]:
    refused = [
        m.model_copy(
            update={
                "status": "unsupported",
                "payload": None,
                "reason": "hf_tf cannot do gradient_checkpointing = True: why",
            }
        )
        for m in study("hf_tf", phases=False)
        if m.job.change == "checkpointing"
    ]
    others = [m for m in study("hf_tf", phases=False) if m.job.change != "checkpointing"]
    return study("hf_torch") + others + refused


def viewed(measurements: list[Measurement]) -> View:
    return View.of([Run("one", None, None, measurements, [])], {"hf_torch": "PyTorch"})


def test_each_lever_is_compared_with_the_plain_recipe_of_its_backend(
    measurements: list[Measurement],
) -> None:
    torch = next(s for s in studies(viewed(measurements).entries) if s.backend == "hf_torch")
    levers = {lever.name: lever for lever in torch.levers}
    assert list(levers) == ["plain", "accumulate_4", "checkpointing", "half"]
    assert torch.saved(levers["checkpointing"]) == int(0.75 * GIB)
    ratio = torch.speed(levers["checkpointing"])
    assert ratio is not None and ratio.interval is not None
    assert ratio.interval.low < 0.7 < ratio.interval.high
    half = torch.speed(levers["half"])  # its steps take half the examples
    assert half is not None and half.value == pytest.approx(1.9 / 2, rel=0.02)
    text = sentence(torch)
    assert text.startswith("checkpointing saves most: 0.75 of 2.00 GiB (37.5 %), and trains ")
    assert re.search(r"% slower \([\d.]+ to [\d.]+ %\)\.$", text)


def test_two_runs_of_a_study_are_compared_change_by_change(make_run: MakeRun) -> None:
    folder = make_run(study("hf_torch"))
    found = {(change.subject, change.figure) for change in changes_of([folder], [folder])}
    assert found == {
        (f"mnli, {name.replace('_', ' ')}", figure)
        for name in LEVERS
        for figure in ("speed", "memory")
    }


def with_speeds(measurements: list[Measurement], *rates: float) -> list[Measurement]:
    """With these rates for the launches of the lever that saves most; the plain recipe's are 1."""

    def timed_at(m: Measurement) -> Measurement:
        if not m.throughput or m.job.change not in ("plain", "checkpointing"):
            return m
        values = rates if m.job.change == "checkpointing" else (1.0,) * len(rates)
        windows = [samples.window(rate, launch=i) for i, rate in enumerate(values)]
        return m.model_copy(
            update={"payload": m.throughput.model_copy(update={"windows": windows})}
        )

    return [timed_at(m) for m in measurements]


@pytest.mark.parametrize(
    ("rates", "end"),
    [
        ((1.0, 1.01, 0.99, 1.0), ", at the same speed to within 5 %."),
        ((1.1, 0.9, 1.2, 1.0), "; whether it is as fast as the plain recipe cannot be told from "),
        ((1.1, 1.1, 1.11, 1.1), ", and trains 10.2 % faster (9.5 to 11.0 %)."),
    ],
)
def test_a_cost_is_told_only_where_it_can_be_told(rates: tuple[float, ...], end: str) -> None:
    (torch,) = studies(viewed(with_speeds(study("hf_torch"), *rates)).entries)
    assert end in sentence(torch)


def test_a_cost_of_another_race_is_not_told() -> None:
    apart = [
        m.model_copy(
            update={
                "payload": m.throughput.model_copy(update={"race": m.job.change})
                if m.throughput
                else m.payload
            }
        )
        for m in study("hf_torch")
    ]
    (torch,) = studies(viewed(apart).entries)
    assert sentence(torch).endswith("; its speed is not compared: not raced together.")


def test_the_report_shows_saving_cost_and_gaps(
    make_run: MakeRun, measurements: list[Measurement]
) -> None:
    text = as_markdown([make_run(measurements)], {"hf_torch": "PyTorch"})
    section = text.split("## What does each change save and cost?")[1].split("\n## ")[0]
    rows = table_rows(section.split("The peak of each phase")[0])
    changes, peak, saved, share, steps, speed = rows["PyTorch", "accumulate 4"]
    assert changes == "batch size 4, accumulation 4"
    assert (peak, saved, share) == ("1.50", "0.50", "25.0")
    assert steps.startswith("0.8") and speed.startswith("0.8") and " to " in speed
    assert rows["hf_tf", "checkpointing"][1] == "unsupported"
    assert rows["PyTorch", "half"][-1].startswith("0.9")  # times plain's examples per second
    assert "generated" in section or "real data" in section  # as every section says
    assert "hf_tf cannot do gradient_checkpointing" in text
    assert section.count("was measured once, so the noise of these figures is unknown") == 2


def test_phases_stand_with_memory_and_levers(
    make_run: MakeRun, measurements: list[Measurement]
) -> None:
    text = as_markdown([make_run(measurements)])
    memory = text.split("## How much memory?")[1].split("\n## ")[0]
    assert "The peak of each phase of one step" in memory
    phases = memory.split("The peak of each phase of one step")[1]
    assert "2.00 | 2.00 | 1.00" in " ".join(phases.split())
    assert "The peak of each phase of a step" in text


def test_only_the_plain_recipe_stands_with_the_ordinary_figures(
    measurements: list[Measurement],
) -> None:
    lines = terminal_table(measurements).splitlines()
    assert sum(line.startswith("mnli  hf_torch") for line in lines) == 1
    comparisons = viewed(measurements).comparisons
    assert [len(rows) for rows in comparisons] == [1, 1]  # they raced apart
    assert not any(row.comparison.fields for rows in comparisons for row in rows)


def test_a_difference_of_two_measurements_of_the_plain_recipe_is_no_saving(
    make_run: MakeRun,
) -> None:
    once = study("hf_torch")
    again = [
        shaped("hf_torch", "plain", "memory", role="repeat", memory=samples.memory(int(1.45 * GIB)))
    ]
    text = as_markdown([make_run(once + again)])
    assert "of the plain recipe's memory differ by 0.55 GiB" in text
    rows = table_rows(text)
    assert rows["hf_torch", "accumulate 4"][2] == "0.50 (noise)"
    assert rows["hf_torch", "checkpointing"][2] == "0.75"
    assert "| mnli | hf_torch again" not in text and "measured once" not in text
    (torch,) = studies(
        viewed(once + [again[0].model_copy(update={"payload": samples.memory(GIB)})]).entries
    )
    assert sentence(torch) == ""


def test_no_study_no_section(make_run: MakeRun) -> None:
    plain = [m for m in study("hf_torch") if m.job.change == "plain"]
    folder = make_run(samples.sample_measurements() + plain)
    assert "each change save" not in as_markdown([folder])


def test_a_lever_that_costs_memory_is_no_saving(make_run: MakeRun) -> None:
    more = [
        m.model_copy(update={"payload": samples.memory(3 * GIB)})
        if m.job.change != "plain" and m.memory
        else m
        for m in study("hf_torch")
    ]
    (torch,) = studies(viewed(more).entries)
    assert sentence(torch) == ""
    rows = table_rows(as_markdown([make_run(more)]))
    assert rows["hf_torch", "checkpointing"][1:4] == ["3.00", r"\-1.00", r"\-50.0"]


def table_rows(text: str) -> dict[tuple[str, str], list[str]]:
    """The cells of the lever table, by backend and lever."""
    found = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| mnli")
    ]
    return {(cells[1], cells[2]): cells[3:] for cells in found if len(cells) == 9}


def test_changes_without_memory_are_compared_in_speed(make_run: MakeRun) -> None:
    text = as_markdown([make_run([m for m in study("hf_torch") if m.job.question == "throughput"])])
    section = text.split("## What does each change save and cost?")[1].split("\n## ")[0]
    assert (
        "accumulate 4 trains 0.8" in section and "times as fast as the plain recipe (0.8" in section
    )
    assert "saved" not in section and "not asked" not in section
    assert "Speed by change" in section
