"""A run as a contribution to `results/published/`: what is checked, and what is copied."""

from __future__ import annotations

import contextlib
import errno
import getpass
import json
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from results.schema import Measurement, RunInfo
from results.store import (
    CASES_FILE,
    CERTIFICATES,
    PLAN_FILE,
    PREDICTIONS,
    RUN_FILE,
    TUNING_FILE,
    StoreError,
    read_certificates,
    read_prediction_cases,
    read_predictions,
    read_run,
    write_record,
)

# Places in a file system that name a person or a machine. '/proc' and '/sys' are the same everywhere.
_PATH = re.compile(
    r"(?<![\w.:/])(?:/(?:home|root|Users|mnt|media|tmp|var|opt|srv|work|data)/|[A-Z]:\\)\S*|~/\S+"
)
SHORTEST_NAME = 4  # a shorter user or host name is found in ordinary words


def problems(folder: Path, *, named: Sequence[str] = ()) -> list[str]:
    """One line for everything that keeps a run from being published; `named` are words that must not
    occur, such as the host's and the user's name."""
    info, measurements, damaged = read_run(folder)
    found = [*damaged]
    for read in (read_certificates, read_predictions, read_prediction_cases):
        found += read(folder)[1]
    if info is None:
        return found or [f"{folder}: no {RUN_FILE}: this is not a run"]
    found += _unknown_origin(info, measurements)
    found += [
        f"certificate of {c.task}: {c.verdict}: find the cause before you publish the figures"
        for c in read_certificates(folder)[0]
        if not c.holds
    ]
    return found + _private(folder, named)


def private_names() -> list[str]:
    """The host's and the user's name, where they are too long to be an ordinary word."""
    names = [socket.gethostname().split(".")[0]]
    with contextlib.suppress(KeyError, OSError):  # a container's user may have no name
        names.append(getpass.getuser())
    return [name for name in names if len(name) >= SHORTEST_NAME and name != "root"]


def contribute(folder: Path, target: Path) -> list[Path]:
    """Copies the run's records into `target`, without its plan, its report, the workers' last lines and
    what became of its trackers, and returns the files. On an error no part of the copy stays.

    Errors: StoreError when the folder exists or cannot be written."""
    info, measurements, _ = read_run(folder)
    if info is None:
        raise StoreError(f"{folder}: no {RUN_FILE}: this is not a run")
    exists = StoreError(f"{target} already exists")
    if target.exists():
        raise exists
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=target.parent) as unfinished:
            copy = Path(unfinished) / target.name
            copy.mkdir()
            _write(folder, copy, info, measurements)
            copy.rename(target)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY):  # made since, by another process
            raise exists from None
        raise StoreError(f"cannot write {target}: {error.strerror or error}") from None
    return sorted(path for path in target.rglob("*") if path.is_file())


def _write(folder: Path, copy: Path, info: RunInfo, measurements: Sequence[Measurement]) -> None:
    write_record(copy / RUN_FILE, info.model_copy(update={"trackers": []}))
    for m in measurements:
        bare = m.model_copy(update={"stderr_tail": []})
        write_record(copy / f"{m.job.id}.json", bare)
    for path in _copied(folder):
        target = copy / path.relative_to(folder)
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, target)


def _copied(folder: Path) -> Iterator[Path]:
    for name in (TUNING_FILE, CASES_FILE):
        if (folder / name).is_file():
            yield folder / name
    for inside in (CERTIFICATES, PREDICTIONS):
        yield from sorted((folder / inside).glob("*.json"))
    # The arrays of predictions and traces, which hold logits, labels and sketches, and no text.
    yield from sorted(folder.glob("*.npz"))


def _unknown_origin(info: RunInfo, measurements: Sequence[Measurement]) -> list[str]:
    found = []
    if info.commit is None:
        found.append(
            f"{RUN_FILE}: ftbench_version {info.ftbench_version!r} names no commit: measure again with a "
            "clean checkout, so that others can repeat it"
        )
    ok = [m for m in measurements if m.status == "ok"]
    if measurements and not ok:
        found.append(
            f"{len(measurements)} jobs, and none has figures: publish a run that measured something"
        )
    for m in ok:
        if m.data is None or not m.data.fingerprint:
            found.append(f"{m.job.id}: the fingerprint of its data is missing: measure it again")
        if m.device != info.device and m.device.name != info.device.name:
            found.append(
                f"{m.job.id}: measured on {m.device.name!r}, but the run on {info.device.name!r}: publish the "
                "figures of one device"
            )
    return found


def _private(folder: Path, named: Sequence[str]) -> list[str]:
    """Paths and names in any text that would be published. The workers' job files, in `jobs/`, and
    the plan are full of paths and stay where they are."""
    words = re.compile("|".join(rf"\b{re.escape(name)}\b" for name in named)) if named else None
    found = []
    records = {*folder.glob("*.json"), *_copied(folder)} - {folder / PLAN_FILE}
    for path in sorted(records):
        if path.suffix != ".json":
            continue
        try:
            raw = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError):
            continue  # it is among the damaged files
        for where, text in _texts(raw):
            if where.startswith(("stderr_tail", "trackers")):
                continue  # not copied
            match = _PATH.search(text) or (words.search(text) if words else None)
            if match:
                found.append(
                    f"{path.name}: {where} contains {match[0][:80]!r}, which is private: remove it"
                )
    return found


def _texts(raw: Any, where: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(raw, str):
        yield where, raw
    elif isinstance(raw, dict):
        for key, value in raw.items():
            yield f"{where}.{key}".strip("."), str(key)
            yield from _texts(value, f"{where}.{key}".strip("."))
    elif isinstance(raw, list):
        for value in raw:
            yield from _texts(value, where)
