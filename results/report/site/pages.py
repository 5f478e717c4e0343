"""The pages of the site: a home, one page per question and per study, one per run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from results.report.cards import card
from results.report.document import (
    Block,
    Card,
    Cards,
    Cell,
    Column,
    Details,
    Document,
    Link,
    Links,
    Listing,
    Paragraph,
    Section,
    Table,
    without_pictures,
)
from results.report.format import count
from results.report.sections import (
    accuracy,
    controls,
    equivalence,
    finders,
    levers,
    limits,
    memory,
    not_measured,
    predictions,
    published,
    settings,
    speed,
    studies,
    tuning,
)
from results.report.sections.across import cost, history
from results.report.sections.across.machines import section as machines
from results.report.sections.limits.fits import fits_tables
from results.report.sections.verdict import sentence
from results.report.site import answers, notes
from results.report.view import View
from results.schema import Question

HOME, RUNS, SAME_WORK = "index.html", "runs.html", "same-work.html"
# Runs of a site in which every chart has a picture; those of more would take too long, so they are words
# until the page's script draws them.
MOST_PICTURED = 60
Make = Callable[[View], Section | None]


@dataclass(frozen=True)
class Page:
    name: str
    short: str  # in the navigation; empty: not there
    document: Document


# Name, word in the navigation, title, what answers first, the sections behind it.
QUESTIONS: tuple[tuple[str, str, str, answers.Answer, tuple[Make, ...]], ...] = (
    (SAME_WORK, "Same work", "Is it the same work?", answers.equal_work, (equivalence.section,)),
    (
        "speed.html",
        "Speed",
        "How fast?",
        answers.speed,
        (speed.figures_section, controls.section),
    ),
    ("memory.html", "Memory", "How much memory?", answers.memory, (memory.section,)),
    (
        "largest-batch.html",
        "Largest batch",
        "What is the largest batch?",
        answers.largest_batch,
        (limits.section,),
    ),
    (
        "accuracy.html",
        "Accuracy",
        "How accurate?",
        answers.accuracy,
        (accuracy.section, published.section),
    ),
    ("cost.html", "Cost", "What does it cost?", answers.nothing, (cost.section,)),
    (
        "machines.html",
        "GPU types",
        "What fits where, and how machines compare",
        limits.first_lines,
        (machines,),
    ),
    ("tuning.html", "Tuning", "How fast can it be made?", tuning.summary, (tuning.section,)),
    (
        "levers.html",
        "Changes",
        "What does each change save and cost?",
        answers.nothing,
        (levers.section,),
    ),
    (
        "studies.html",
        "Studies",
        "What does each change do to the accuracy?",
        answers.studies,
        (studies.section,),
    ),
    (
        "finders.html",
        "Batch finders",
        "What do other batch size finders answer?",
        answers.nothing,
        (finders.section,),
    ),
    (
        "predictions.html",
        "Predictions",
        "How far can predictions be trusted?",
        answers.nothing,
        (predictions.section,),
    ),
    (
        "history.html",
        "History",
        "How did figures change?",
        answers.nothing,
        (history.section,),
    ),
    (
        "not-measured.html",
        "Not measured",
        "What was not measured",
        answers.nothing,
        (not_measured.section,),
    ),
)


def pages(view: View) -> list[Page]:
    """The home, the pages of questions and studies, and the list of runs. A question that no run asked
    has no page."""
    found = [
        Page(name, short, _document(title, answer(view), made))
        for name, short, title, answer, sections in QUESTIONS
        if (made := [_folded(s) for make in sections if (s := make(view))])
    ]
    return [_home(view, found), *found, _runs(view)]


def _document(title: str, answer: list[Block], made: Sequence[Section]) -> Document:
    """What a section begins with is the page's answer, where it has no other."""
    first, *others = made
    if not answer:
        lead = next((i for i, b in enumerate(first.blocks) if not _is_lead(b)), len(first.blocks))
        answer, first = list(first.blocks[:lead]), replace(first, blocks=first.blocks[lead:])
    return Document(title, answer, [first, *others])


def _is_lead(block: Block) -> bool:
    return isinstance(block, Paragraph) and block.tone == "lead"


def page_name(text: str, number: int) -> str:
    """A file name from a run's name, whatever it holds."""
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60]
    return f"run-{number:03}-{slug}.html" if slug else f"run-{number:03}.html"


