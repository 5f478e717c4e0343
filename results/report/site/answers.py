"""What every page begins with: the answer to its question, in sentences or a short table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from results.analysis.accuracy.evidence import PairedAccuracy
from results.analysis.accuracy.pairs import VerdictRow, points
from results.analysis.compare import Row, races
from results.analysis.proof import loss_bound, pair_title
from results.analysis.verdict import FEWEST_ROUNDS, Verdict, judge, launches_words, lead_words
from results.report.cards import same_work, same_work_by_question
from results.report.columns import comparison_cells, comparison_columns
from results.report.document import Block, Cell, Column, Paragraph, Table
from results.report.format import gibibytes, listed, millions
from results.report.sections import equivalence, limits
from results.report.sections.accuracy.pairs import verdicts
from results.report.sections.limits.fits import fits_tables
from results.report.sections.overview import memory_figure
from results.report.sections.verdict import race_verdicts, sentence
from results.report.site import notes
from results.report.view import View
from results.schema import Certificate


def in_short(view: View) -> list[Block]:
    """Who is faster, by how much, and whether it was the same work: one row per comparison. Empty where
    one card says it all."""
    columns = [
        Column("task", numeric=False),
        Column("faster", "95 % interval in parentheses", numeric=False),
        Column("same work", numeric=False),
    ]
    rows = [
        [_subject(view, rows), _faster(view, verdict), _work(view, rows)]
        for rows in view.comparisons
        for verdict in _verdicts(rows)[:1]
    ]
    accuracies = _accuracy_in_short(view, _judged(view))
    if len(rows) < 2:
        return accuracies
    return [Table(columns, rows, "Training speed, in short"), _terms(), *accuracies]


def _judged(view: View) -> list[tuple[Sequence[Row], VerdictRow]]:
    """Every verdict on two models of the same size, with its comparison. It reads predictions."""
    return [
        (rows, verdict)
        for rows in view.comparisons
        for race in races(rows)
        for verdict in verdicts(view, race)
    ]


def _accuracy_in_short(
    view: View, judged: Sequence[tuple[Sequence[Row], VerdictRow]]
) -> list[Block]:
    """Whether backends that were trained with the same seeds are equally accurate; empty where no two
    were, and where one card says it all."""
    columns = [
        Column("task", numeric=False),
        Column("evaluated on", numeric=False),
        Column("more accurate", "95 % interval in parentheses", numeric=False),
        Column("seeds"),
        Column("same work", numeric=False),
    ]
    cells = [
        [
            _subject(view, rows),
            Cell(row.evaluation_set),
            _more_accurate(view, row, row.accuracy),
            _seeds(row.accuracy),
            _work(view, rows),
        ]
        for rows, row in judged
        if row.accuracy
    ]
    return (
        [Table(columns, cells, "Accuracy, in short")] if len(view.comparisons) > 1 and cells else []
    )


def _more_accurate(view: View, row: VerdictRow, found: PairedAccuracy) -> Cell:
    low, high = (100 * end for end in (found.interval.low, found.interval.high))
    pair = f"{view.title(row.first)} minus {view.title(row.second)}"
    measured = f"{pair}: {100 * found.difference:+.1f} points ({low:+.1f} to {high:+.1f})"
    if found.verdict == "equivalent":
        return Cell(f"equally accurate to within {points(100 * found.margin)}", measured)
    if found.verdict == "different":
        better = row.first if found.difference > 0 else row.second
        return Cell(view.title(better), measured)
    return Cell("cannot be told", measured, "gap")


def _seeds(found: PairedAccuracy) -> Cell:
    would_tell = found.verdict == "unknown" and found.seeds_needed
    return Cell(str(found.seeds), f"about {found.seeds_needed} would tell" if would_tell else "")


def _terms() -> Paragraph:
    return Paragraph(
        "A launch is a new process of every backend; in each of its rounds every backend trains in turn. Backends "
        "are compared launch by launch, so the ratio can be certain though the intervals of the speeds "
        "overlap. Noisy: the interval is wider than 10 % of the speed. Disturbed: other work ran.",
        "small",
    )


def _subject(view: View, rows: Sequence[Row]) -> Cell:
    comparison = rows[0].comparison
    task = ", ".join(text for text in (comparison.task, comparison.varied_text) if text)
    return Cell(task, view.origin_name(comparison.run) if view.several_runs else "")


def _work(view: View, rows: Sequence[Row]) -> Cell:
    return Cell(same_work(view, rows).text.removeprefix("Same work: "))


def _verdicts(rows: Sequence[Row]) -> list[Verdict]:
    """Of the races among models of the same size, the largest first."""
    raced = [[r.speed for r in race if r.speed] for race in races(rows)]
    return [judge(speeds) for speeds in raced if len(speeds) > 1]


def _faster(view: View, verdict: Verdict) -> Cell:
    """Who, and by how much; what was measured is a note where it shows no winner."""
    second = verdict.rivals[0] if verdict.rivals else None
    if verdict.kind == "not_compared" or second is None:
        return Cell("not compared", verdict.reason or "", "gap")
    lead, joint = lead_words(second.ratio, second.interval)
    first = view.title(verdict.order[0])
    text = f"{lead} {joint} {view.title(second.name)}"
    if verdict.winner:
        return Cell(f"{first}: {text}")
    if verdict.kind == "equal":
        return Cell(
            f"equally fast to within {100 * verdict.margin:g} %", f"measured: {first} {text}"
        )
    why = "too few launches"
    if verdict.launches == 1:
        few = verdict.rounds < FEWEST_ROUNDS
        why = launches_words(1, verdict.rounds) + (f", {FEWEST_ROUNDS} are needed" if few else "")
    return Cell("cannot be told", f"{why}; measured: {first} {text}", "gap")


def speed(view: View) -> list[Block]:
    """The verdict of every race; of a backend that raced alone, its speed."""
    verdicts = race_verdicts(view)
    found: list[Block] = [
        Paragraph(f"{verdict.sentence(view.titles)}.", "lead", head) for head, verdict in verdicts
    ]
    raced = {head for head, _ in verdicts}
    for rows in view.comparisons:
        head = view.head(rows[0].comparison)
        timed = [replace(row, memory=None, scores=[]) for row in rows if row.speed]
        if timed and head not in raced:
            found.append(Paragraph(sentence(view, timed), "lead", head))
    return [*found, _terms()] if verdicts else found


def memory(view: View) -> list[Block]:
    found: list[Block] = []
    for rows in view.comparisons:
        figure = memory_figure(rows)
        parts = [text for race in races(rows) if (text := _least(view, race, figure))]
        if parts:
            found.append(Paragraph(" ".join(parts), "lead", view.head(rows[0].comparison)))
    return found


def _least(view: View, race: Sequence[Row], figure: str) -> str:
    """'PyTorch used least at its peak, 2.16 GiB; TensorFlow 2.39 GiB (11 % more).'"""
    peaks = sorted(
        (peak, row.backend) for row in race if row.memory and (peak := row.memory.figures[figure])
    )
    if not peaks:
        return ""
    (least, first), *others = peaks
    if not others:
        size = millions(race[0].model_size)
        return (
            f"{view.title(first)}, with {size} parameters, used {gibibytes(least)} GiB at its peak."
        )
    more = [
        f"{view.title(name)} {gibibytes(peak)} GiB ({100 * (peak / least - 1):.0f} % more)"
        for peak, name in others
    ]
    return (
        f"Of the backends with {millions(race[0].model_size)} parameters, {view.title(first)} used "
        f"least at its peak, {gibibytes(least)} GiB; {listed(more)}. One measurement each, so there is "
        "no interval."
    )


def accuracy(view: View) -> list[Block]:
    """Whether models of the same size are equally accurate: how often, then each."""
    scored = [
        [replace(row, speed=None, memory=None) for row in rows if row.scores]
        for rows in view.comparisons
    ]
    scored = [rows for rows in scored if rows]
    if len(scored) < 2:
        return [
            Paragraph(sentence(view, rows), "lead", view.head(rows[0].comparison))
            for rows in scored
        ]
    judged = _judged(view)
    found = [verdict for _, verdict in judged]
    return [Paragraph(_how_often(found), "lead"), *_accuracy_in_short(view, judged)]


def _how_often(found: Sequence[VerdictRow]) -> str:
    of_seeds = [v.accuracy for v in found if v.accuracy]
    text = "No two backends were trained with the same seeds."
    if of_seeds:
        equal, different = (
            sum(one.verdict == verdict for one in of_seeds)
            for verdict in ("equivalent", "different")
        )
        open_ones = len(of_seeds) - equal - different
        text = (
            f"Of {len(of_seeds)} comparisons with the same seeds, equal accuracy is shown by {equal} and a "
            f"difference by {different}; {open_ones} cannot tell."
        )
    single = len(found) - len(of_seeds)
    return f"{text} Comparisons with one seed, which cannot tell: {single}." if single else text


def equal_work(view: View) -> list[Block]:
    """Yes or no, and which figures of the site the certificates cover."""
    certificates = [c for run in view.runs for c in run.certificates]
    if not certificates or not all(c.holds for c in certificates):
        return [*equivalence.first_lines(view), *_covered(view)]
    pairs = dict.fromkeys(pair_title(c, view.titles) for c in certificates)
    tasks = dict.fromkeys(c.task for c in certificates)
    by_precision: dict[str, list[Certificate]] = {}
    for certificate in certificates:
        by_precision.setdefault(str(certificate.recipe.get("precision")), []).append(certificate)
    bounds = [
        f"{_bounds(some)} in {name}".replace("-", "\u2011")  # not broken at the end of a line
        for name, some in sorted(by_precision.items(), key=lambda one: one[0] != "fp32")
    ]
    standings = [
        found.proof
        for rows in view.comparisons
        for found in same_work_by_question(view, rows).values()
    ]
    covered = f"proven for {standings.count('proven')} of {len(standings)} rows below. "
    text = (
        f"{covered if standings else ''}On {listed(list(tasks))}, {'; '.join(pairs)} started from the same "
        f"weights, saw the same batches, and their losses agree to {listed(bounds)} at each of "
        f"{min(c.steps for c in certificates)} steps. A certificate covers only figures of the same "
        "version, data and weights:"
    )
    return [Paragraph(text, "lead", "Same work"), *_covered(view)]


def _bounds(certificates: Sequence[Certificate]) -> str:
    """'1e-5', or '2.2e-3 (mnli) and 1.1e-2 (imdb)' where the tasks differ."""
    tasks = {
        c.task: loss_bound([o for o in certificates if o.task == c.task]) for c in certificates
    }
    if len(set(tasks.values())) == 1:
        return loss_bound(certificates)
    return listed([f"{bound} ({task})" for task, bound in tasks.items()])


def _covered(view: View) -> list[Block]:
    columns = [
        *comparison_columns(view),
        Column("figures", numeric=False),
        Column("same work", numeric=False),
        Column("certificates in run", numeric=False),
    ]
    rows = [
        [
            *comparison_cells(view, rows[0].comparison),
            Cell(word),
            Cell(
                found.text.removeprefix("Same work: "),
                tone="failed" if found.proof == "failed" else "",
            ),
            Cell(found.run),
        ]
        for rows in view.comparisons
        for word, found in same_work_by_question(view, rows).items()
    ]
    return [Table(columns, rows, "Which figures are covered")] if rows else []


def largest_batch(view: View) -> list[Block]:
    return [*limits.first_lines(view), *fits_tables(view)]


def studies(view: View) -> list[Block]:
    """What people concluded from the studies, each in the paragraph that is named after its run."""
    names = {
        f"{run.folder.name} ({run.folder.parent.name})"
        for run in view.runs
        if run.folder and any(m.job.change and m.accuracy for m in run.measurements)
    }
    return [paragraph for paragraph in notes.conclusions(view) if paragraph.head in names]


def nothing(view: View) -> list[Block]:
    """A page whose section begins with its answer."""
    return []


Answer = Callable[[View], list[Block]]
