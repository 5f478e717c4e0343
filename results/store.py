"""Files of a run: `root/runs/<run>/run.json` and one `<job id>.json` per job.

A file is written under a temporary name, flushed to the disk and renamed, so that a reader (or a
resumed run) finds a measurement whole or not at all, whenever the writer was stopped.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from results.schema import (
    READABLE_VERSIONS,
    SCHEMA_VERSION,
    Certificate,
    Measurement,
    Prediction,
    PredictionCase,
    Record,
    RunInfo,
    Tuning,
)

RUN_FILE = "run.json"
PLAN_FILE = "plan.json"  # the jobs of the run, for resuming; the harness reads it
CERTIFICATES = "certificates"  # their folder inside a run's
TUNING_FILE = "tuning.json"
PREDICTIONS = "predictions"  # their folder inside a run's
CASES_FILE = "prediction_cases.json"
# In a run's folder, but no measurement.
OTHER_FILES = {RUN_FILE, PLAN_FILE, TUNING_FILE, CASES_FILE}
LARGEST = 2**63  # no count and no amount of bytes comes near it
R = TypeVar("R", bound=Record)

_FILE_NAME = re.compile(r"[A-Za-z0-9_=+,@-][A-Za-z0-9_=+,.@-]{0,199}")


class StoreError(Exception):
    """A result could not be kept; one line that names the path and the reason."""


def create_run(root: Path, info: RunInfo, plan: BaseModel | None = None) -> Path:
    """Makes `root/runs/<run>` with its run.json, and plan.json where a plan is given, and returns
    the folder.

    Errors: StoreError when it exists already or cannot be written; nothing is left behind then.
    """
    folder = root / "runs" / _file_name("run", info.run)
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise StoreError(f"run {info.run!r} already exists in {folder}: start it again") from None
    except OSError as error:
        raise StoreError(f"cannot make {folder}: {error.strerror}") from None
    try:
        if plan is not None:
            write_record(folder / PLAN_FILE, plan)
        write_record(folder / RUN_FILE, info)
    except StoreError:
        shutil.rmtree(folder)
        raise
    return folder


def write_measurement(folder: Path, m: Measurement) -> Path:
    """Writes `folder/<job id>.json`, replacing an earlier measurement of that job.

    Errors: StoreError when the file cannot be written, such as on a full disk; an earlier
    measurement is then still there, untouched.
    """
    path = folder / f"{_file_name('job id', m.job.id)}.json"
    if path.name in OTHER_FILES:
        raise StoreError(f"job id {m.job.id!r} is reserved for the run's own {path.name}")
    write_record(path, m)
    return path


def write_record(path: Path, record: BaseModel) -> None:
    """Writes any record whole or not at all. Errors: StoreError."""
    plain = _without_odd_floats(record.model_dump(mode="json"))
    write_text(path, json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes one file, whole or not at all. Errors: StoreError."""
    # A file name may hold bytes that are not UTF-8; they are written as escapes.
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_bytes(path: Path, content: bytes) -> None:
    """Writes one file, whole or not at all. Errors: StoreError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        synchronize(path.parent)  # makes the rename itself last through a power cut
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        # Gone after the rename; still there after a failure or a Ctrl-C.
        with contextlib.suppress(OSError):
            temporary.unlink()


def read_run(folder: Path) -> tuple[RunInfo | None, list[Measurement], list[str]]:
    """A run's info, its measurements by job id, and one line per file that could not be read."""
    problems: list[str] = []
    info = _read(folder / RUN_FILE, RunInfo, problems)
    measurements = []
    for path in sorted(folder.glob("*.json")):
        if path.name in OTHER_FILES or path.name.startswith("."):
            continue
        m = _read(path, Measurement, problems)
        if m is not None and m.job.id != path.stem:
            problems.append(
                f"{path}: it holds the job {m.job.id!r}, so it is a copy of another file"
            )
        elif m is not None:
            measurements.append(m)
    return info, measurements, problems


def is_of_earlier_version(folder: Path) -> bool:
    """Whether the run was written in an earlier schema version."""
    raw = _read_json(folder / RUN_FILE, [])
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    return version in READABLE_VERSIONS and version != SCHEMA_VERSION


def write_certificate(folder: Path, name: str, certificate: Certificate) -> Path:
    """Writes `folder/certificates/<name>.json`. Errors: StoreError."""
    return _write_into(folder / CERTIFICATES, "certificate", name, certificate)


def write_prediction(folder: Path, name: str, prediction: Prediction) -> Path:
    """Writes `folder/predictions/<name>.json`. Errors: StoreError."""
    return _write_into(folder / PREDICTIONS, "prediction", name, prediction)


