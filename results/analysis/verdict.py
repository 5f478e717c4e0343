"""What a race says: who is fastest, who is equally fast, or that it cannot be told. Pure functions.

A claim needs evidence, and so does equality. The first is the fastest if its ratio's interval lies
above 1 against every rival, at a confidence corrected for their number. Two are equal if the
interval of two one-sided tests lies inside the margin. Everything else cannot be told, and the
verdict says about how many launches would tell. A single launch shows nothing of how launches
differ, so it needs more: 9 rounds, and a lower end above 1.05.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log, sqrt
from typing import Literal

import numpy as np

from results.analysis.conditions import unequal_text
from results.analysis.speed import FEWEST_LAUNCHES, Rate, Ratio, SpeedRow, speed_ratio
from results.analysis.statistics import Interval, holm, student_t

FEWEST_ROUNDS = 9  # of a single launch, before a winner is named
ONE_LAUNCH_LEAD = 1.05  # which the whole interval of a single launch must exceed
MOST_LAUNCHES = 100  # beyond it, the number of launches that would tell is not worth a figure
POWER = 0.8  # with which that number of launches would tell

Kind = Literal["fastest", "equal", "undecided", "not_compared"]


@dataclass(frozen=True)
class Rival:
    """The first of a race against one of the others."""

    name: str
    ratio: Ratio  # the first's speed over this one's
    interval: Interval | None  # at the confidence that is corrected for the number of rivals
    slower: bool
    equal: bool


@dataclass(frozen=True)
class Verdict:
    """The outcome of one race among rivals of the same size."""

    kind: Kind
    order: tuple[str, ...]  # names of the participants, the fastest first, as far as measured
    rivals: tuple[Rival, ...] = ()  # of the first, in their order
    launches: int = 0
    rounds: int = 0  # of a single launch
    needed: int | None = None  # launches that would probably decide; None: decided, or unknown
    reason: str | None = None  # why nothing can be compared
    margin: float = 0.05

    @property
    def decided(self) -> bool:
        return self.kind in ("fastest", "equal")

    @property
    def winner(self) -> str | None:
        return self.order[0] if self.kind == "fastest" else None

    @property
    def leaders(self) -> tuple[str, ...]:
        """The first and those that are not shown to be slower."""
        return (*self.order[:1], *(rival.name for rival in self.rivals if not rival.slower))

    @property
    def p_value(self) -> float | None:
        """Of the claim that the first is fastest, corrected for the number of rivals; None where
        there is no such claim, or nothing is known of other launches."""
        values = [rival.ratio.p_value for rival in self.rivals]
        if self.kind != "fastest" or None in values:
            return None
        return min(1.0, len(values) * max(value for value in values if value is not None))

    def sentence(self, titles: Mapping[str, str] | None = None) -> str:
        """The claim in one sentence, without a full stop; `titles` are the names to show."""
        return _sentence(self, titles or {})


def judge(rows: Sequence[SpeedRow]) -> Verdict:
    """The verdict on the backends of one comparison whose models have the same size, by backend.
    Backends that computed under different conditions, such as other numbers of threads, are not
    compared."""
    if text := unequal_text({row.group.backend: row.conditions for row in rows}):
        return Verdict("not_compared", _order(_rates(rows)), reason=f"they computed {text}")
    return judge_rates(_rates(rows), min((row.equal_margin for row in rows), default=0.05))


def judge_rates(rates: Mapping[str, Rate], margin: float = 0.05) -> Verdict:
    """The verdict on participants by name. Those that were not all raced together are not
    compared."""
    order = _order(rates)
    if len(order) < 2:
        return Verdict("not_compared", order, reason="it had no rival")
    first, others = order[0], order[1:]
    ratios = {name: speed_ratio(rates[first], rates[name]) for name in others}
    raced = {name: ratio for name, ratio in ratios.items() if ratio is not None}
    if len(raced) < len(others):
        return Verdict("not_compared", order, reason="they were not raced together")
    rivals = tuple(rival(name, ratio, len(others), margin) for name, ratio in raced.items())
    launches = min(ratio.launches for ratio in raced.values())
    rounds = min(len(ratio.logs) for ratio in raced.values()) if launches == 1 else 0
    undecided = [one for one in rivals if not (one.slower or one.equal)]
    kind: Kind = "undecided"
    if all(one.slower for one in rivals):
        kind = "fastest"
    elif not undecided:
        kind = "equal"
    needed = None
    if undecided and launches >= FEWEST_LAUNCHES:
        most = max(_needed(one.ratio, len(rivals), margin) for one in undecided)
        needed = max(launches + 1, most)
    return Verdict(kind, order, rivals, launches, rounds, needed, margin=margin)


def rival(name: str, ratio: Ratio, count: int = 1, margin: float = 0.05) -> Rival:
    """What a ratio says of one of `count` rivals."""
    interval = ratio.interval_at(1 - ratio.error / count)
    if ratio.launches == 1:
        enough = len(ratio.logs) >= FEWEST_ROUNDS and interval is not None
        slower = enough and interval is not None and interval.low > ONE_LAUNCH_LEAD
        return Rival(name, ratio, interval, slower, equal=False)
    inner = ratio.interval_at(1 - 2 * ratio.error)  # two one-sided tests
    equal = inner is not None and 1 / (1 + margin) < inner.low and inner.high < 1 + margin
    return Rival(name, ratio, interval, interval is not None and interval.low > 1, equal)


def is_faster(ratio: Ratio | None, tried: int = 1) -> bool:
    """Whether one recipe is faster than another, where so many were `tried`."""
    return ratio is not None and rival("", ratio, tried).slower


def surviving(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The claims of a whole report that hold when all of them together may err in 5 % (Holm)."""
    claims = [(verdict, verdict.p_value) for verdict in verdicts]
    known = [(verdict, value) for verdict, value in claims if value is not None]
    kept = holm([value for _, value in known])
    return [verdict for (verdict, _), holds in zip(known, kept, strict=True) if holds]


