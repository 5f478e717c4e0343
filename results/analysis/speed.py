"""Speeds of participants, and their ratios within a race.

The unit is a launch, one process of a participant: launches of the same recipe differ by more than
the rounds of one launch tell. All speeds and ratios have one estimator. In each launch it is all
work over all seconds; over launches the mean of the logarithms, with Student's t interval. A single
launch has no such interval: then it is the median over its rounds, with the exact interval of a
median, which is about this launch only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, log

import numpy as np

from results.analysis.conditions import Conditions, conditions
from results.analysis.groups import Group, _gaps
from results.analysis.statistics import (
    LEVEL,
    Interval,
    mean_bounds,
    mean_p_value,
    median,
    median_bounds,
    quartiles,
)
from results.schema import Gap, Throughput, Window

NOISY_WIDTH = 0.10  # of the speed: a wider interval marks the row
FEWEST_LAUNCHES = 3  # for an interval over launches
SHORTEST_GPU_WINDOW_SECONDS = 0.5  # below it the synchronisations at the two ends count
# Of the chance of an error, at each look of a race that ends when it is decided. Simulated in
# benchmarks/studies/speed_claims: together the looks then err no more often than a single one.
LOOK_SHARE = 0.3

Turn = tuple[str | None, int, int]  # a race, a launch of it and a round of that


@dataclass(frozen=True)
class Sample:
    """Logarithms of a speed or of a ratio: one per launch or, of a single launch, one per round."""

    logs: tuple[float, ...]
    launches: int
    sequential: bool = False  # launches were added until the race was decided

    @property
    def value(self) -> float:
        """The speed or the ratio itself."""
        return exp(median(self.logs) if self.launches == 1 else float(np.mean(self.logs)))

    @property
    def error(self) -> float:
        """The accepted chance that an interval misses: 5 %, and less at each of several looks."""
        return (1 - LEVEL) * (LOOK_SHARE if self.sequential else 1)

    @property
    def interval(self) -> Interval | None:
        return self.interval_at(1 - self.error)

    def interval_at(self, level: float) -> Interval | None:
        """None where there are too few launches, or too few rounds of the only one."""
        bounds = None
        if self.launches == 1:
            bounds = median_bounds(np.array(self.logs), level)
        elif self.launches >= FEWEST_LAUNCHES:
            bounds = mean_bounds(np.array(self.logs), level)
        return None if bounds is None else Interval(exp(bounds[0]), exp(bounds[1]))

    @property
    def p_value(self) -> float | None:
        """Of the test that a ratio is 1; None without an interval over launches."""
        if self.launches < FEWEST_LAUNCHES:
            return None
        return min(1.0, mean_p_value(self.logs) / (LOOK_SHARE if self.sequential else 1))


@dataclass(frozen=True)
class Ratio(Sample):
    """How many times as fast one participant of a race is as another."""

    same_batches: bool = True  # both trained on the same batches

    @property
    def inverse(self) -> Ratio:
        logs = tuple(-value for value in self.logs)
        return Ratio(logs, self.launches, self.sequential, self.same_batches)


@dataclass(frozen=True)
class Rate:
    """Windows of one kind, training or evaluation, as rates."""

    timed: tuple[Window, ...]  # those that count: of a round that was taken again, the later take
    turns: tuple[Turn, ...]  # the turn of each of them
    windows: tuple[float, ...]  # steps per second of each
    speed: Sample  # steps per second
    quartiles: tuple[float, float]  # of the windows
    samples_per_second: float
    tokens_per_second: float  # non-padding
    padded_tokens_per_second: float
    padding_share: float
    disturbed_windows: int
    disturbances: tuple[str, ...] = ()  # in words, each once
    superseded: tuple[tuple[Turn, Window], ...] = ()  # disturbed takes of rounds taken again
    shortest_seconds: float = 0.0  # that a window has to last on this device

    @property
    def steps_per_second(self) -> float:
        return self.speed.value

    @property
    def interval(self) -> Interval | None:
        """Of the steps per second."""
        return self.speed.interval

    @property
    def noisy(self) -> bool:
        interval = self.interval
        return interval is not None and interval.width > NOISY_WIDTH * self.steps_per_second

    @property
    def disturbed(self) -> bool:
        return self.disturbed_windows > 0

    @property
    def window_seconds(self) -> float:
        """Of a typical window."""
        return median([w.seconds for w in self.timed])

    @property
    def short(self) -> bool:
        return 0 < self.shortest_seconds > self.window_seconds

    @property
    def rounds(self) -> int:
        return len(set(self.turns))

    @property
    def launches(self) -> int:
        return self.speed.launches


@dataclass(frozen=True)
class SpeedRow:
    group: Group
    training: Rate
    evaluation: Rate | None
    build_seconds: float
    first_step_seconds: float
    warmup_seconds: float
    mfu: float | None  # model FLOP/s of non-padding tokens over the measured matmul rate
    mfu_with_padding: float | None  # the same, with the padding that was computed on
    gaps: dict[str, Gap]
    equal_margin: float
    conditions: Conditions = field(default_factory=dict)  # that a fair race shares


def speed_rows(group: Group) -> list[SpeedRow]:
    """The group's row; empty where nothing was timed."""
    timed = [m.throughput for m in group.ok if m.throughput and m.throughput.windows]
    if not timed:
        return []
    sequential = any(t.sequential for t in timed)
    on_gpu = any(m.device.kind == "gpu" for m in group.ok)
    shortest = SHORTEST_GPU_WINDOW_SECONDS if on_gpu else 0.0
    training = rate(
        [w for t in timed for w in t.windows],
        [t.race for t in timed for _ in t.windows],
        sequential,
        shortest,
    )
    evaluation = [w for t in timed for w in t.evaluation_windows]
    races = [t.race for t in timed for _ in t.evaluation_windows]
    gaps, mfu = _gaps(group), _mfu(timed, training.tokens_per_second)
    mfu_with_padding = _mfu(timed, training.padded_tokens_per_second)
    if max(mfu or 0, mfu_with_padding or 0) > 1:  # the matrix rate was measured wrong
        mfu = mfu_with_padding = None
        gaps |= {"matmul_flops_per_second": "implausible"}
    return [
        SpeedRow(
            group,
            training,
            rate(evaluation, races, sequential, shortest) if evaluation else None,
            build_seconds=median([t.build_seconds for t in timed]),
            first_step_seconds=median([t.first_step_seconds for t in timed]),
            warmup_seconds=median([t.warmup_seconds for t in timed]),
            mfu=mfu,
            mfu_with_padding=mfu_with_padding,
            gaps=gaps,
            equal_margin=timed[0].equal_margin,
            conditions=conditions(m for m in group.ok if m.throughput and m.throughput.windows),
        )
    ]


