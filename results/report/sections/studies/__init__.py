"""What each named change does to the accuracy and to the course of the training."""

from __future__ import annotations

from collections.abc import Sequence

from results.analysis.accuracy.studies import (
    AccuracyStudy,
    Difference,
    Trained,
    accuracy_studies,
    curve_gap,
    mean_jitter,
    norm_thirds,
    split_jitter,
)
from results.analysis.proof import PROVEN
from results.analysis.statistics import Estimate, Interval, mean_estimate
from results.report.columns import backend_cell
from results.report.document import (
    Block,
    Cell,
    Column,
    Details,
    Figures,
    Paragraph,
    Section,
    Table,
)
from results.report.format import count, duration, gap, listed, number, percent, span
from results.report.proofs import proof_of
from results.report.provenance import labels
from results.report.sections.accuracy import random_note
from results.report.sections.studies.figures import PLACES, changed_fields, figures, head, named
from results.report.view import View

RARE = 10  # of so many evaluations, the rare schedule has one


def section(view: View) -> Section | None:
    found = accuracy_studies(view.entries)
    if not found:
        return None
    blocks: list[Block] = [
        Paragraph(text, head=head(view, study)) for study in found if (text := _shown_by(study))
    ]
    blocks += [Paragraph(text, "small") for text in proof_sentences(view, found)]
    blocks += random_note(m for study in found for c in study.changes for m in c.group.ok)
    blocks += [Figures(figures(view, found)), change_table(view, found)]
    blocks.append(
        Paragraph(
            "Each change alone against the plain recipe of the same backend, seed by seed and, on the same "
            "evaluation examples, example by example; the interval covers other seeds and other examples. "
            "'Not paired': the evaluation examples differ, or predictions were not recorded, so the "
            "interval is that of two independent sets. Training time includes the first step and excludes "
            "evaluation.",
            "small",
        )
    )
    blocks.append(Details("Gradient norms and jitter", [course_table(view, found)]))
    title = "What does each change do to the accuracy?"
    return Section(title, "studies", [*blocks, *labels(view, "accuracy", compares=False)])


def _shown_by(study: AccuracyStudy) -> str:
    """All that can be said of a study, or empty."""
    return " ".join(filter(None, (sentence(study), jitter_sentence(study), curve_sentence(study))))


def sentence(study: AccuracyStudy) -> str:
    """Which changes are shown to move the accuracy, on the first evaluation set."""
    on = study.evaluation_sets[0]
    found = [(c, d) for c in study.changes[1:] if (d := study.difference(c, on))]
    if not found:
        return ""
    shown = [(c, d) for c, d in found if _is_shown(d)]
    untold = [c for c, d in found if not _is_shown(d)]
    shown.sort(key=lambda pair: pair[1].value)
    parts = [f"{named(c)} {_points(d)}" for c, d in shown]
    text = f"On {on}, against the plain recipe: {'; '.join(parts)}." if parts else ""
    if untold:
        names = listed([named(c) for c in untold])
        more = f"For {names}, a difference on {on} is not shown by the seeds of this run."
        text = f"{text} {more}" if text else more
    return text


def proof_sentences(view: View, found: Sequence[AccuracyStudy]) -> list[str]:
    """Of every task that several backends were trained on: what is certified, and which changes the
    certificate does not cover. Traces are of the plain recipe on its own examples."""
    texts = []
    for run, task in dict.fromkeys((s.run, s.task) for s in found):
        same = [s for s in found if (s.run, s.task) == (run, task)]
        if len(same) < 2:
            continue
        proof = proof_of(view, ((run, m) for s in same for m in s.plain.group.ok))
        where = f"{task} ({run})" if view.several_runs else task
        texts.append(f"{where}, plain recipe: {proof}.")
        if proof.startswith(PROVEN):
            texts[-1] += f" The certificate does not cover {_not_covered(same)}."
    return texts


def _not_covered(same: Sequence[AccuracyStudy]) -> str:
    """'the changed examples of premise only and the changed recipe of lr 1e 3'."""
    changed: dict[str, dict[str, None]] = {"examples": {}, "recipe": {}}
    for study in same:
        for change in (c for c in study.changes[1:] if c.trainings):
            what = "examples" if "data" in changed_fields(study, change) else "recipe"
            changed[what][named(change)] = None
    parts = [
        f"the changed {what} of {listed(list(names))}" for what, names in changed.items() if names
    ]
    return " and ".join(parts)


def jitter_sentence(study: AccuracyStudy) -> str:
    """How much of the evaluation loss's jitter comes from the batch and how much from looking rarely;
    empty where no change is to the batch size alone or there are too few evaluations."""
    on, plain = study.evaluation_sets[0], study.plain
    every = int(plain.recipe.get("evaluation_interval") or 0)
    other = next((c for c in study.changes[1:] if changed_fields(study, c) == ["batch_size"]), None)
    if other is None or not every or not other.trainings:
        return ""
    small, large = sorted((plain, other), key=lambda c: int(c.recipe["batch_size"]))
    figures = [
        mean_jitter(one.trainings, on, step)
        for one in (small, large)
        for step in (every, RARE * every)
    ]
    known = [value for value in figures if value is not None]
    split = split_jitter(*known) if len(known) == len(figures) else None
    if split is None:
        return ""
    often = "step" if every == 1 else f"{every} steps"
    return (
        f"The evaluation loss on {on} jumps about {number(split.total)} times as much with batch "
        f"{small.recipe['batch_size']} seen every {RARE * every} steps as with batch "
        f"{large.recipe['batch_size']} seen every {often}: a factor of {number(split.batch)} comes "
        f"from the batch, a factor of {number(split.looks)} from looking rarely."
    )


