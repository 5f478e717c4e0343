"""A trace: everything that one backend did in one training, small enough to copy to another
machine and compare there. Figures by step are in the measurement file; logits and weights are in
arrays next to it."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from pydantic import ValidationError

from benchmarks.harness.errors import UserError
from results.schema import Measurement, Side, Trace

Tensors = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Arrays:
    """The arrays of a trace. Sketches are stored per tensor; `weights` are complete."""

    start_logits: np.ndarray  # float32 (examples, labels), before training
    end_logits: np.ndarray
    start: Tensors  # sketches of the weights before training,
    update: Tensors  # of what the first update changed in them,
    end: Tensors  # and of the weights after training
    weights: Tensors | None = None  # after training, where the job kept them


@dataclass(frozen=True)
class Traced:
    """A trace, loaded for comparison."""

    side: Side
    task: str
    recipe: Mapping[str, Any]
    trace: Trace
    arrays: Arrays


def write_arrays(path: Path, arrays: Arrays) -> str | None:
    """Writes the .npz file and, if the trace has complete weights, a safetensors file next to it.
    Returns the name of the latter."""
    content: dict[str, np.ndarray] = {
        "start_logits": arrays.start_logits,
        "end_logits": arrays.end_logits,
    }
    for stage in ("start", "update", "end"):
        for name, values in getattr(arrays, stage).items():
            # Rounded to single precision: 6e-8 of a sketch, far below every bound.
            content[f"{stage}/{name}"] = values.astype(np.float32)
    np.savez_compressed(path, **content)  # type: ignore[arg-type]
    if arrays.weights is None:
        return None
    whole = path.with_suffix(".safetensors")
    safetensors.numpy.save_file(dict(arrays.weights), whole)
    return whole.name


def read_traced(path: Path, measurement: Measurement | None = None) -> Traced:
    """Reads a trace from its measurement file and the arrays next to it.

    Raises UserError when the file is not a trace, or when one of its files is missing or
    damaged."""
    m = measurement or _read_measurement(path)
    if m.trace is None:
        outcome = (
            f"a {m.job.question} measurement"
            if m.job.question != "equivalence"
            else f"{m.status}: {m.reason}"
        )
        raise UserError(
            f"{path} is not a trace ({outcome}); give the file of an equivalence "
            "measurement with the status ok"
        )
    side = Side(
        backend=m.job.backend, device=m.device.name, versions=m.versions, started_at=m.started_at
    )
    arrays = _read_arrays(path.parent / m.trace.arrays_file, m.trace)
    return Traced(side, m.job.task, m.recipe, m.trace, arrays)


def _read_measurement(path: Path) -> Measurement:
    try:
        return Measurement.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"trace {path} cannot be read ({error.strerror}): check the path") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise UserError(
            f"trace {path} was written by an incompatible version ({where}: {first['msg']}): record it "
            "again"
        ) from None


def _read_arrays(path: Path, trace: Trace) -> Arrays:
    try:
        with np.load(path, allow_pickle=False) as file:
            content = {name: file[name] for name in file.files}
        whole = (
            safetensors.numpy.load_file(path.with_name(trace.weights_file))
            if trace.weights_file
            else None
        )
        stages = {
            stage: {
                name.removeprefix(f"{stage}/"): values.astype(np.float64)
                for name, values in content.items()
                if name.startswith(f"{stage}/")
            }
            for stage in ("start", "update", "end")
        }
        return Arrays(
            start_logits=content["start_logits"],
            end_logits=content["end_logits"],
            weights=whole,
            **stages,
        )
    except (
        OSError,
        EOFError,
        KeyError,
        ValueError,
        zipfile.BadZipFile,
        safetensors.SafetensorError,
    ) as error:
        raise UserError(
            f"the trace's arrays in {path} are missing or damaged ({error}): copy "
            "them next to the measurement file, or record the trace again"
        ) from None