def cards(view: View, found: Sequence[Page]) -> list[Card]:
    """One per machine and task; its links lead to the questions that were asked."""
    names = {page.name: Link(page.short, page.name) for page in found}
    asked: dict[Question, str] = {
        "throughput": "speed.html",
        "memory": "memory.html",
        "accuracy": "accuracy.html",
    }
    return [
        card(
            view,
            rows,
            names.get(SAME_WORK),
            [
                names[name]
                for question, name in asked.items()
                if name in names and any(row.status(question) == "ok" for row in rows)
            ],
        )
        for rows in view.comparisons
    ]


def _home(view: View, found: Sequence[Page]) -> Page:
    blocks: list[Block] = []
    if view.comparisons:
        blocks += [*answers.in_short(view), Cards(cards(view, found))]
    written = notes.conclusions(view)
    sections = [Section(notes.CONCLUSIONS, "conclusions", written)] if written else []
    sections += [
        Section(title, anchor, [*lines, Links([Link("all figures", page)])])
        for title, anchor, lines, page in (
            ("What fits", "fits", fits_tables(view), "largest-batch.html"),
            ("Tuned recipes", "tuned", tuning.summary(view), "tuning.html"),
        )
        if lines
    ]
    if not blocks and not sections:
        blocks.append(Paragraph("No job gave figures.", "failed"))
    failed = [m for run in view.runs for m in run.measurements if m.status != "ok"]
    if failed:
        text = f"{count(len(failed))} jobs have no figures: the reasons"
        blocks.append(Links([Link(text, "not-measured.html")]))
    title = "Which framework fine-tunes faster, in how much memory, and how well?"
    return Page(HOME, "Overview", Document(title, blocks, sections))


def _folded(section: Section) -> Section:
    """The charts and tables stay; words on method, notes, versions and commands are folded."""
    kept: list[Block] = []
    folded: list[Block] = []
    for block in section.blocks:
        words = isinstance(block, Listing) or (
            isinstance(block, Paragraph) and block.tone == "small"
        )
        if words:
            folded.append(block)
        elif isinstance(block, Details) and folded and block.title.startswith("Data, device"):
            folded += block.blocks
        else:
            kept.append(block)
    if folded:
        kept.append(Details("Method, notes, versions, and the command that repeats it", folded))
    return Section(section.title, section.anchor, kept)


def _runs(view: View) -> Page:
    columns = [
        Column("run", numeric=False),
        Column("date", numeric=False),
        Column("machine", numeric=False),
        Column("profile", numeric=False),
        Column("questions", numeric=False),
        Column("jobs"),
        Column("without figures"),
    ]
    rows = []
    for number, run in enumerate(view.runs, 1):
        failed = sum(m.status != "ok" for m in run.measurements)
        asked = dict.fromkeys(m.job.question.replace("_", " ") for m in run.measurements)
        rows.append(
            [
                Cell(run.name, target=page_name(run.name, number)),
                Cell(run.origin.started_at[:16].replace("T", " ")),
                Cell(run.origin.machine),
                Cell(run.info.profile if run.info else ""),
                Cell(", ".join(asked) or "prediction"),
                Cell(count(len(run.measurements))),
                Cell(count(failed), tone="warning" if failed else ""),
            ]
        )
    rows.sort(key=lambda row: row[1].text, reverse=True)
    text = (
        "A figure of this site comes from the newest run that measured it, among those in which most "
        "backends answered the question. A run's page has all its figures."
    )
    return Page(RUNS, "Runs", Document("All runs", [Paragraph(text), Table(columns, rows)]))


def run_pages(view: View) -> Iterator[Page]:
    """Everything that a run measured. One page at a time: their curves together would fill the memory."""
    makes: tuple[Make, ...] = (
        equivalence.section,
        speed.figures_section,
        tuning.section,
        controls.section,
        memory.section,
        levers.section,
        limits.section,
        finders.section,
        predictions.section,
        accuracy.section,
        studies.section,
        not_measured.section,
        settings.section,
    )
    for number, run in enumerate(view.runs, 1):
        alone = View.of([run], view.titles)
        sections = [s for make in makes if (s := make(alone))]
        if len(view.runs) > MOST_PICTURED:
            sections = [replace(s, blocks=list(map(without_pictures, s.blocks))) for s in sections]
        head: list[Block] = [
            Paragraph(sentence(alone, rows), "lead", alone.head(rows[0].comparison))
            for rows in alone.comparisons
        ]
        head += [*equivalence.first_lines(alone), *limits.first_lines(alone)]
        document = Document(f"Run {run.name}", head, sections)
        yield Page(page_name(run.name, number), "", document)
