"""Generated texts that need no file: a seeded generator for the two shapes of the named tasks.

Neither shape can be answered by a short cut, by construction:

* Reviews come in twins with opposite labels. In three twins of five both have the same words in
  another order, so that every reader of a bag of words is right exactly half of the time: one
  must read which clause counts (contrast) and what a negation turns round. In the others the
  verdicts stand alone, which gives a learner its start. So a bag of words is right on at most
  seven reviews in ten.
* Pairs come in groups of nine: three first texts x three second texts, arranged so that every
  text stands once under every label. So a reader of one text alone is right exactly once in
  three.

Only PCG64's raw output is used, which numpy keeps the same for good, so that the same seed gives
the same texts on every machine and with every numpy. Texts of the first n examples do not depend
on how many follow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TypeVar

import numpy as np

T = TypeVar("T")

# How many examples 'all' means for generated data, which has no end.
TRAIN_EXAMPLES = 10_000
EVALUATION_EXAMPLES = 2_000

# Characters of a real IMDb training review: share of reviews that are at most this long. The
# quartiles and ends are the data set's; between them lengths are interpolated on a log scale,
# with knots that give its mean (1,325) and standard deviation (1,003).
LENGTH_SHARES = (0.0, 0.02, 0.25, 0.5, 0.75, 0.95, 0.999, 1.0)
LENGTH_CHARACTERS = (52, 350, 702, 979, 1614, 3100, 5800, 13704)
LENGTH_SCALE = 0.3  # generated reviews are this much of the real length

GOOD = ("brilliant", "wonderful", "superb", "excellent", "great")
BAD = ("dull", "awful", "terrible", "horrible", "boring")
NEGATIONS = ("not", "never", "hardly")
ASPECTS = (
    "acting",
    "story",
    "script",
    "music",
    "photography",
    "dialogue",
    "direction",
    "ending",
    "editing",
    "pacing",
    "humour",
    "casting",
)
# {kept} is what the writer holds in the end, {lost} what the sentence sets against it.
PLAIN = ("The {a} was {kept}.", "I found it {kept}.", "All in all it was {kept}.")
CONTRASTS = (
    "The {a} was {lost}, but the {b} was {kept} and that decides it.",
    "Although the {a} was {lost}, the {b} was {kept} and that decides it.",
    "What decides it is that the {b} was {kept}, even though the {a} was {lost}.",
    "Critics called it {lost}, but I found it {kept}.",
    "I found it {kept}, whatever critics called {lost}.",
    "My friends said it was {lost}, yet for me it was {kept}.",
    "For me it was {kept}, while my friends said it was {lost}.",
)
HEROES = (
    "detective",
    "teacher",
    "sailor",
    "widow",
    "farmer",
    "pianist",
    "student",
    "journalist",
    "nurse",
    "soldier",
    "gardener",
    "lawyer",
)
QUESTS = (
    "looks for a lost brother",
    "opens a small hotel",
    "inherits an old house",
    "crosses the mountains",
    "returns to the village",
    "learns to dance",
    "hides a bundle of letters",
    "follows a stranger",
    "waits for a train",
)
PLACES = ("Lisbon", "Vienna", "Chicago", "Kyoto", "Dublin", "Cairo", "Montreal", "Bergen")
SETTINGS = (
    "The film follows a {hero} who {quest} in {place}.",
    "We meet a {hero} from {place} who {quest}.",
    "It runs for {minutes} minutes and was shot in {place}.",
    "In the second half a {hero} {quest}, and the scene moves to {place}.",
    "I saw it in {place} with a {hero} I know.",
    "There is a {hero}, there is a {other}, and one of them {quest}.",
    "The {hero} and the {other} meet in {place}, some {minutes} minutes in.",
    "Most of it takes place in {place}, where the {other} {quest}.",
)

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
# Of two opposites a person is one at a time.
FACTS = (
    ("is {}", ("tall", "short")),
    ("is {}", ("awake", "asleep")),
    ("is {}", ("rich", "poor")),
    ("is {}", ("happy", "sad")),
    ("is {}", ("young", "old")),
    ("is sitting {}", ("indoors", "outdoors")),
)
# How the first text speaks: one manner for training and the matched set, another for the
# mismatched one.
MATCHED = (
    "{name} {x} and {y}.",
    "As we know, {name} {x} and {y}.",
    "They say that {name} {x} and {y}.",
)
MISMATCHED = (
    "According to the letter {name} {x} and also {y}.",
    "Yes, well, {name} {x}, you know, and {y}.",
)


class _Draw:
    """Choices from PCG64's raw 64-bit output."""

    def __init__(self, seed: int, stream: str) -> None:
        self._raw = np.random.PCG64([seed, *stream.encode()]).random_raw

    def below(self, count: int) -> int:
        return int(self._raw()) % count

    def share(self) -> float:
        """Uniform in [0, 1)."""
        return (int(self._raw()) >> 11) / 2**53

    def pick(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]

    def picks(self, options: Sequence[T], count: int) -> list[T]:
        """`count` different options in random order (Fisher and Yates)."""
        left = list(options)
        return [left.pop(self.below(len(left))) for _ in range(count)]


