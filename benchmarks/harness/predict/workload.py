"""What is predicted: a workload, and the budgets that it has to fit."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness.checkpoints import start as start_checkpoints
from benchmarks.harness.errors import UserError
from benchmarks.harness.jobs.job import StartFile
from benchmarks.harness.jobs.trace_request import Ask
from benchmarks.harness.machine import budgets, gpu_types
from benchmarks.harness.machine import device as device_machine
from benchmarks.harness.predict.buffers import TRACED
from benchmarks.harness.predict.footprint import Footprint
from benchmarks.harness.predict.tracing import Refusal, footprints
from frameworks.contract import Device, Phase, Recipe, Start, backends
from results import schema

# The fields that change memory; workloads that differ only in others are traced once.
FIELDS = (
    "accumulation",
    "attention",
    "compile",
    "dropout",
    "gradient_checkpointing",
    "length",
    "max_gradient_norm",
    "optimizer",
    "precision",
)


@dataclass(frozen=True)
class Workload:
    """What is predicted: one backend's training step or evaluation batch."""

    backend: str
    checkpoint: str
    device: Device
    phase: Phase
    recipe: Recipe
    published_step: str | None = None  # of another benchmark, in place of the backend's own


def memory_recipe(recipe: Mapping[str, Any]) -> Recipe:
    """The fields of a recipe that change memory."""
    return Recipe(**{field: recipe[field] for field in FIELDS if field in recipe})


@dataclass(frozen=True)
class Target:
    """A budget that a batch has to fit."""

    label: str
    budget_bytes: int
    note: str | None = None
    compute_capability: str | None = None  # of a GPU type


def targets(work: Workload, gpu_names: Sequence[str], sizes: Sequence[str]) -> list[Target]:
    """The sizes, and the GPU types that support the workload's precision.

    Errors: UserError for an unknown type or a wrong size."""
    found = []
    for label in sizes:
        budgets.check_label(label, "--budget")
        size = budgets.size_bytes(label)
        if size is None:
            raise UserError(
                f"--budget {label!r}: write a size such as 6GiB; GPU types go with --gpu"
            )
        found.append(Target(label, size))
    if work.device == "gpu":
        found += [
            _gpu_target(work, name)
            for name in gpu_names
            if lacks(gpu_types.gpu_type(name), work.recipe) is None
        ]
    return found


def lacks(row: gpu_types.GpuType, recipe: Recipe) -> str | None:
    """Why a GPU type cannot compute in the recipe's precision."""
    device = schema.Device(
        kind="gpu",
        name=row.names[0],
        memory_bytes=row.memory_bytes,
        cores=1,
        compute_capability=row.compute_capability,
    )
    return device_machine.unsupported_precision(device, recipe.precision)


def _gpu_target(work: Workload, name: str) -> Target:
    room = gpu_types.room(name, backends()[work.backend].memory)
    return Target(name, room.bytes, room.note, gpu_types.gpu_type(name).compute_capability)


@contextmanager
def prepared_starts(
    names: Iterable[str], label_names: Sequence[str], skip: Callable[[str], None] | None = None
) -> Iterator[dict[str, Start]]:
    """Starts of the named checkpoints, in folders that exist until the context ends. `skip` is
    called for one that is not available. Errors: UserError without `skip`."""
    with tempfile.TemporaryDirectory(prefix="ftbench-") as root:
        starts = {}
        for i, name in enumerate(sorted(names)):
            folder = Path(root) / str(i)
            folder.mkdir()
            try:
                starts[name] = start_checkpoints.shape_start(name, label_names, folder)
            except UserError as error:
                if skip is None:
                    raise
                skip(f"skipped: {error}")
        yield starts


def trace_workloads(
    works: Sequence[Workload], starts: Mapping[str, Start]
) -> dict[Workload, Footprint | Refusal]:
    """The footprint of every workload, in order; those of one backend come from one process."""
    found: dict[Workload, Footprint | Refusal] = {}
    for backend in dict.fromkeys(work.backend for work in works):
        own = list(dict.fromkeys(work for work in works if work.backend == backend))
        asks = [request_of(work, starts[work.checkpoint]) for work in own]
        found |= zip(own, footprints(backend, asks), strict=True)
    return {work: found[work] for work in works}


def unsupported_settings(work: Workload, start: Start) -> list[str]:
    """Settings that the backend does not support on such a device, one line each."""
    found = backends()[work.backend].unsupported(work.recipe, start, work.device)
    return [str(problem) for problem in found]


def request_of(work: Workload, start: Start) -> Ask:
    return Ask(
        recipe=work.recipe,
        start=StartFile(**start.__dict__),
        device=work.device,
        phase=work.phase,
        batch_sizes=TRACED,
        published_step=work.published_step,
    )
