"""Step traces: requested from a process with the framework, fitted over batch sizes."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.errors import UserError
from benchmarks.harness.jobs.environment import process_environment, worker_environment
from benchmarks.harness.jobs.trace_request import Answer, Ask, Request, load
from benchmarks.harness.machine import processor
from benchmarks.harness.machine.modules import module_command
from benchmarks.harness.predict.calibration import calibrations
from benchmarks.harness.predict.footprint import Footprint, Process
from frameworks.contract import USERS_MODELS, Device, backends


@dataclass(frozen=True)
class Refusal:
    """Why a backend cannot follow a step."""

    reason: str


def footprints(
    backend: str,
    asks: Sequence[Ask],
    python: Path = Path(sys.executable),
    seconds: float | None = None,
    threads: int | None = None,
) -> list[Footprint | Refusal]:
    """One per ask, traced in a worker process of the backend's framework; `python` may be that of
    another environment, `seconds` is the time that it may take, `threads` are those that the step
    would compute with: by default as many as the process may use cores.

    Errors: UserError where the worker fails."""
    reasons = [not_predicted(backend, ask.device) for ask in asks]
    able = [ask for ask, reason in zip(asks, reasons, strict=True) if reason is None]
    threads = threads or processor.usable_cores()
    traced = iter(_traced(backend, able, python, seconds, threads) if able else [])
    return [next(traced) if reason is None else Refusal(reason) for reason in reasons]


def not_predicted(backend: str, device: Device) -> str | None:
    """Why a backend is not predicted on such a device; None where it can be."""
    about = backends()[backend]
    if about.own_model:
        why = "it is a model of your own" if about.family == USERS_MODELS else "it is not traced"
        return f"{about.title} is not predicted: {why}"
    if not (about.folder / "step_trace.py").is_file():
        return f"{about.title} is not predicted: its folder has no step_trace.py"
    if device not in calibrations().get(backend, {}):
        return (
            f"{about.title} on a {device.upper()} is not predicted: its folder has no "
            f"calibration.toml with a table [{device}]"
        )
    return None


def _traced(
    backend: str, asks: Sequence[Ask], python: Path, seconds: float | None, threads: int
) -> list[Footprint | Refusal]:
    """Errors: UserError where the worker fails."""
    title = backends()[backend].title
    with tempfile.TemporaryDirectory(prefix="ftbench-") as name:
        folder = Path(name)
        request = folder / "request.json"
        request.write_text(Request(backend=backend, asks=list(asks)).model_dump_json(), "utf-8")
        try:
            done = subprocess.run(
                module_command(
                    "benchmarks.harness.worker.step_trace", str(request), str(folder), python=python
                ),
                env=process_environment(worker_environment(backend, None, threads)),
                cwd=Path(__file__).parents[3],
                capture_output=True,
                text=True,
                check=False,
                timeout=seconds,
            )
        except subprocess.TimeoutExpired:
            raise UserError(f"{title} could not be traced within {seconds:.0f} s") from None
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise UserError(f"{title} could not be traced: {last}")
        answer = Answer.model_validate_json((folder / "answer.json").read_text("utf-8"))
        return [
            Refusal(answer.refusals[i])
            if i in answer.refusals
            else _footprint(backend, ask, answer, folder, i, threads)
            for i, ask in enumerate(asks)
        ]


def _footprint(
    backend: str, ask: Ask, answer: Answer, folder: Path, place: int, threads: int
) -> Footprint:
    traces = [load(folder / f"{place}-{size}.npz") for size in ask.batch_sizes]
    calibration = calibrations()[backend][ask.device]
    process = None
    if ask.device == "cpu":
        process = Process(
            bytes=answer.process_bytes + calibration.started(ask.recipe.precision, threads),
            begun_bytes=answer.process_bytes + calibration.built_bytes,
            resident_bytes=answer.resident_bytes + calibration.resident_bytes,
            late_bytes=calibration.late_bytes,
            more_bytes=calibration.more_bytes,
        )
    return Footprint(traces, ask.batch_sizes, calibration, process)
