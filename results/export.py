"""All figures of runs as one tidy table: a row per figure of a job, a column per property. The columns
are described in docs/export.md."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from results.analysis.memory import MEMORY_FIGURES
from results.analysis.speed import rate
from results.schema import Accuracy, BatchLimit, Measurement, Memory, RunInfo, Throughput
from results.store import StoreError, read_run, write_bytes

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
    """One row per figure; a job without figures has one row with its reason and no value."""
    found: list[Row] = []
    for folder in folders:
        info, measurements, _ = read_run(folder)
        for m in measurements:
            common = _common(folder.name, info, m)
            figures = list(_figures(m)) or [("", "", None)]
            found += [
                {**common, "figure": figure, "part": part, "value": value}
                for figure, part, value in figures
            ]
    return found


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
        **{name: m.recipe.get(name) for name in ("precision", "length", "batch_size", "seed")},
        "data_generated": m.data.generated if m.data else None,
        "data_fingerprint": m.data.fingerprint if m.data else None,
        "status": m.status,
        "reason": m.reason,
    }


def _figures(m: Measurement) -> Iterator[Figure]:
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