def write_prediction_cases(folder: Path, cases: Sequence[PredictionCase]) -> Path:
    """Writes `folder/prediction_cases.json`. Errors: StoreError."""
    path = folder / CASES_FILE
    plain = [case.model_dump(mode="json") for case in cases]
    write_text(path, json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    return path


def _write_into(folder: Path, kind: str, name: str, record: Record) -> Path:
    path = folder / f"{_file_name(kind, name)}.json"
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make {folder}: {error.strerror}") from None
    write_record(path, record)
    return path


def read_certificates(folder: Path) -> tuple[list[Certificate], list[str]]:
    """A run's certificates by name, and one line per file that could not be read."""
    return _read_all(folder / CERTIFICATES, Certificate)


def read_predictions(folder: Path) -> tuple[list[Prediction], list[str]]:
    """A run's predictions by name, and one line per file that could not be read."""
    return _read_all(folder / PREDICTIONS, Prediction)


def read_prediction_cases(folder: Path) -> tuple[list[PredictionCase], list[str]]:
    """The cases that a run's predictions were compared with, and a line where some are damaged."""
    problems: list[str] = []
    path = folder / CASES_FILE
    raw = _read_json(path, problems) if path.exists() else []
    if not isinstance(raw, list):
        return [], problems or [f"{path}: damaged: not a list of cases"]
    found = [
        _validated(f"{path}: case {i}", one, PredictionCase, problems)
        for i, one in enumerate(raw, 1)
    ]
    if len(problems) > 1:  # where an older version has written them, all are
        problems = [f"{problems[0]}, and {len(problems) - 1} cases more"]
    return [case for case in found if case is not None], problems


def read_tuning(folder: Path) -> Tuning | None:
    """What `ftbench tune` found; None for other runs."""
    path = folder / TUNING_FILE
    return _read(path, Tuning, []) if path.exists() else None


def runs(root: Path) -> list[Path]:
    """The folders of all runs under `root`, oldest first."""
    folders = [path.parent for path in (root / "runs").glob(f"*/{RUN_FILE}")]
    return sorted(folders, key=lambda folder: (_started_at(folder), folder.name))


def latest_run(root: Path) -> Path | None:
    return next(iter(reversed(runs(root))), None)


def _started_at(folder: Path) -> str:
    """Empty when run.json cannot be read: such a run counts as the oldest."""
    info = _read(folder / RUN_FILE, RunInfo, [])
    return info.started_at if info else ""


def _file_name(kind: str, name: str) -> str:
    if not _FILE_NAME.fullmatch(name):
        raise StoreError(
            f"{kind} {name!r} cannot be a file name: use letters, digits, '-', '_', "
            "'=', '+', ',', '@' and '.' (not first), at most 200"
        )
    return name


def _without_odd_floats(value: Any) -> Any:
    """JSON has no NaN and no infinity (a diverged loss); as strings they are read back."""
    if isinstance(value, dict):
        return {key: _without_odd_floats(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_odd_floats(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def synchronize(path: Path) -> None:
    """Waits until a file or a folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_all(folder: Path, kind: type[R]) -> tuple[list[R], list[str]]:
    """Every record of a folder by name, and one line per file that could not be read."""
    problems: list[str] = []
    paths = sorted(path for path in folder.glob("*.json") if not path.name.startswith("."))
    found = [_read(path, kind, problems) for path in paths]
    return [record for record in found if record is not None], problems


def _read(path: Path, kind: type[R], problems: list[str]) -> R | None:
    """One record, or None and a line in `problems`."""
    raw = _read_json(path, problems)
    return None if raw is None else _validated(str(path), raw, kind, problems)


def _read_json(path: Path, problems: list[str]) -> Any:
    """What a file holds, or None and a line in `problems`."""
    try:
        raw = json.loads(path.read_bytes())
        wrong = _wrong(raw)
    except OSError as error:
        problems.append(f"{path}: cannot be read: {error.strerror}")
    except (ValueError, RecursionError) as error:
        problems.append(f"{path}: damaged, not JSON: {_one_line(str(error))}")
    else:
        if not wrong:
            return raw
        problems.append(f"{path}: damaged: {wrong}")
    return None


def _wrong(raw: Any) -> str:
    """Why a file's content cannot be a record; empty where nothing is wrong."""
    if raw is None:
        return "it holds null"
    return "a number beyond 64 bits" if _beyond(raw) else ""


def _beyond(raw: Any) -> bool:
    """Whether a number is larger than any that is written here, and too large for arithmetic."""
    if isinstance(raw, dict):
        return any(map(_beyond, raw.values()))
    if isinstance(raw, list):
        return any(map(_beyond, raw))
    return isinstance(raw, int) and abs(raw) > LARGEST


def _validated(where: str, raw: object, kind: type[R], problems: list[str]) -> R | None:
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if (
        "schema_version" in kind.model_fields
        and isinstance(raw, dict)
        and version not in READABLE_VERSIONS
    ):
        known = " and ".join(map(str, READABLE_VERSIONS))
        problems.append(
            f"{where}: schema version {version!r} cannot be read (known: {known}): update ftbench"
        )
        return None
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        part = ".".join(str(part) for part in first["loc"]) or "the whole file"
        problems.append(f"{where}: damaged: {part}: {_one_line(first['msg'])}")
    return None


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]