def claims_text(verdicts: Sequence[tuple[str, Verdict]]) -> str:
    """How many false winners to expect of the races of a report, by their subject, and which claims
    hold together; empty where no race over launches names a winner."""
    raced = [verdict for _, verdict in verdicts if verdict.launches >= FEWEST_LAUNCHES]
    if all(verdict.p_value is None for verdict in raced):
        return ""
    kept = surviving(raced)
    heads = [head for head, verdict in verdicts if any(verdict is one for one in kept)]
    return (
        f"At most one race in 20 names a false winner: of {len(raced)} "
        f"{'race' if len(raced) == 1 else 'races'}, expect at most {0.05 * len(raced):.2g}. "
        "With Holm's correction over all races of this report, these winners stay: "
        f"{_listed(heads) or 'none'}."
    )


def _rates(rows: Sequence[SpeedRow]) -> dict[str, Rate]:
    return {row.group.backend: row.training for row in rows}


def _order(rates: Mapping[str, Rate]) -> tuple[str, ...]:
    """By the estimator of the ratios, so that no rank contradicts one."""
    reference = next(iter(rates.values()), None)

    def slowness(name: str) -> tuple[float, str]:
        ratio = speed_ratio(rates[name], reference) if reference else None
        return -(ratio.value if ratio else rates[name].samples_per_second), name

    together = reference is not None and all(speed_ratio(r, reference) for r in rates.values())
    if together:
        return tuple(sorted(rates, key=slowness))
    return tuple(sorted(rates, key=lambda name: (-rates[name].samples_per_second, name)))


