"""All figures of runs as one tidy table: a row per figure of a job, a column per property. The columns
are described in docs/export.md."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from results.analysis.memory import MEMORY_FIGURES
from results.analysis.speed import rate
from results.schema import (
    Accuracy,
    BatchLimit,
    Certificate,
    Measurement,
    Memory,
    Prediction,
    RunInfo,
    Throughput,
    Tuning,
)
from results.store import (
    StoreError,
    read_certificates,
    read_predictions,
    read_run,
    read_tuning,
    write_bytes,
)

COLUMNS = (
    "run",
    "started_at",
    "ftbench_version",
    "device",
    "device_kind",
    "gpu_type",
    "cores",
    "task",
    "backend",
    "question",
    "role",
    "change",
    "checkpoint",
    "precision",
    "length",
    "batch_size",
    "seed",
    "data_generated",
    "data_fingerprint",
    "status",
    "reason",
    "figure",
    "part",
    "value",
)
FORMATS = ("csv", "json", "parquet")
Row = dict[str, Any]
# The figure, what it is of (a window, an evaluation set, a budget), and its value.
Figure = tuple[str, str, float | None]


def rows(folders: Sequence[Path]) -> list[Row]:
    """One row per figure; a job without figures has one row with its reason and no value. Certificates,
    predictions and tuned recipes follow the jobs of their run."""
    found: list[Row] = []
    for folder in folders:
        info, measurements, _ = read_run(folder)
        for m in measurements:
            of_job = list(figures(m)) or [("", "", None)]
            found += _rows(_common(folder.name, info, m), of_job)
        of_run = _of_run(folder.name, info)
        for c in read_certificates(folder)[0]:
            found += _rows({**of_run, **_of_certificate(c)}, _proofs(c))
        for p in read_predictions(folder)[0]:
            found += _rows({**of_run, **_of_prediction(p)}, _predicted(p))
        if tuning := read_tuning(folder):
            keys = {"task": tuning.task, "backend": tuning.backend, "question": "tuning"}
            found += _rows({**of_run, **keys, **_settings(tuning.plain_recipe)}, _gains(tuning))
    return found


def _rows(common: Row, figures: Iterable[Figure]) -> list[Row]:
    return [{**common, "figure": f, "part": part, "value": value} for f, part, value in figures]


def write_table(table: Sequence[Row], path: Path, kind: str) -> None:
    """Writes the table as csv, json (a list of objects) or parquet. Errors: StoreError."""
    write = {"csv": _csv, "json": _json, "parquet": _parquet}[kind]
    write_bytes(path, write(table))


def _common(run: str, info: RunInfo | None, m: Measurement) -> Row:
    return {
        "run": run,
        "started_at": m.started_at,
        "ftbench_version": info.ftbench_version if info else None,
        "device": m.device.name,
        "device_kind": m.device.kind,
        "gpu_type": m.device.gpu_type,
        "cores": m.device.cores,
        "task": m.job.task,
        "backend": m.job.backend,
        "question": m.job.question,
        "role": m.job.role,
        "change": m.job.change,
        "checkpoint": m.checkpoint.name if m.checkpoint else None,
        **_settings(m.recipe),
        "data_generated": m.data.generated if m.data else None,
        "data_fingerprint": m.data.fingerprint if m.data else None,
        "status": m.status,
        "reason": m.reason,
    }


def figures(m: Measurement) -> Iterator[Figure]:
    """The figures of one job."""
    match m.payload:
        case Throughput() as timed:
            yield from _speeds(timed)
        case Memory() as memory:
            for name in MEMORY_FIGURES:
                yield name, "", getattr(memory, name)
        case Accuracy() as accuracy:
            for name, score in accuracy.scores.items():
                for figure in ("accuracy", "macro_f1", "loss"):
                    yield figure, name, getattr(score, figure)
                for figure, value in (score.metrics or {}).items():
                    yield figure, name, value
            yield "training_seconds", "", accuracy.training_seconds
        case BatchLimit() as found:
            yield "largest_batch", found.budget, found.limit
            yield "failed_batch", found.budget, found.fails_at


def _speeds(timed: Throughput) -> Iterator[Figure]:
    """The report's figures of all windows, and every window."""
    for kind, windows in (("training", timed.windows), ("evaluation", timed.evaluation_windows)):
        if windows:
            found = rate(windows)
            yield f"{kind}_steps_per_second", "all windows", found.steps_per_second
            yield f"{kind}_samples_per_second", "all windows", found.samples_per_second
            yield f"{kind}_tokens_per_second", "all windows", found.tokens_per_second
        for number, window in enumerate(windows, 1):
            part = f"round {window.round + 1}, window {number}"
            yield f"{kind}_steps_per_second", part, window.steps / window.seconds
    yield "first_step_seconds", "", timed.first_step_seconds
    yield "build_seconds", "", timed.build_seconds


