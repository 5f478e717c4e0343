"""Speeds: rates of windows, ratios within a race."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from results.analysis.groups import Group, _gaps
from results.analysis.statistics import (
    Estimate,
    Interval,
    median,
    median_interval,
    paired_ratio,
    per_round,
    quartiles,
    ratio_of_totals,
)
from results.schema import Gap, Throughput, Window

NOISY_WIDTH = 0.10  # of the median: a wider interval marks the row


STOLEN_LIMIT = 0.01  # share of CPU time used by the hypervisor


OTHER_BUSY_LIMIT = 0.10  # share of CPU time used by other processes


THROTTLED_LIMIT = 0.05  # share of the window in which the GPU was throttled


Turn = tuple[str | None, int]  # a race and a round of it


@dataclass(frozen=True)
class Rate:
    """Windows of one kind, training or evaluation, as rates."""

    windows: tuple[float, ...]  # steps per second, one per window
    timed: tuple[Window, ...]  # the windows themselves
    turns: tuple[Turn, ...]  # the turn of each of them
    median: float  # steps per second
    quartiles: tuple[float, float]
    interval: Interval | None  # of the median, a round counting once; None below 6 rounds
    samples_per_second: float
    tokens_per_second: float  # non-padding
    padded_tokens_per_second: float
    padding_share: float
    disturbed_windows: int
    disturbances: tuple[str, ...] = ()  # in words, each once

    @property
    def noisy(self) -> bool:
        return self.interval is not None and self.interval.width > NOISY_WIDTH * self.median

    @property
    def disturbed(self) -> bool:
        return self.disturbed_windows > 0

    @property
    def rounds(self) -> int:
        return len(set(self.turns))


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


def speed_rows(group: Group) -> list[SpeedRow]:
    """The group's row; empty where nothing was timed."""
    timed = [m.throughput for m in group.ok if m.throughput and m.throughput.windows]
    if not timed:
        return []
    training = rate(
        [w for t in timed for w in t.windows], [t.race for t in timed for _ in t.windows]
    )
    evaluation = [w for t in timed for w in t.evaluation_windows]
    races = [t.race for t in timed for _ in t.evaluation_windows]
    return [
        SpeedRow(
            group,
            training,
            rate(evaluation, races) if evaluation else None,
            build_seconds=median([t.build_seconds for t in timed]),
            first_step_seconds=median([t.first_step_seconds for t in timed]),
            warmup_seconds=median([sum(w.seconds for w in t.warmup) for t in timed]),
            mfu=_mfu(timed, training.tokens_per_second),
            mfu_with_padding=_mfu(timed, training.padded_tokens_per_second),
            gaps=_gaps(group),
        )
    ]


def rate(windows: Sequence[Window], races: Sequence[str | None] | None = None) -> Rate:
    """Rates of `windows`, in their order; `races` names the race of each."""
    races = races or [None] * len(windows)
    steps_per_second = [w.steps / w.seconds for w in windows]
    examples_per_second = [w.examples / w.seconds for w in windows]
    turns = [(race, w.round) for race, w in zip(races, windows, strict=True)]
    tokens, padded = sum(w.tokens for w in windows), sum(w.padded_tokens for w in windows)
    return Rate(
        windows=tuple(steps_per_second),
        timed=tuple(windows),
        turns=tuple(turns),
        median=median(steps_per_second),
        quartiles=quartiles(steps_per_second),
        interval=median_interval(per_round(steps_per_second, turns)),
        samples_per_second=median(examples_per_second),
        tokens_per_second=median([w.tokens / w.seconds for w in windows]),
        padded_tokens_per_second=median([w.padded_tokens / w.seconds for w in windows]),
        padding_share=1 - tokens / padded if padded else 0.0,
        disturbed_windows=sum(is_disturbed(w) for w in windows),
        disturbances=tuple(dict.fromkeys(what for w in windows for what in disturbances(w))),
    )


def is_disturbed(window: Window) -> bool:
    """Whether anything else affected the figure."""
    return bool(disturbances(window))


def disturbances(window: Window) -> list[str]:
    """What disturbed a window, in words: other work on the processor or the GPU, or a GPU with
    lowered clocks."""
    load, found = window.load, []
    if (load.stolen_share or 0) > STOLEN_LIMIT:
        found.append("the hypervisor took processor time")
    if (load.other_busy_share or 0) > OTHER_BUSY_LIMIT:
        found.append("other work took processor time")
    if load.gpu_processes:
        found.append("other processes held the GPU")
    slowed = list(load.throttle_reasons or [])
    slowed += [r for r, share in (load.throttled_shares or {}).items() if share > THROTTLED_LIMIT]
    return found + [f"the GPU was slowed: {reason}" for reason in dict.fromkeys(slowed)]


def speed_ratio(first: Rate, second: Rate) -> Estimate | None:
    """How many times as fast `first` is, in examples per second, from pairs of windows: those of the
    same race, round and place. None where there is no pair.

    Where both windows of every pair processed the same number of tokens, as backends do that train
    on the same batches, this is the median ratio of the pairs. Where they did not, as with batches
    sorted by length, a pair does not compare like with like: then it is the ratio of the totals, all examples
    over all seconds."""
    pairs = _pairs(first, second)
    if not pairs:
        return None
    if all(a.tokens == b.tokens for _, a, b in pairs):
        return paired_ratio(
            [a.examples / a.seconds for _, a, _ in pairs],
            [b.examples / b.seconds for _, _, b in pairs],
            [turn for turn, _, _ in pairs],
        )
    ours, theirs = _totals((turn, a) for turn, a, _ in pairs), _totals((t, b) for t, _, b in pairs)
    return ratio_of_totals(ours, theirs)


def _pairs(first: Rate, second: Rate) -> list[tuple[Turn, Window, Window]]:
    found = []
    for turn in dict.fromkeys(turn for turn in first.turns if turn in second.turns):
        ours, theirs = (
            [window for window, own in zip(one.timed, one.turns, strict=True) if own == turn]
            for one in (first, second)
        )
        # Of a round that was cut short, the windows that both have.
        found += [(turn, a, b) for a, b in zip(ours, theirs, strict=False)]
    return found


def _totals(windows: Iterable[tuple[Turn, Window]]) -> list[tuple[float, float]]:
    """Examples and seconds of every round."""
    found: dict[Turn, list[Window]] = {}
    for turn, window in windows:
        found.setdefault(turn, []).append(window)
    return [
        (sum(w.examples for w in same), sum(w.seconds for w in same)) for same in found.values()
    ]


def _mfu(timed: Sequence[Throughput], tokens_per_second: float) -> float | None:
    """Model FLOPs per second / matmul FLOPs per second; None where either was not measured."""
    flops = [t.model_flops_per_token for t in timed if t.model_flops_per_token]
    matmul = [t.matmul_flops_per_second for t in timed if t.matmul_flops_per_second]
    if not flops or not matmul:
        return None
    return median(flops) * tokens_per_second / median(matmul)