def reviews(count: int, seed: int, stream: str) -> tuple[list[str], np.ndarray]:
    """`count` reviews and their labels (0 negative, 1 positive), int32 (count,). `stream` names
    the set: other streams give other reviews."""
    rows = list(islice(_twins(_Draw(seed, f"reviews {stream}")), count))
    return [text for text, _ in rows], np.array([label for _, label in rows], np.int32)


def _twins(draw: _Draw) -> Iterator[tuple[str, int]]:
    while True:
        target = _review_characters(draw.share()) - _HALF_SENTENCE
        verdicts = PLAIN if draw.below(5) < 2 else CONTRASTS
        parts: list[tuple[str, str]] = []  # a sentence as the negative and positive twin have it
        while not parts or sum(len(negative) + 1 for negative, _ in parts) < target:
            # A verdict comes first, so that a reader of the first tokens can judge; then again.
            parts.append(_verdict(draw, verdicts) if len(parts) % 4 == 0 else (_setting(draw),) * 2)
        gap = "<br /><br />" if draw.below(4) == 0 else " "
        for label in draw.picks((0, 1), 2):
            yield gap.join(part[label] for part in parts), label


_HALF_SENTENCE = 30  # characters, so that reviews pass their length as often as they miss it


def _verdict(draw: _Draw, templates: Sequence[str]) -> tuple[str, str]:
    good, bad = _opinion(draw, GOOD, BAD), _opinion(draw, BAD, GOOD)
    a, b = draw.picks(ASPECTS, 2)
    template = draw.pick(templates)
    return (
        template.format(a=a, b=b, lost=good, kept=bad),
        template.format(a=a, b=b, lost=bad, kept=good),
    )


def _opinion(draw: _Draw, words: Sequence[str], opposites: Sequence[str]) -> str:
    if draw.below(4) == 0:
        return f"{draw.pick(NEGATIONS)} {draw.pick(opposites)}"
    return draw.pick(words)


def _setting(draw: _Draw) -> str:
    hero, other = draw.picks(HEROES, 2)
    return draw.pick(SETTINGS).format(
        hero=hero,
        other=other,
        quest=draw.pick(QUESTS),
        place=draw.pick(PLACES),
        minutes=80 + 5 * draw.below(15),
    )


def _review_characters(share: float) -> float:
    """The scaled length that this share of reviews does not pass."""
    logs = np.log(np.array(LENGTH_CHARACTERS, np.float64))
    return LENGTH_SCALE * float(np.exp(np.interp(share, LENGTH_SHARES, logs)))


def pairs(
    count: int, seed: int, stream: str, *, matched: bool = True
) -> tuple[list[str], list[str], np.ndarray]:
    """`count` sentence pairs: first texts, second texts and labels (0 the first says it,
    1 it leaves it open, 2 it rules it out), int32 (count,)."""
    draw = _Draw(seed, f"pairs {stream}")
    rows = list(islice(_groups_of_nine(draw, MATCHED if matched else MISMATCHED), count))
    labels = np.array([label for _, _, label in rows], np.int32)
    return [first for first, _, _ in rows], [second for _, second, _ in rows], labels


def _groups_of_nine(draw: _Draw, manners: Sequence[str]) -> Iterator[tuple[str, str, int]]:
    """First text i tells facts i (as the second texts have it) and i + 1 (otherwise), and is
    silent on fact i + 2: so it entails second text i, rules out i + 1 and leaves i + 2 open."""
    while True:
        name = draw.pick(NAMES)
        facts = draw.picks(FACTS, 3)
        values = [draw.picks(opposites, 2) for _, opposites in facts]
        firsts = []
        for i in range(3):
            j = (i + 1) % 3
            told = [facts[i][0].format(values[i][0]), facts[j][0].format(values[j][1])]
            x, y = draw.picks(told, 2)
            firsts.append(draw.pick(manners).format(name=name, x=x, y=y))
        seconds = [f"{name} {facts[j][0].format(values[j][0])}." for j in range(3)]
        label_by_distance = (0, 2, 1)
        for cell in draw.picks(range(9), 9):
            i, j = divmod(cell, 3)
            yield firsts[i], seconds[j], label_by_distance[(j - i) % 3]
