"""Generated reviews, in twins that have opposite labels.

In five twins of nine that are decided both have the same words in another order, and the verdict
must be read from a contrast, perhaps with a negation: counting words is right exactly half of the
time. In the other four the verdicts stand alone. So counting words is right on at most seven
reviews in ten. In undecided twins a good and a bad opinion stand side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count, islice

import numpy as np

from benchmarks.harness.data.generated.draw import Draw

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
# {kept} is the verdict of the review, {lost} the opinion that the sentence contrasts it with.
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
UNDECIDED = (
    "The {a} was {kept} and the {b} was {lost}, so I cannot decide.",
    "I found it {kept} and {lost} at the same time.",
    "Some called it {kept}, others called it {lost}, and all of them were right.",
)
UNDECIDED_EVERY = 8  # one pair of twins in so many
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


def reviews(examples: int, seed: int, stream: str) -> tuple[list[str], np.ndarray]:
    """`examples` reviews and their labels (0 negative, 1 positive), int32 (examples,). `stream` names
    the set: other streams give other reviews."""
    rows = list(islice(_twins(Draw(seed, f"reviews {stream}")), examples))
    return [text for text, _ in rows], np.array([label for _, label in rows], np.int32)


def _twins(draw: Draw) -> Iterator[tuple[str, int]]:
    for number in count(1):
        target = _review_characters(draw.share()) - _HALF_SENTENCE
        undecided = number % UNDECIDED_EVERY == 0
        verdicts = UNDECIDED if undecided else PLAIN if draw.below(9) < 4 else CONTRASTS
        period = 2 if verdicts is PLAIN else 4
        parts: list[tuple[str, str]] = []  # a sentence of the negative and of the positive twin
        while not parts or sum(len(negative) + 1 for negative, _ in parts) < target:
            # A verdict comes first, so that the first tokens are enough to judge, and then again.
            is_verdict = len(parts) % period == 0
            parts.append(_verdict(draw, verdicts) if is_verdict else (_setting(draw),) * 2)
        gap = "<br /><br />" if draw.below(4) == 0 else " "
        texts = [gap.join(sentences) for sentences in zip(*parts, strict=True)]
        if undecided and draw.below(2):
            texts.reverse()
        for label in draw.picks((0, 1), 2):
            yield texts[label], label


_HALF_SENTENCE = 30  # characters, so that reviews pass their length as often as they miss it


def _verdict(draw: Draw, templates: Sequence[str]) -> tuple[str, str]:
    if templates is PLAIN:
        good, bad = draw.pick(GOOD), draw.pick(BAD)
    else:
        good, bad = _opinion(draw, GOOD, BAD), _opinion(draw, BAD, GOOD)
    a, b = draw.picks(ASPECTS, 2)
    template = draw.pick(templates)
    return (
        template.format(a=a, b=b, lost=good, kept=bad),
        template.format(a=a, b=b, lost=bad, kept=good),
    )


def _opinion(draw: Draw, words: Sequence[str], opposites: Sequence[str]) -> str:
    if draw.below(4) == 0:
        return f"{draw.pick(NEGATIONS)} {draw.pick(opposites)}"
    return draw.pick(words)


def _setting(draw: Draw) -> str:
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
