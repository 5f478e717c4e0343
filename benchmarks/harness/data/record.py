"""The record of the data of a job, for its measurement."""

from __future__ import annotations

import hashlib

from benchmarks.harness.data.texts import Found, Texts
from results.schema import Data


def make_record(
    found: Found, kind: str, train: Texts, evaluations: dict[str, Texts], seed: int
) -> Data:
    task = found.task
    digest = hashlib.sha256()
    for name, texts in (("train", train), *evaluations.items()):
        digest.update(name.encode() + b"\0" + texts.digest())
    empty = train.count_empty() + sum(texts.count_empty() for texts in evaluations.values())
    notes = list(found.notes)
    if empty:
        notes.append(f"{empty:,} empty text{'s' * (empty > 1)} kept")
    notes += [
        f"no training {task.item} has the label {name!r}"
        for i, name in enumerate(task.label_names)
        if i not in train.labels
    ]
    return Data(
        source=kind,
        description=_description(found, kind == "embedded", train, evaluations, seed),
        generated=kind == "embedded",
        fingerprint=digest.hexdigest(),
        train_examples=len(train),
        evaluation_examples={name: len(texts) for name, texts in evaluations.items()},
        label_names=list(task.label_names),
        notes=notes,
    )


def _description(
    found: Found, generated: bool, train: Texts, evaluations: dict[str, Texts], seed: int
) -> str:
    task = found.task
    if generated:
        parts = [f"{len(train):,} training {task.item}s"]
        parts += [f"{len(texts):,} {name} {task.item}s" for name, texts in evaluations.items()]
        return f"generated data in the shape of {task.title}: {', '.join(parts)}, seed {seed}"

    def part(used: Texts, given: Texts, name: str) -> str:
        whole = len(used) == len(given)
        return f"{'all' if whole else f'{len(used):,} of'} {len(given):,} {name} {task.item}s"

    training = part(train, found.train, "training")
    published = task.published_train_examples
    if published and len(found.train) < published:
        of = "all" if len(train) == len(found.train) else f"{len(train):,} of"
        training = (
            f"{of} the {len(found.train):,} training {task.item}s given ({task.title} has "
            f"{published:,})"
        )
    parts = [training] + [
        part(texts, found.evaluations[name], name) for name, texts in evaluations.items()
    ]
    drawn = next(
        (
            i
            for i, (used, given) in enumerate(
                [
                    (train, found.train),
                    *((evaluations[n], found.evaluations[n]) for n in evaluations),
                ]
            )
            if len(used) < len(given)
        ),
        None,
    )
    if drawn is not None:
        parts[drawn] += f" by seed {seed}"
    return f"{task.title}: {', '.join(parts)}"