def _needed(ratio: Ratio, rivals: int, margin: float) -> int:
    """About how many launches would tell a difference as large as the measured one, or equality,
    whichever takes fewer; with 80 % power, if launches go on to differ as they did."""
    spread, distance = float(np.std(ratio.logs, ddof=1)), abs(log(ratio.value))
    room = log(1 + margin) - distance
    for count in range(FEWEST_LAUNCHES, MOST_LAUNCHES + 1):
        error = spread / sqrt(count)
        reserve = student_t(count - 1, 2 * POWER - 1)
        different = student_t(count - 1, 1 - ratio.error / rivals) + reserve
        equal = student_t(count - 1, 1 - 2 * ratio.error) + reserve
        if distance > different * error or room > equal * error:
            return count
    return MOST_LAUNCHES + 1


def lead_words(ratio: Ratio, interval: Interval | None = None) -> tuple[str, str]:
    """('12.3 % faster (10.1 to 14.6 %)', 'than') or ('2.41 times as fast (2.30 to 2.52)', 'as')."""
    interval = interval or ratio.interval
    if ratio.value >= 2:
        ends = f" ({interval.low:.2f} to {interval.high:.2f})" if interval else ""
        return f"{ratio.value:.2f} times as fast{ends}", "as"
    ends = ""
    if interval:
        ends = f" ({100 * (interval.low - 1):.1f} to {100 * (interval.high - 1):.1f} %)"
    return f"{100 * (ratio.value - 1):.1f} % faster{ends}", "than"


def launches_words(launches: int, rounds: int = 0) -> str:
    """'6 launches', 'one launch of 9 rounds'."""
    return f"{launches} launches" if launches > 1 else f"one launch of {rounds} rounds"


def _sentence(verdict: Verdict, titles: Mapping[str, str]) -> str:
    order = [titles.get(name, name) for name in verdict.order]
    names = dict(zip(verdict.order, order, strict=True))
    measured = launches_words(verdict.launches, verdict.rounds)
    if verdict.kind == "not_compared":
        return f"{_listed(order)}: no speeds are compared, because {verdict.reason}"
    if verdict.kind == "fastest":
        leads = []
        for one in verdict.rivals:
            lead, joint = lead_words(one.ratio, one.interval)
            leads.append(f"{lead} {joint} {names[one.name]}")
        small = (
            f"; the lead is within {100 * verdict.margin:g} %" if verdict.rivals[0].equal else ""
        )
        claim = "is" if len(leads) == 1 else "is fastest:"
        return f"{order[0]} {claim} {_listed(leads)}, in {measured}{small}"
    leaders = _listed([names[name] for name in verdict.leaders])
    ratios = _ratio_words(verdict, names)
    if verdict.kind == "equal":
        return (
            f"{leaders} are equally fast to within {100 * verdict.margin:g} %, in {measured} "
            f"({ratios})"
        )
    which = "faster" if len(verdict.leaders) == 2 else "fastest"
    return (
        f"which of {leaders} is {which} cannot be told with {measured} ({ratios}){_advice(verdict)}"
    )


def _ratio_words(verdict: Verdict, names: Mapping[str, str]) -> str:
    """'PyTorch over TensorFlow 1.02, 0.97 to 1.07': of those that are not shown to be slower."""
    found = []
    for one in (rival for rival in verdict.rivals if not rival.slower):
        ends = f", {one.interval.low:.2f} to {one.interval.high:.2f}" if one.interval else ""
        found.append(
            f"{names[verdict.order[0]]} over {names[one.name]} {one.ratio.value:.2f}{ends}"
        )
    return "; ".join(found)


def _advice(verdict: Verdict) -> str:
    if verdict.launches == 1:
        if verdict.rounds < FEWEST_ROUNDS:
            return f"; one launch needs at least {FEWEST_ROUNDS} rounds to name a winner"
        return (
            f"; one launch needs an interval that lies above {ONE_LAUNCH_LEAD:g} to name a winner"
        )
    if verdict.needed is None:
        return f"; at least {FEWEST_LAUNCHES} are needed"
    if verdict.needed > MOST_LAUNCHES:
        return f"; more than {MOST_LAUNCHES} would be needed"
    return f"; about {verdict.needed} would be needed"


def _listed(words: Sequence[str]) -> str:
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