def rate(
    windows: Sequence[Window],
    races: Sequence[str | None] | None = None,
    sequential: bool = False,
    shortest_seconds: float = 0.0,
) -> Rate:
    """Rates of `windows`, in their order; `races` names the race of each, `shortest_seconds` is what a
    window has to last."""
    races = races or [None] * len(windows)
    every = [((race, w.launch, w.round), w) for race, w in zip(races, windows, strict=True)]
    turns = tuple(turn for turn, w in every if not w.superseded)
    timed = tuple(w for _, w in every if not w.superseded)
    tokens, padded = sum(w.tokens for w in timed), sum(w.padded_tokens for w in timed)
    steps_per_second = [w.steps / w.seconds for w in timed]
    disturbances = [w.load.disturbances for w in timed]

    def per_second(amount: str) -> Sample:
        logs = _logs(_sums(turns, timed, amount))
        return Sample(tuple(logs.values()), _launches(turns), sequential)

    return Rate(
        timed,
        turns,
        windows=tuple(steps_per_second),
        speed=per_second("steps"),
        quartiles=quartiles(steps_per_second),
        samples_per_second=per_second("examples").value,
        tokens_per_second=per_second("tokens").value,
        padded_tokens_per_second=per_second("padded_tokens").value,
        padding_share=1 - tokens / padded if padded else 0.0,
        disturbed_windows=sum(map(bool, disturbances)),
        disturbances=tuple(dict.fromkeys(what for words in disturbances for what in words)),
        superseded=tuple((turn, w) for turn, w in every if w.superseded),
        shortest_seconds=shortest_seconds,
    )


def speed_ratio(first: Rate, second: Rate) -> Ratio | None:
    """How many times as fast `first` is, in examples per second, from the turns that both took:
    the same round of the same launch of one race. None where there is none."""
    common = set(first.turns) & set(second.turns)
    if not common:
        return None
    sides = []
    for one in (first, second):
        kept = [(turn, w) for turn, w in zip(one.turns, one.timed, strict=True) if turn in common]
        sides.append(([turn for turn, _ in kept], [w for _, w in kept]))
    (turns, ours), (their_turns, theirs) = sides
    batches = [_sums(where, windows, "tokens") for where, windows in sides]
    other = _logs(_sums(their_turns, theirs, "examples"))
    return Ratio(
        tuple(value - other[at] for at, value in _logs(_sums(turns, ours, "examples")).items()),
        _launches(turns),
        first.speed.sequential or second.speed.sequential,
        all(batches[0][turn][0] == batches[1][turn][0] for turn in common),
    )


def _launches(turns: Sequence[Turn]) -> int:
    return len({turn[:2] for turn in turns})


def _sums(
    turns: Sequence[Turn], windows: Sequence[Window], amount: str
) -> dict[Turn, tuple[float, float]]:
    """What was done in every turn, in steps, examples or tokens, and its seconds."""
    found: dict[Turn, tuple[float, float]] = {}
    for turn, window in zip(turns, windows, strict=True):
        done, seconds = found.get(turn, (0.0, 0.0))
        found[turn] = done + getattr(window, amount), seconds + window.seconds
    return found


def _logs(sums: Mapping[Turn, tuple[float, float]]) -> dict[tuple[object, ...], float]:
    """The logarithm of all that was done over all the seconds: by launch or, where there is only
    one, by round."""
    parts = 3 if _launches(list(sums)) == 1 else 2
    found: dict[tuple[object, ...], tuple[float, float]] = {}
    for turn, (done, seconds) in sums.items():
        before = found.get(turn[:parts], (0.0, 0.0))
        found[turn[:parts]] = before[0] + done, before[1] + seconds
    return {at: log(done / seconds) for at, (done, seconds) in found.items()}


def _mfu(timed: Sequence[Throughput], tokens_per_second: float) -> float | None:
    """Model FLOPs per second / matmul FLOPs per second; None where either was not measured."""
    flops = [t.model_flops_per_token for t in timed if t.model_flops_per_token]
    matmul = [t.matmul_flops_per_second for t in timed if t.matmul_flops_per_second]
    if not flops or not matmul:
        return None
    return median(flops) * tokens_per_second / median(matmul)
