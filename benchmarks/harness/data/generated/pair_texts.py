"""Generated pairs of texts, in groups of nine about one person.

Most groups are three first texts x three second texts, arranged so that every text occurs once
under every label: one text alone tells nothing. In the others the second text gives the label away,
as it often does in real data sets of this kind. Without them a model that starts from nothing has
no way in: as long as it does not compare the texts, no change of its weights lowers the loss.

First texts occur equally often under every label in all groups, so a reader of the first text is
right exactly once in three. A reader of the second text is right on at most six pairs in ten.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count, islice

import numpy as np

from benchmarks.harness.data.generated.draw import Draw

NAMES = (
    "Maria",
    "John",
    "Amina",
    "Peter",
    "Yuki",
    "Carlos",
    "Ingrid",
    "David",
    "Leila",
    "Thomas",
    "Sofia",
    "Samuel",
    "Hanna",
    "Pavel",
    "Rosa",
    "Omar",
    "Clara",
    "Hugo",
    "Nadia",
    "Felix",
)
# A person is one of two opposites at a time.
FACTS = (
    ("is {}", ("tall", "short")),
    ("is {}", ("awake", "asleep")),
    ("is {}", ("rich", "poor")),
    ("is {}", ("happy", "sad")),
    ("is {}", ("young", "old")),
    ("is sitting {}", ("indoors", "outdoors")),
)
# Second texts that give the label away: a statement about nobody in particular is entailed, one
# with 'not' contradicts, and one about something else is neutral.
SOMEBODY = ("Somebody {fact}.", "At least one person {fact}.", "There is somebody who {fact}.")
BESIDE = (
    "has two brothers",
    "likes the sea",
    "owns a red bicycle",
    "speaks three languages",
    "collects stamps",
    "lives near the station",
)
VAGUE = ("more or less", "nearly", "rather")  # of first texts that leave the label undecided
PERIOD = 8  # groups, after which their kinds repeat
UNDECIDED, TELLING = (0,), (2, 4, 6)  # which of them; the others are crossed
# Wordings of the first text: of training and the matched set, and of the mismatched one.
MATCHED = (
    "{name} {x} and {y}.",
    "As we know, {name} {x} and {y}.",
    "They say that {name} {x} and {y}.",
)
MISMATCHED = (
    "According to the letter {name} {x} and also {y}.",
    "Yes, well, {name} {x}, you know, and {y}.",
)


def pairs(
    examples: int, seed: int, stream: str, *, matched: bool = True
) -> tuple[list[str], list[str], np.ndarray]:
    """`examples` sentence pairs: first texts, second texts and labels (0 the first entails the
    second, 1 it is neutral, 2 it contradicts), int32 (examples,). `stream` names the set: other
    streams give other pairs."""
    draw = Draw(seed, f"pairs {stream}")
    rows = list(islice(_groups_of_nine(draw, MATCHED if matched else MISMATCHED), examples))
    labels = np.array([label for _, _, label in rows], np.int32)
    return [first for first, _, _ in rows], [second for _, second, _ in rows], labels


Row = tuple[str, str, int]


def _groups_of_nine(draw: Draw, manners: Sequence[str]) -> Iterator[Row]:
    for number in count(1):
        name = draw.pick(NAMES)
        kind = number % PERIOD
        if kind in TELLING:
            rows = _telling(draw, manners, name)
        else:
            rows = _crossed(draw, manners, name, undecided=kind in UNDECIDED)
        yield from draw.picks(rows, 9)


def _crossed(draw: Draw, manners: Sequence[str], name: str, *, undecided: bool) -> list[Row]:
    """First text i states facts i (as the second texts do) and i + 1 (the opposite), and does not
    mention fact i + 2: so it entails second text i, contradicts i + 1 and is neutral to i + 2. In an
    undecided group the first texts are vague, and the labels are exchanged at random."""
    facts = draw.picks(FACTS, 3)
    values = [draw.picks(opposites, 2) for _, opposites in facts]
    label_by_distance = draw.picks((0, 1, 2), 3) if undecided else [0, 2, 1]
    firsts = []
    for i in range(3):
        stated = []
        for j, value in ((i, 0), ((i + 1) % 3, 1)):
            vague = f"{draw.pick(VAGUE)} " if undecided else ""
            stated.append(facts[j][0].format(vague + values[j][value]))
        firsts.append(_first_text(draw, manners, name, stated))
    seconds = [f"{name} {facts[j][0].format(values[j][0])}." for j in range(3)]
    return [
        (firsts[i], seconds[j], label_by_distance[(j - i) % 3]) for i in range(3) for j in range(3)
    ]


def _telling(draw: Draw, manners: Sequence[str], name: str) -> list[Row]:
    """Three first texts, each with three second texts of its own that give their labels away."""
    rows = []
    for _ in range(3):
        facts = draw.picks(FACTS, 2)
        values = [draw.pick(opposites) for _, opposites in facts]
        stated = [fact.format(value) for (fact, _), value in zip(facts, values, strict=True)]
        first = _first_text(draw, manners, name, stated)
        rows += [
            (first, draw.pick(SOMEBODY).format(fact=draw.pick(stated)), 0),
            (first, f"{name} {draw.pick(BESIDE)}.", 1),
            (first, f"{name} {draw.pick(stated).replace('is', 'is not', 1)}.", 2),
        ]
    return rows


def _first_text(draw: Draw, manners: Sequence[str], name: str, stated: Sequence[str]) -> str:
    x, y = draw.picks(stated, 2)
    return draw.pick(manners).format(name=name, x=x, y=y)
