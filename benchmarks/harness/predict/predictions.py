"""`ftbench predict`: the expected peak with its parts and the predicted limits, as records and as
text. Everything here is predicted, and says so."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.harness.checkpoints import checkpoint as checkpoints
from benchmarks.harness.errors import UserError
from benchmarks.harness.jobs.job import Job, StartFile
from benchmarks.harness.machine import budgets, gpu_types, nvml, packages
from benchmarks.harness.predict.allocators.blocks import OutOfMemory
from benchmarks.harness.predict.calibration import Calibration, calibrations
from benchmarks.harness.predict.footprint import TRACED, Footprint, Refusal, footprints
from benchmarks.harness.worker.step_trace import Ask
from frameworks.contract import BACKENDS, Device, Phase, Recipe, Start
from results import schema
from results.schema import PredictedLimit, Prediction

GIB = 2**30
# The fields that move memory; works that differ in others are traced once.
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
class Work:
    """What is predicted, of one backend."""

    backend: str
    checkpoint: str
    device: Device
    phase: Phase
    recipe: Recipe
    published_step: str | None = None  # of another benchmark, in place of the backend's own


def of_memory(recipe: Mapping[str, Any]) -> Recipe:
    """What of a recipe moves memory."""
    return Recipe(**{field: recipe[field] for field in FIELDS if field in recipe})


@dataclass(frozen=True)
class Target:
    """What a batch has to fit into."""

    label: str
    budget_bytes: int
    note: str | None = None
    compute_capability: str | None = None  # of a GPU type


def targets(work: Work, gpu_names: Sequence[str], sizes: Sequence[str]) -> list[Target]:
    """The sizes, and the GPU types that can do the work's precision.

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
    return nvml.lacks(device, recipe.precision)


def _gpu_target(work: Work, name: str) -> Target:
    room = gpu_types.room(name, budgets.framework_of(work.backend))
    return Target(name, room.bytes, room.note, gpu_types.gpu_type(name).compute_capability)


def predict(
    works: Sequence[Work],
    label_names: Sequence[str],
    gpu_names: Sequence[str],
    sizes: Sequence[str],
    leave_out: Callable[[str], None] | None = None,
) -> list[Prediction]:
    """One prediction per work, in order; every backend is traced in one process. What a backend
    cannot do or follow is told to `leave_out`, as long as another is left.

    Errors: UserError for it where there is no `leave_out`, or nothing is left."""
    wanted = {work: targets(work, gpu_names, sizes) for work in works}
    refusals: list[str] = []

    def refuse(why: str) -> None:
        refusals.append(why)
        if leave_out is None:
            raise UserError(why)
        leave_out(why)

    with started({work.checkpoint for work in works}, label_names) as starts:
        able = []
        for work in works:
            if found := problems(work, starts[work.checkpoint]):
                refuse(
                    f"{work.backend} left out on a {work.device.upper()}: {'; '.join(found)}"
                    if leave_out
                    else found[0]
                )
            else:
                able.append(work)
        predicted = []
        for work, footprint in traced(able, starts).items():
            if isinstance(footprint, Refusal):
                refuse(footprint.reason)
            else:
                predicted.append(
                    _prediction(work, footprint, wanted[work], gpu_names, starts[work.checkpoint])
                )
    if not predicted:
        raise UserError(refusals[0])
    return predicted


@contextmanager
def started(
    names: Iterable[str], label_names: Sequence[str], leave_out: Callable[[str], None] | None = None
) -> Iterator[dict[str, Start]]:
    """Starts of the named checkpoints, for as long as their folders are there. One that cannot be
    had is told to `leave_out`; errors: UserError where there is none."""
    with tempfile.TemporaryDirectory(prefix="ftbench-") as root:
        starts = {}
        for i, name in enumerate(sorted(names)):
            folder = Path(root) / str(i)
            folder.mkdir()
            try:
                starts[name] = checkpoints.shape_start(name, label_names, folder)
            except UserError as error:
                if leave_out is None:
                    raise
                leave_out(f"left out: {error}")
        yield starts


def traced(works: Sequence[Work], starts: Mapping[str, Start]) -> dict[Work, Footprint | Refusal]:
    """Every work once, in order; a backend's all in one process."""
    found: dict[Work, Footprint | Refusal] = {}
    for backend in dict.fromkeys(work.backend for work in works):
        own = list(dict.fromkeys(work for work in works if work.backend == backend))
        asks = [ask_of(work, starts[work.checkpoint]) for work in own]
        found |= zip(own, footprints(backend, asks), strict=True)
    return {work: found[work] for work in works}


def expected_limit(job: Job, device: schema.Device, budget_bytes: int, python: Path) -> int:
    """The largest batch that should fit into a budget, for the search that is to prove it. A work
    is traced once for all budgets, within the time that the job gives a worker.

    Errors: UserError where the backend cannot be traced or followed."""
    assert job.limit is not None
    ask = Ask(
        recipe=of_memory(job.recipe.model_dump()),
        start=job.start,
        device=device.kind,
        phase=job.limit.phase,
        batch_sizes=TRACED,
    )
    found = _kept_footprint(job.key.backend, ask, python, job.time_limit_seconds)
    if isinstance(found, Refusal):
        raise UserError(found.reason)
    return found.on(device.compute_capability).limit(budget_bytes)


@cache
def _kept_footprint(backend: str, ask: Ask, python: Path, seconds: float) -> Footprint | Refusal:
    return footprints(backend, [ask], python, seconds)[0]