def curve_sentence(study: AccuracyStudy) -> str:
    """How far the training losses are apart where a change only divides a step's examples otherwise."""
    parts = []
    for change in (c for c in study.changes[1:] if c.trainings):
        sizes = {
            int(c.recipe["batch_size"]) * int(c.recipe["accumulation"])
            for c in (study.plain, change)
        }
        if set(changed_fields(study, change)) == {"batch_size", "accumulation"} and len(sizes) == 1:
            gap_nats = curve_gap(study.plain.trainings, change.trainings)
            if gap_nats is not None:
                parts.append(f"{named(change)} by at most {number(gap_nats)} nats")
    if not parts:
        return ""
    return f"Step by step, the training loss differs from the plain recipe's: {'; '.join(parts)}."


def change_table(view: View, found: Sequence[AccuracyStudy]) -> Table:
    columns = [
        *_key_columns(view),
        Column("evaluation set", numeric=False),
        *[Column(name) for name in ("training examples", "steps", "seeds")],
        Column("accuracy", "%"),
        Column("difference", "points"),
        Column("training"),
    ]
    rows = [
        [*_key_cells(view, study, change, _what(study, change)), *cells]
        for study in found
        for change in study.changes
        for cells in _change_rows(study, change)
    ]
    return Table(columns, rows)


def _what(study: AccuracyStudy, change: Trained) -> str:
    return ", ".join(
        name if name == "data" else f"{name.replace('_', ' ')} {change.recipe[name]}"
        for name in changed_fields(study, change)
    )


def _change_rows(study: AccuracyStudy, change: Trained) -> list[list[Cell]]:
    if not change.trainings:
        return [[gap(change.group.status), *[Cell("")] * 6]]
    rows = []
    for name in study.evaluation_sets:
        by_seed = change.by_seed(name)
        difference = None if change is study.plain else study.difference(change, name)
        rows.append(
            [
                Cell(name),
                Cell(count(change.train_examples or 0)),
                Cell(count(change.trainings[0].steps)),
                Cell(count(len(by_seed)), failed(change, name)),
                _share_cell(mean_estimate(list(by_seed.values()))),
                _difference_cell(difference),
                Cell(duration(change.training_seconds)),
            ]
        )
    return rows


def course_table(view: View, found: Sequence[AccuracyStudy]) -> Table:
    """Gradient norms by third, and the jitter of the evaluation loss."""
    columns = [*_key_columns(view), Column("third of the training")]
    columns += [Column(f"gradient norm: {name}") for name in ("mean", "maximum", "variance")]
    columns += [Column("jitter of the evaluation loss", "nats")]
    rows = []
    for study in found:
        for change in (c for c in study.changes if c.trainings):
            every = int(change.recipe.get("evaluation_interval") or 0)
            on = study.evaluation_sets[0]
            rough = mean_jitter(change.trainings, on, every) if every else None
            last = Cell(number(rough)) if rough is not None else gap("too few evaluations")
            thirds = norm_thirds(change.trainings)
            key = _key_cells(view, study, change)
            if thirds is None:
                rows.append([*key, gap("no norms"), Cell(""), Cell(""), Cell(""), last])
            for i, third in enumerate(thirds or []):
                norms = (third.mean, third.maximum, third.variance)
                cells = [Cell(number(value)) for value in norms]
                rows.append([*key, Cell(str(i + 1)), *cells, last if i == 0 else Cell("")])
    return Table(columns, rows)


def _is_shown(found: Estimate) -> bool:
    return found.interval is not None and not found.interval.low <= 0 <= found.interval.high


def _points(found: Estimate) -> str:
    text = f"{100 * found.value:+.{PLACES}f} points"
    if found.interval is None:
        return f"{text} (one seed)"
    return f"{text} ({100 * found.interval.low:+.2f} to {100 * found.interval.high:+.2f})"


def _difference_cell(found: Difference | None) -> Cell:
    if found is None:
        return Cell("")
    return Cell(_points(found), "" if found.paired else "not paired")


def _share_cell(found: Estimate) -> Cell:
    if found.interval is None:
        return Cell(percent(found.value, PLACES), "one seed")
    # Student's interval of few seeds knows no ends.
    ends = Interval(max(0, 100 * found.interval.low), min(100, 100 * found.interval.high))
    return Cell(percent(found.value, PLACES), span(ends, PLACES))


def failed(change: Trained, evaluation_set: str) -> str:
    untrained = len(change.group.entries) - len(change.trainings)
    collapsed = change.collapsed(evaluation_set)
    notes = [
        f"{untrained} not trained" if untrained else "",
        f"{collapsed} with one label for all" if collapsed else "",
    ]
    return ", ".join(filter(None, notes))


def _key_columns(view: View) -> list[Column]:
    names = [*(["run"] if view.several_runs else []), "task", "backend", "change"]
    return [Column(name, numeric=False, group=name in ("run", "task")) for name in names]


def _key_cells(view: View, study: AccuracyStudy, change: Trained, what: str = "") -> list[Cell]:
    return [
        *([Cell(study.run)] if view.several_runs else []),
        Cell(study.task),
        backend_cell(view, study.backend),
        Cell(named(change), what),
    ]
