"""The windows that a participant of a race takes in one launch."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from results.schema import Phase, Window


class Windows:
    """Windows by phase: those that warm up, and those that were timed."""

    def __init__(self) -> None:
        self.warmup: dict[Phase, list[Window]] = {"training": [], "evaluation": []}
        self.timed: dict[Phase, list[Window]] = {"training": [], "evaluation": []}

    def step_seconds(self, phase: Phase) -> float:
        """Of an optimizer step, or an evaluation batch, in the last warm-up window."""
        last = self.warmup[phase][-1]
        return last.seconds / last.steps

    def use_times(self, seconds: Sequence[float]) -> None:
        """Puts another clock's readings into the last training windows."""
        windows = self.timed["training"]
        windows[-len(seconds) :] = [
            window.model_copy(update={"seconds": value})
            for window, value in zip(windows[-len(seconds) :], seconds, strict=True)
        ]

    def rates(self, round_: int, phase: Phase) -> dict[str, float]:
        """Median steps, examples and tokens per second of a round."""
        windows = self._counted(round_, phase)
        return {
            f"{unit}_per_second": statistics.median(getattr(w, unit) / w.seconds for w in windows)
            for unit in ("steps", "examples", "tokens")
        }

    def is_disturbed(self, round_: int, phase: Phase) -> bool:
        """Whether other work or a slowed GPU disturbed the windows of a round that count."""
        return any(w.load.disturbances for w in self._counted(round_, phase))

    def supersede(self, round_: int, phase: Phase) -> bool:
        """Marks a round's windows as replaced by those to come. Whether there were any."""
        found = bool(self._counted(round_, phase))
        self.timed[phase] = [
            w.model_copy(update={"superseded": True}) if w.round == round_ else w
            for w in self.timed[phase]
        ]
        return found

    def _counted(self, round_: int, phase: Phase) -> list[Window]:
        return [w for w in self.timed[phase] if w.round == round_ and not w.superseded]