def problems(work: Work, start: Start) -> list[str]:
    """What the backend cannot honour on such a device."""
    package = importlib.import_module(f"frameworks.{work.backend}")
    return [str(problem) for problem in package.unsupported(work.recipe, start, work.device)]


def ask_of(work: Work, start: Start) -> Ask:
    return Ask(
        recipe=work.recipe,
        start=StartFile(**start.__dict__),
        device=work.device,
        phase=work.phase,
        batch_sizes=TRACED,
        published_step=work.published_step,
    )


def _prediction(
    work: Work,
    footprint: Footprint,
    wanted: Sequence[Target],
    gpu_names: Sequence[str],
    start: Start,
) -> Prediction:
    """Errors: UserError where the batch is larger than this machine's addresses can tell."""
    capabilities = {target.compute_capability for target in wanted}
    footprint = footprint.on(capabilities.pop() if len(capabilities) == 1 else None)
    size = work.recipe.batch_size
    try:
        peak = footprint.peak(size)
    except OutOfMemory:
        raise UserError(
            f"batch_size {size}: {BACKENDS[work.backend].title} on a CPU would take "
            "more than this machine can lay out; choose a smaller one"
        ) from None
    calibration = calibrations()[work.backend][work.device]
    error = calibration.error
    return Prediction(
        backend=work.backend,
        phase=work.phase,
        device=work.device,
        checkpoint=work.checkpoint
        if BACKENDS[work.backend].pretrained
        else schema.tokenizer_of(work.checkpoint),
        architecture=start.architecture if BACKENDS[work.backend].pretrained else "lstm",
        recipe=work.recipe.model_dump(),
        parts=peak.parts,
        peak_bytes=peak.bytes,
        peak_low_bytes=round(peak.bytes * (1 - error)),
        peak_high_bytes=round(peak.bytes * (1 + error)),
        assumed=work.recipe.precision in calibration.assumed,
        limits=[predicted_limit(footprint, target, calibration) for target in wanted],
        left_out={}
        if work.device == "cpu"
        else {
            name: why for name in gpu_names if (why := lacks(gpu_types.gpu_type(name), work.recipe))
        },
        versions=packages.versions(),
    )


def predicted_limit(
    footprint: Footprint, target: Target, calibration: Calibration
) -> PredictedLimit:
    """The limit that is expected, and the range around it. Its lower end is what is promised: it
    fits though the peak be higher by the whole error, and beside all that may come late. For it the
    batch is made larger, not the budget smaller: into which regions a pool cuts a budget hangs on
    its very bytes."""
    footprint = footprint.on(target.compute_capability)
    budget, error = target.budget_bytes, calibration.error
    limit, worst = footprint.limit(budget), footprint.at_worst()
    margins = (0.0, footprint.share_of_examples(error, budget))
    return PredictedLimit(
        target=target.label,
        budget_bytes=budget,
        limit=limit,
        low=min(limit, *(worst.limit(budget, margin) for margin in margins)),
        high=max(limit, footprint.largest(budget / (1 - error))),
        note=target.note,
    )


def text(p: Prediction) -> str:
    """A prediction as lines: the peak with its parts, the limits and one plain sentence."""
    size = p.recipe["batch_size"]
    place = "a GPU" if p.device == "gpu" else "a CPU"
    kind = "assumed range" if p.assumed else "95 % interval"
    lines = [
        f"predicted: {_subject(p)} on {place}",
        f"  peak at batch {size}: {_gib(p.peak_bytes)} ({kind} {_gib(p.peak_low_bytes)} to "
        f"{_gib(p.peak_high_bytes)})",
    ]
    lines += [f"    {name:<12}{_gib(amount):>12}" for name, amount in p.parts.items() if amount]
    if p.limits:
        width = max(len(limit.target) for limit in p.limits) + 2
        lines.append(f"  predicted limits, with {kind}; the lower end is what is promised")
        for limit in p.limits:
            note = f"  ({limit.note})" if limit.note else ""
            lines.append(
                f"    {limit.target:<{width}}{_gib(limit.budget_bytes):>12}"
                f"{limit.limit:>8}  {limit.low} to {limit.high}{note}"
            )
        lines.append(sentence(p))
    lines += [f"  {name} left out: {why}" for name, why in p.left_out.items()]
    return "\n".join(lines)


def sentence(p: Prediction) -> str:
    """'bert-base, length 512, fp32, PyTorch: about 21 on a T4, 62 on an A100-40'"""
    where = [f"{limit.limit} {_at(limit.target, p.device)}" for limit in p.limits]
    return f"{_subject(p)}: about {', '.join(where)} (predicted)"


def _at(target: str, device: Device) -> str:
    if device == "cpu" or budgets.size_bytes(target) is not None:
        return f"in {target}"
    return f"on {'an' if target[0] in 'AEFHILMNORSX' else 'a'} {target}"


def _subject(p: Prediction) -> str:
    """'bert-base, length 512, fp32, PyTorch'; 'Keras LSTM on the tokens of minilm, ...'"""
    title = BACKENDS[p.backend].title
    words = [f"length {p.recipe['length']}", str(p.recipe["precision"])]
    words += ["evaluation"] * (p.phase == "evaluation")
    if BACKENDS[p.backend].pretrained:
        return ", ".join([p.checkpoint, *words, title])
    return ", ".join([f"{title} on the tokens of {schema.lender(p.checkpoint)}", *words])


def _gib(size: int) -> str:
    return f"{size / GIB:.2f} GiB"
