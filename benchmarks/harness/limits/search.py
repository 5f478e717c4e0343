"""The search for the largest batch that fits: pure arithmetic, no processes.

Batch sizes lie on a grid: every one up to 64, then steps of 5 % rounded to a multiple of 8. A
limit is proven when it trained and the next size of the grid failed. Memory grows almost linearly
with the batch, so a straight line through two small probes predicts the limit, which then only has
to be proven. Every probe that trained updates the line: it goes through the largest one, with the
slope of all. An expected limit, from a prediction or another task, replaces the second small probe
and the line. Further sizes are tried only if the line or the expectation was wrong: in growing
steps, then by bisection.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.harness.plan.batch_sizes import grid
from results.schema import MEMORY_OUTCOMES, Outcome, Probe

FIRST_PROBE = 4
SECOND_PROBE = 16  # the second small probe is no larger
FARTHEST = 32  # a prediction is followed up to this many times the largest known peak's size
# If an allocator counted the peaks: the share that its regions leave unfilled, and how far the line
# is followed.
COUNT_RESERVE, COUNT_FARTHEST = 0.08, 5
SURPRISES = 3  # wrong predictions after which the bracket is bisected
EXPECTED_FAILS = 2  # failures after which the expectation is dropped for the line


@dataclass(frozen=True)
class Fit:
    """peak = fixed_bytes + bytes_per_example x batch."""

    fixed_bytes: float
    bytes_per_example: float

    def peak_bytes(self, batch: float) -> float:
        return self.fixed_bytes + self.bytes_per_example * batch

    def largest(self, budget_bytes: float) -> float:
        """The largest batch, not rounded, whose peak lies within the budget."""
        if self.bytes_per_example <= 0:
            return float("inf")
        return (budget_bytes - self.fixed_bytes) / self.bytes_per_example


def fit_line(peaks: dict[int, int]) -> Fit | None:
    """A line through the largest batch, nearest to the limit, with the least-squares slope of all.
    `peaks` in bytes by batch size; None with fewer than two."""
    if len(peaks) < 2:
        return None
    centre = sum(peaks) / len(peaks)
    mean = sum(peaks.values()) / len(peaks)
    slope = sum((batch - centre) * (peak - mean) for batch, peak in peaks.items()) / sum(
        (batch - centre) ** 2 for batch in peaks
    )
    largest = max(peaks)
    return Fit(peaks[largest] - slope * largest, slope)


class Peaks:
    """The known peaks of a workload, and the limit that a line through them predicts."""

    def __init__(self, budget_bytes: int, sizes: Sequence[int], peaks: dict[int, int]) -> None:
        """`sizes` is the grid; `peaks` in bytes by batch size."""
        self.bytes = dict(peaks)
        self._budget_bytes, self._sizes = budget_bytes, sizes
        self._room_bytes, self._farthest = float(budget_bytes), FARTHEST

    def are_counts(self) -> None:
        """The peaks are the bytes that an allocator counts as in use. They cannot fill the budget,
        and the count grows more slowly for small sizes than for large ones."""
        self._farthest = COUNT_FARTHEST
        self._room_bytes = self._budget_bytes * (1 - COUNT_RESERVE)

    @property
    def fit(self) -> Fit | None:
        """The line; None with fewer than two peaks."""
        return fit_line(self.bytes)

    @property
    def grow(self) -> bool:
        """Whether the peaks grow with the batch, so that their line predicts the limit."""
        return self.fit is None or self.fit.bytes_per_example > 0

    def predicted_place(self) -> int | None:
        """The place of the predicted limit in the grid, -1 where not even one example should fit;
        None without a line."""
        fit = self.fit
        if fit is None:
            return None
        largest_known = max(self.bytes)
        times = self._farthest
        if fit.bytes_per_example <= 0:  # the line does not say where the peaks will grow
            times = 2 if largest_known < SECOND_PROBE else 4
        largest = min(fit.largest(self._room_bytes), times * largest_known, self._sizes[-1])
        return bisect_right(self._sizes, largest) - 1

    def second_size(self) -> int:
        """The size of the second probe: as far from the first as is certain to be cheap. The peak
        of b examples is at most b times that of one."""
        ((batch, peak),) = self.bytes.items()
        return min(SECOND_PROBE, max(batch + 1, 2 * batch * int(self._room_bytes // max(1, peak))))


class Search:
    """Chooses the next batch size to try, until the limit is proven.

    `next()` returns a batch size, `add()` takes its probe; when `next()` is None, `limit` and
    `fails_at` are proven. A search that is created from the same probes resumes at the same point.
    """

    def __init__(
        self,
        budget_bytes: int,
        highest: int,
        *,
        probes: Iterable[Probe] = (),
        peaks: dict[int, int] | None = None,
        expected: int | None = None,
        counts: bool = False,
    ) -> None:
        """`peaks`: of the same workload under other budgets, in bytes by batch size; they shape the
        line and prove nothing here. `expected`: the expected limit. `counts`: see
        `Peaks.are_counts`."""
        self._sizes = grid(highest)
        self.peaks = Peaks(budget_bytes, self._sizes, peaks or {})
        self._expected: int | None = None
        if expected is not None:
            self.start_at(expected)
        self._trained: set[int] = set()
        self._failures: dict[int, list[Outcome]] = {}
        self._surprises = self._up = self._down = 0
        if counts:
            self.peaks.are_counts()
        for probe in probes:
            self.add(probe)

    def start_at(self, expected: int) -> None:
        """Looks first where the limit is expected."""
        self._expected = self._place(expected)

    def add(self, probe: Probe) -> None:
        """Adds a probe whose outcome is 'ok' or a memory outcome.

        Errors: ValueError for another outcome, which says nothing about memory."""
        predicted, place = self._predicted(), self._place(probe.batch_size)
        if probe.outcome == "ok":
            self._trained.add(probe.batch_size)
            if probe.peak_bytes is not None:
                self.peaks.bytes[probe.batch_size] = probe.peak_bytes
            # Also where the last size that should train did, and now a larger one should.
            wrong = predicted is not None and (
                place > predicted or place == predicted < (self._predicted() or 0)
            )
            self._up, self._down = (self._up + 1 if wrong else 0), 0
        elif probe.outcome in MEMORY_OUTCOMES:
            known = self._failures.setdefault(probe.batch_size, [])
            wrong = predicted is not None and place <= predicted and not known
            known.append(probe.outcome)
            self._down, self._up = self._down + wrong, 0
        else:
            raise ValueError(f"the outcome {probe.outcome!r} says nothing about memory")
        self._surprises += wrong

    @property
    def limit(self) -> int:
        """The largest size that trained; 0: none has."""
        return max(self._trained, default=0)

    @property
    def fails_at(self) -> int | None:
        """The smallest size above `limit` that failed; None: none has."""
        return min((b for b in self._failures if b > self.limit), default=None)

    @property
    def fit(self) -> Fit | None:
        """The line through the peaks; None with fewer than two."""
        return self.peaks.fit

    def next(self) -> int | None:
        """The next batch size to try; None when the limit is proven, or lies at `highest`."""
        low, fails_at = self._place(self.limit), self.fails_at
        if low == len(self._sizes) - 1:
            return None
        high = len(self._sizes) if fails_at is None else self._place(fails_at)
        if high - low == 1 and fails_at is not None:
            # A disguised failure proves the limit only if it happens twice.
            return fails_at if self._failures[fails_at] == ["disguised_oom"] else None
        return self._sizes[min(max(self._wanted(low, high), low + 1), high - 1)]

    def _wanted(self, low: int, high: int) -> int:
        """The place in the grid to try, before it is clamped to the bracket."""
        predicted = self._predicted()
        if not self.peaks.bytes:
            return self._without_peaks(low, high)
        if predicted is None:
            second = self._place(self.peaks.second_size())
            return second if second < high else (low + high) // 2
        if high < len(self._sizes) and not self.peaks.grow:
            return (low + high) // 2
        if self._down and high - 3 ** (self._down - 1) > low:
            return int(min(predicted, max(high - 3 ** (self._down - 1), (low + high) // 2)))
        if self._up and high == len(self._sizes):
            return int(max(predicted, low + 2 ** (self._up - 1)))
        if (
            high < len(self._sizes)
            and self._surprises
            and (predicted >= high or self._surprises >= SURPRISES)
        ):
            return (low + high) // 2
        return predicted

    def _without_peaks(self, low: int, high: int) -> int:
        """A small size, then twice the last, then bisection."""
        if high < len(self._sizes):
            return (low + high) // 2
        if self._trained:
            return self._place(2 * self.limit)
        first = self._place(FIRST_PROBE)
        return first if self._expected is None else min(first, self._expected)

    def _predicted(self) -> int | None:
        """The place of the predicted limit: the expected one as long as the probes allow it."""
        if self._expected is not None:
            allowed = self._place(self.limit) <= self._expected
            if allowed and len(self._failures) < EXPECTED_FAILS:
                return self._expected
        return self.peaks.predicted_place()

    def _place(self, batch: int) -> int:
        """The place in the grid of the largest size up to `batch`; -1 below the smallest."""
        return bisect_right(self._sizes, batch) - 1
