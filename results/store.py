"""Where measurements lie: `root/runs/<run>/run.json` and one `<job id>.json` per job.

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
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from results.schema import SCHEMA_VERSION, Certificate, Measurement, Record, RunInfo, Tuning

RUN_FILE = "run.json"
PLAN_FILE = "plan.json"  # what is to do, for a run that goes on; the harness reads it
CERTIFICATES = "certificates"  # their folder inside a run's
TUNING_FILE = "tuning.json"
OTHER_FILES = {RUN_FILE, PLAN_FILE, TUNING_FILE}  # in a run's folder, but no measurement
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
        raise StoreError(f"run {info.run!r} exists already: {folder}") from None
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
        raise StoreError(f"job id {m.job.id!r} is taken by the run's own {path.name}")
    write_record(path, m)
    return path


def write_record(path: Path, record: BaseModel) -> None:
    """Writes any record whole or not at all. Errors: StoreError."""
    plain = _without_odd_floats(record.model_dump(mode="json"))
    write_text(path, json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes one file, whole or not at all. Errors: StoreError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        # A file name may hold bytes that are no UTF-8; they are kept as escapes.
        with open(temporary, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
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
            problems.append(f"{path}: left out, it holds the job {m.job.id!r}, "
                            "so it is a copy of another file")
        elif m is not None:
            measurements.append(m)
    return info, measurements, problems


def write_certificate(folder: Path, name: str, certificate: Certificate) -> Path:
    """Writes `folder/certificates/<name>.json`. Errors: StoreError."""
    path = folder / CERTIFICATES / f"{_file_name('certificate', name)}.json"
    try:
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make {path.parent}: {error.strerror}") from None
    write_record(path, certificate)
    return path


def read_certificates(folder: Path) -> tuple[list[Certificate], list[str]]:
    """A run's certificates by name, and one line per file that could not be read."""
    problems: list[str] = []
    paths = sorted(path for path in (folder / CERTIFICATES).glob("*.json")
                   if not path.name.startswith("."))
    found = [_read(path, Certificate, problems) for path in paths]
    return [c for c in found if c is not None], problems


def read_tuning(folder: Path) -> Tuning | None:
    """What `ftbench tune` found, where the run is one of its."""
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
        raise StoreError(f"{kind} {name!r} cannot be a file name: use letters, digits, '-', '_', "
                         "'=', '+', ',', '@' and '.' (not first), at most 200")
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


def _sync_folder(folder: Path) -> None:
    """Makes the rename itself last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path, kind: type[R], problems: list[str]) -> R | None:
    """One record, or None and a line in `problems`."""
    try:
        raw = json.loads(path.read_bytes())
    except OSError as error:
        problems.append(f"{path}: cannot be read: {error.strerror}")
    except (ValueError, RecursionError) as error:
        problems.append(f"{path}: damaged, not JSON: {_one_line(str(error))}")
    else:
        return _validated(path, raw, kind, problems)
    return None


def _validated(path: Path, raw: object, kind: type[R],
               problems: list[str]) -> R | None:
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if isinstance(raw, dict) and version != SCHEMA_VERSION:
        problems.append(f"{path}: schema version {version!r} is not known here "
                        f"(known: {SCHEMA_VERSION})")
        return None
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole file"
        problems.append(f"{path}: damaged: {where}: {_one_line(first['msg'])}")
    return None


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]
