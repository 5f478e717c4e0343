"""Figures of a race."""

from __future__ import annotations

import statistics
from typing import Any, Literal

from pydantic import Field, model_validator

from results.schema.job import Record

STOLEN_LIMIT = 0.01  # share of CPU time used by the hypervisor
OTHER_BUSY_LIMIT = 0.10  # share of CPU time used by other processes
THROTTLED_LIMIT = 0.05  # share of the window in which the GPU was throttled
LOOKS = (4, 6, 9, 12)  # numbers of launches after which a sequential race may be decided


class Load(Record):
    """The machine during a window: other work on it, and what slowed the GPU."""

    one_minute_load: float | None = None
    stolen_share: float | None = None  # of all CPU time in the window, used by the hypervisor
    other_busy_share: float | None = None  # CPU time used outside the worker and the harness
    throttle_reasons: list[str] | None = None  # seen at either end; None: no GPU, or not reported
    # Share of the window in which the GPU was throttled, by reason, from the driver's counters.
    throttled_shares: dict[str, float] | None = None
    sm_clock_mhz: int | None = None  # at the window's end
    gpu_processes: int | None = None  # compute processes besides the run's own workers

    @property
    def disturbances(self) -> list[str]:
        """What disturbed the window, in words: other work on the processor or the GPU, or a GPU
        with lowered clocks."""
        found = []
        if (self.stolen_share or 0) > STOLEN_LIMIT:
            found.append("the hypervisor took processor time")
        if (self.other_busy_share or 0) > OTHER_BUSY_LIMIT:
            found.append("other work took processor time")
        if self.gpu_processes:
            found.append("other processes held the GPU")
        slowed = list(self.throttle_reasons or [])
        shares = (self.throttled_shares or {}).items()
        slowed += [reason for reason, share in shares if share > THROTTLED_LIMIT]
        return found + [f"the GPU was slowed: {reason}" for reason in dict.fromkeys(slowed)]


class Window(Record):
    """k optimizer steps (or evaluation batches), timed as one."""

    seconds: float  # the parent's clock, from 'go' to the synchronised end
    worker_seconds: float  # the worker's clock for the same
    steps: int
    examples: int
    tokens: int  # non-padding
    padded_tokens: int  # padding included
    launch: int = 0  # the number of the process that it was taken in
    round: int = 0  # of its launch
    superseded: bool = False  # its round was disturbed and taken again; the later take counts
    load: Load = Field(default_factory=Load)


class Launch(Record):
    """One process of a participant."""

    number: int = 0  # of the launch in its race; windows name it
    build_seconds: float  # model, optimizer and data built
    first_step_seconds: float  # from train()'s call to the end of step 1, compilation included


class Throughput(Record):
    question: Literal["throughput"] = "throughput"
    launches: list[Launch] = Field(min_length=1)  # in their order
    warmup: list[Window]
    windows: list[Window]
    evaluation_warmup: list[Window] = Field(default_factory=list)
    evaluation_windows: list[Window] = Field(default_factory=list)
    # The race that the windows belong to; None in early files, where a comparison is one race.
    race: str | None = None
    # Launches were added until the race was decided: its intervals have a higher confidence.
    sequential: bool = False
    equal_margin: float = 0.05  # two speeds are equal if their ratio differs from 1 by less
    model_flops_per_token: float | None = None  # 6 x non-embedding parameters + attention
    matmul_flops_per_second: float | None = None  # measured in the same run and precision

    @model_validator(mode="before")
    @classmethod
    def _from_one_launch(cls, raw: Any) -> Any:
        """Files of earlier versions have one launch, without naming it."""
        names = ("build_seconds", "first_step_seconds")
        if not isinstance(raw, dict) or "launches" in raw or not raw.keys() >= set(names):
            return raw
        rest = {name: value for name, value in raw.items() if name not in names}
        return {**rest, "launches": [{name: raw[name] for name in names}]}

    @property
    def build_seconds(self) -> float:
        """The median over launches."""
        return statistics.median(launch.build_seconds for launch in self.launches)

    @property
    def first_step_seconds(self) -> float:
        """The median over launches."""
        return statistics.median(launch.first_step_seconds for launch in self.launches)

    @property
    def warmup_seconds(self) -> float:
        """Of a launch, the median over launches."""
        return statistics.median(
            sum(window.seconds for window in self.warmup if window.launch == launch.number)
            for launch in self.launches
        )
