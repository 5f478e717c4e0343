"""What predictions of memory take from measurements: `frameworks/<backend>/calibration.toml`."""

from __future__ import annotations

import tomllib
from functools import cache
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from frameworks.contract import Device, Precision, backends

CALIBRATED_CORES = 2  # of the machine that calibration.toml was measured on
STACK_BYTES = 8 * 2**20  # of a thread
# 'minilm 128 fp32 training 16', and between the last two what of the recipe is not usual, such as
# 'attention=eager'.
Case = Annotated[
    str, Field(pattern=r"^[\w-]+ \d+ (fp32|tf32|bf16|fp16) (training|evaluation)( \w+=\S+)* \d+$")
]


class Calibration(BaseModel):
    """One table of a calibration.toml: a backend on one kind of device."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    allocator: str  # the model of an allocator that the buffers are replayed through
    # Sizes of the objects that precede every buffer under malloc and are freed with it.
    small_objects: tuple[int, ...] = ()
    # Private writable memory that no buffer shows and that is not there before the model is built:
    # threads with their stacks, libraries' pools.
    started_bytes: dict[Precision, int] = Field(default_factory=dict)
    # Of those threads, how many for each that computes an operation.
    threads_per_core: int = 0
    # Of started_bytes, what is allocated only after a pool has allocated its last region, so that it has to
    # fit into what that left.
    late_bytes: int = 0
    more_bytes: int = (
        0  # what may follow late beyond started_bytes; a promised limit has room for it
    )
    built_bytes: int = (
        0  # private writable memory that building the model adds, without its buffers
    )
    # Pages touched at the peak beyond those of the process before the model is built and of the
    # buffers; the larger sum of this and of built_bytes counts, as in a probe's peak.
    resident_bytes: int = 0
    # What libraries hold from the first step on, allocated from the same allocator; and where it
    # differs on GPUs of a compute capability.
    workspaces_bytes: tuple[int, ...] = ()
    workspaces_by_capability: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    error: float  # 95 % of the predicted peaks lie within this share
    assumed: tuple[Precision, ...] = ()  # no measured case supports their error: a guess
    how: str  # where the figures come from
    cases: tuple[
        Case, ...
    ] = ()  # measured cases that they were fitted to, named as in random:SHAPE
    limit_cases: tuple[str, ...] = ()  # limits that influenced a figure: shape and budget

    def workspaces(self, compute_capability: str | None = None) -> tuple[int, ...]:
        return self.workspaces_by_capability.get(compute_capability or "", self.workspaces_bytes)

    def started(self, precision: Precision, threads: int) -> int:
        """With so many threads."""
        more = threads - CALIBRATED_CORES
        stacks = more * self.threads_per_core * STACK_BYTES
        return self.started_bytes.get(precision, 0) + stacks


@cache
def calibrations() -> dict[str, dict[Device, Calibration]]:
    """By backend and kind of device; backends without a calibration.toml are left out."""
    files = {name: backend.folder / "calibration.toml" for name, backend in backends().items()}
    tables = {
        name: tomllib.loads(file.read_text("utf-8"))
        for name, file in files.items()
        if file.is_file()
    }
    kinds = TypeAdapter(dict[Device, Calibration])
    return {backend: kinds.validate_python(rows) for backend, rows in tables.items()}
