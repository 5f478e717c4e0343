"""Where figures come from: data, device, versions and command of every table and plot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from results.analysis.compare import Row
from results.analysis.conditions import conditions_line
from results.analysis.groups import recipe_differences
from results.report.document import Block, Code, Details, Facts, Paragraph
from results.report.format import GIB, count, listed, number
from results.report.proofs import proof_of
from results.report.view import Run, View
from results.schema import Checkpoint, Data, Device, Measurement, Question


def labels(
    view: View, question: Question, *, compares: bool = True, how: str = "Measured"
) -> list[Block]:
    """One visible line, and the versions and the command folded below it."""
    works = [
        (run.name, m)
        for run in view.runs
        for m in run.measurements
        if (m.status == "ok" or m.batch_limit) and m.job.question == question
    ]
    used = [m for _, m in works]
    line = " · ".join(
        [
            how,
            *unique(data_words(m.data) for m in used if m.data),
            *unique(m.device.name for m in used),
            *unique(precision_words(m) for m in used),
            seed_words(used),
            *([proof_of(view, works)] if compares else []),
        ]
    )
    facts = [("data", text) for text in unique(data_text(m.data) for m in used if m.data)]
    facts += [("device", text) for text in unique(device_text(m.device) for m in used)]
    facts += version_facts(view, used)
    return [
        Paragraph(line, "small"),
        Details(
            "Data, device, versions, and the command that repeats it",
            [Facts(facts), *commands(view.runs)],
        ),
    ]


def commands(runs: Sequence[Run]) -> list[Block]:
    return [Code(text) for text in unique(run.info.command for run in runs if run.info)]


def data_words(data: Data) -> str:
    """Real or generated and, of real data, which copy."""
    if data.generated:
        return "generated data"
    copy = {"dir": "a local copy", "hub": "the hub's copy"}.get(data.source, data.source)
    return f"real data, {copy}"


def described(data: Data) -> str:
    """The description and whether the data are real, where the description does not say so."""
    words = data_words(data)
    return data.description if words in data.description else f"{data.description}: {words}"


def data_text(data: Data) -> str:
    sets = listed([f"{name} {count(n)}" for name, n in data.evaluation_examples.items()])
    notes = "".join(f"; {note}" for note in data.notes)
    return (
        f"{described(data)}; trained on {count(data.train_examples)}, "
        f"evaluated on {sets}; fingerprint {data.fingerprint[:12]}{notes}"
    )


def device_text(device: Device) -> str:
    memory = number(device.memory_bytes / GIB)
    more = [f"driver {device.driver}"] if device.driver else []
    more += [f"compute capability {device.compute_capability}"] if device.compute_capability else []
    kind = "GPU" if device.kind == "gpu" else "CPU"
    return ", ".join([f"{kind}: {device.name}", f"{device.cores} cores", f"{memory} GiB", *more])


def precision_words(m: Measurement) -> str:
    """The precision that the framework uses, and the recipe's where the two differ."""
    asked = m.recipe.get("precision")
    force = (m.effective or {}).get("precision", asked)
    return str(force) if force == asked else f"{force} in use (recipe: {asked})"


def checkpoint_text(checkpoint: Checkpoint) -> str:
    if checkpoint.tokenizer_only:
        return f"none (tokenizer of {checkpoint.name})"
    return checkpoint.name


def seed_words(used: Iterable[Measurement]) -> str:
    seeds = sorted({int(m.recipe["seed"]) for m in used if "seed" in m.recipe})
    if not seeds:
        return "no seed recorded"
    return f"{'seed' if len(seeds) == 1 else f'{len(seeds)} seeds:'} {listed(_str(seeds))}"


def version_facts(view: View, used: Sequence[Measurement]) -> list[tuple[str, str]]:
    found = []
    for backend in view.backends:
        ours = [m.versions for m in used if m.job.backend == backend]
        for text in unique(", ".join(f"{k} {v}" for k, v in sorted(one.items())) for one in ours):
            found.append((view.title(backend), text))
    return found


def recipe_notes(view: View, rows: Sequence[Row], question: Question) -> list[str]:
    """One line per recipe field in which the backends of a comparison differ."""
    compared = [g for row in rows for g in row.groups.get(question, [])[:1]]
    return [
        f"{view.head(rows[0].comparison)}: {name.replace('_', ' ')} differs: "
        + listed([f"{view.title(b)} {value}" for b, value in values.items()])
        for name, values in recipe_differences(compared)
    ]


def conditions_blocks(view: View, compared: Sequence[Sequence[Row]]) -> list[Block]:
    """Under which conditions the backends of each race computed, in one line where that is the same in
    all of them."""
    heads: dict[str, list[str]] = {}
    for rows in compared:
        sides = {view.title(row.backend): row.speed.conditions for row in rows if row.speed}
        heads.setdefault(conditions_line(sides), []).append(view.head(rows[0].comparison))
    blocks: list[Block] = []
    for line, of in heads.items():
        subject = f"Conditions of {listed(of)}" if len(heads) > 1 else "Conditions"
        blocks += [Paragraph(f"{subject}: {line}.", "small")] if line else []
    return blocks


def unique(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(text for text in texts if text))


def _str(values: Iterable[object]) -> list[str]:
    return [str(value) for value in values]
