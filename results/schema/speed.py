"""Figures of a race."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from results.schema.job import Record


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


class Window(Record):
    """k optimizer steps (or evaluation batches), timed as one."""

    seconds: float  # the parent's clock, from 'go' to the synchronised end
    worker_seconds: float  # the worker's clock for the same
    steps: int
    examples: int
    tokens: int  # non-padding
    padded_tokens: int  # padding included
    round: int = 0
    load: Load = Field(default_factory=Load)


class Throughput(Record):
    question: Literal["throughput"] = "throughput"
    build_seconds: float  # model, optimizer and data built
    first_step_seconds: float  # from train()'s call to the end of step 1, compilation included
    warmup: list[Window]
    windows: list[Window]
    evaluation_warmup: list[Window] = Field(default_factory=list)
    evaluation_windows: list[Window] = Field(default_factory=list)
    # The race that the windows belong to; None in early files, where a comparison is one race.
    race: str | None = None
    model_flops_per_token: float | None = None  # 6 x non-embedding parameters + attention
    matmul_flops_per_second: float | None = None  # measured in the same run and precision
