"""What was run: recipe, data, checkpoint, effective settings and versions, by backend."""

from __future__ import annotations

from collections.abc import Sequence

from results.analysis.compare import Row
from results.report.document import Block, Cell, Column, Details, Paragraph, Section, Table
from results.report.format import count, listed, percent
from results.report.provenance import checkpoint_text, commands, device_text
from results.report.sections.overview import a_measurement
from results.report.view import View
from results.schema import Checkpoint, Measurement, TrackerOutcome


def section(view: View) -> Section:
    summary = _data_table(view)
    return Section(
        "What was run",
        "work",
        [
            _runs_table(view),
            *_run_notes(view),
            *commands(view.runs),
            *([Details("Data", [summary])] if summary.rows else []),
            *(
                Details(f"Settings: {view.head(rows[0].comparison)}", [_settings(view, rows)])
                for rows in view.comparisons
            ),
        ],
    )


def _runs_table(view: View) -> Table:
    names = ("run", "profile", "started", "ftbench", "device")
    return Table(
        [Column(name, numeric=False) for name in names],
        [
            [
                Cell(run.name),
                Cell(run.info.profile),
                Cell(run.info.started_at),
                Cell(run.info.ftbench_version),
                Cell(device_text(run.info.device)),
            ]
            for run in view.runs
            if run.info
        ],
    )


def _run_notes(view: View) -> list[Block]:
    """Converted files, variables that were left out, and what trackers were sent."""
    blocks: list[Block] = []
    old = [run.name for run in view.runs if run.of_earlier_version]
    if old:
        which = "" if len(old) == len(view.runs) else f" ({', '.join(old)})"
        text = f"Written by an earlier version of ftbench and converted when read{which}."
        blocks.append(Paragraph(text, "small"))
    blocks += [
        Paragraph(
            f"Set in the shell of {run.name} and left out of the workers' environment: "
            f"{listed(run.info.left_out)}.",
            "small",
        )
        for run in view.runs
        if run.info and run.info.left_out
    ]
    blocks += [
        Paragraph(f"{run.name}: {tracker_words(outcome)}.", "small")
        for run in view.runs
        if run.info
        for outcome in run.info.trackers
    ]
    return blocks


def tracker_words(outcome: TrackerOutcome) -> str:
    word = "training" if outcome.trainings == 1 else "trainings"
    text = f"{outcome.tracker} tracked {count(outcome.trainings)} {word}"
    return f"{text} and stopped: {outcome.problem}" if outcome.problem else text


def _data_table(view: View) -> Table:
    """Rows, labels, lengths, truncation and duplicates of every set that was used."""
    columns = [Column("task", numeric=False), Column("set", numeric=False), Column("length")]
    columns += [Column("rows"), Column("labels", numeric=False)]
    columns += [Column("characters", "median (at most)"), Column("tokens", "median (at most)")]
    columns += [Column("truncated", "%"), Column("repeated"), Column("also in training")]
    found: dict[tuple[Cell, ...], None] = {}
    for m in (e.measurement for e in view.entries if e.measurement.data):
        assert m.data is not None
        for s in m.data.sets:
            named = zip(m.data.label_names, s.label_counts, strict=True)
            cells = (
                Cell(m.job.task),
                Cell(s.name),
                Cell(str(m.recipe.get("length", ""))),
                Cell(count(s.rows)),
                Cell(", ".join(f"{name} {count(n)}" for name, n in named)),
                Cell(f"{s.characters_median:,.0f} ({count(s.characters_max)})"),
                Cell(f"{s.tokens_median:,.0f} ({count(s.tokens_max)})"),
                Cell(percent(s.truncated / s.rows)),
                Cell(count(s.duplicates)),
                Cell("" if s.name == "train" else count(s.in_training)),
            )
            found.setdefault(cells)
    return Table(columns, list(found))


def _settings(view: View, rows: Sequence[Row]) -> Table:
    """A line per setting, a column per backend."""
    columns = [
        Column("setting", numeric=False),
        *[Column(view.title(r.backend), numeric=False) for r in rows],
    ]
    by_backend = [_facts(a_measurement([r])) for r in rows]
    names = list(dict.fromkeys(name for facts in by_backend for name in facts))
    return Table(
        columns,
        [[Cell(name), *[Cell(facts.get(name, "")) for facts in by_backend]] for name in names],
    )


def _facts(m: Measurement) -> dict[str, str]:
    facts = {f"recipe: {name}": _value(value) for name, value in m.recipe.items()}
    facts |= {
        f"effective: {name}": _value(value)
        for name, value in (m.effective or {}).items()
        if name != "details"
    }
    details = (m.effective or {}).get("details") or {}
    facts |= {f"effective: {name}": _value(value) for name, value in sorted(details.items())}
    if m.checkpoint:
        facts |= {
            "checkpoint": checkpoint_text(m.checkpoint),
            "checkpoint: sha256": m.checkpoint.sha256,
            "checkpoint: weights": _weights(m.checkpoint),
        }
    facts |= {f"version: {name}": text for name, text in sorted(m.versions.items())}
    return facts | {f"environment: {k}": v for k, v in sorted(m.environment.items())}


def _weights(checkpoint: Checkpoint) -> str:
    """What training starts from."""
    if checkpoint.random or checkpoint.tokenizer_only:
        return "random"
    return "pretrained"


def _value(value: object) -> str:
    return "default" if value is None else str(value)