def _of_run(run: str, info: RunInfo | None) -> Row:
    """What is not of a job: the machine and the start are those of the run."""
    device = info.device if info else None
    return {
        **dict.fromkeys(COLUMNS),
        "run": run,
        "started_at": info.started_at if info else None,
        "ftbench_version": info.ftbench_version if info else None,
        "device": device.name if device else None,
        "device_kind": device.kind if device else None,
        "gpu_type": device.gpu_type if device else None,
        "cores": device.cores if device else None,
        "status": "ok",
    }


def _settings(recipe: Mapping[str, Any]) -> Row:
    return {name: recipe.get(name) for name in ("precision", "length", "batch_size", "seed")}


def _of_certificate(c: Certificate) -> Row:
    return {
        "task": c.task,
        "backend": f"{c.first.backend} and {c.second.backend}",
        "question": "equivalence",
        **_settings(c.recipe),
        "status": "ok" if c.holds else "failed",
        "reason": None if c.holds else c.verdict,
    }


def _proofs(c: Certificate) -> Iterator[Figure]:
    part = f"accumulation {c.recipe.get('accumulation', 1)}"
    yield "compared_steps", part, c.steps
    yield "largest_loss_difference", part, max(c.loss_differences, default=None)
    yield "loss_bound", part, next((k.bound for k in c.checks if k.name == "loss"), None)


def _of_prediction(p: Prediction) -> Row:
    """Of the device whose allocator was simulated, not of the run's."""
    return {
        **dict.fromkeys(("device", "gpu_type", "cores")),
        "device_kind": p.device,
        "backend": p.backend,
        "question": "prediction",
        "checkpoint": p.checkpoint,
        **_settings(p.recipe),
    }


def _predicted(p: Prediction) -> Iterator[Figure]:
    yield "predicted_peak_bytes", "", p.peak_bytes
    yield "predicted_peak_low_bytes", "", p.peak_low_bytes
    yield "predicted_peak_high_bytes", "", p.peak_high_bytes
    for limit in p.limits:
        yield "predicted_batch", limit.target, limit.limit
        yield "predicted_batch_low", limit.target, limit.low
        yield "predicted_batch_high", limit.target, limit.high


def _gains(tuning: Tuning) -> Iterator[Figure]:
    """Of the tuned recipe over the plain one; the levers are the part."""
    levers = ", ".join(tuning.levers)
    yield "tuning_gain", levers, tuning.gain
    yield "tuning_gain_low", levers, tuning.gain_low
    yield "tuning_gain_high", levers, tuning.gain_high
    if tuning.accuracy:
        yield "tuning_accuracy_difference", levers, tuning.accuracy.difference


def _csv(table: Sequence[Row]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue().encode("utf-8", "backslashreplace")


def _json(table: Sequence[Row]) -> bytes:
    finite = [{k: _finite(v) for k, v in row.items()} for row in table]
    text = json.dumps(finite, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return text.encode("utf-8", "backslashreplace")


def _finite(value: Any) -> Any:
    """JSON has no NaN: the text says what it was."""
    odd = isinstance(value, float) and (value != value or value in (float("inf"), -float("inf")))
    return str(value) if odd else value


def _parquet(table: Sequence[Row]) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    kinds = {
        "value": pa.float64(),
        **dict.fromkeys(("cores", "length", "batch_size", "seed"), pa.int64()),
        "data_generated": pa.bool_(),
    }
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS])
    try:
        found = pa.Table.from_pylist(list(table), schema=schema)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise StoreError(
            f"parquet: a damaged recipe has a value of another kind: {error}"
        ) from None
    buffer = io.BytesIO()
    parquet.write_table(found, buffer)
    return buffer.getvalue()
