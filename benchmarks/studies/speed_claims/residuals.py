"""Residuals of measured windows, as the simulation resamples them.

    python -m benchmarks.studies.speed_claims.residuals results/published/xeon-2-cores

reads the runs `speed`, `levers` and `tuned-*` below the folder and writes `residuals.json`. Of the
logarithm of the seconds for an example, the mean of the participant and the mean of the window over
all participants of the race are taken out; what is left is scaled for the means that were.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from math import sqrt
from pathlib import Path

import numpy as np

from benchmarks.studies.speed_claims.noise import RESIDUALS
from results.schema import Measurement, Throughput
from results.store import read_run

TITLES = {"hf_tf": "TensorFlow", "hf_torch": "PyTorch", "keras_rnn": "LSTM"}
TASKS = {"imdb": "IMDb", "mnli": "MNLI"}
OTHER_BATCHES = ("longest", "buckets", "with", "all")  # levers whose windows are other work


def residuals(raced: Sequence[Throughput]) -> list[float]:
    """Of all windows of one race, whose participants took equally many."""
    logs = np.log([[w.seconds / w.examples for w in one.windows] for one in raced])
    participants, windows = logs.shape
    left = logs - logs.mean(axis=1, keepdims=True) - logs.mean(axis=0) + logs.mean()
    scale = sqrt(participants * windows / ((participants - 1) * (windows - 1)))
    return [round(float(value), 5) for value in (scale * left).ravel()]


def pools(folder: Path) -> dict[str, list[float]]:
    """The residuals of the published runs, by what they are of."""
    found: dict[str, list[float]] = {}
    for run in sorted(path.parent for path in folder.glob("*/run.json")):
        timed = [m for m in read_run(run)[1] if m.throughput]
        if run.name == "speed":
            for task, same in _by(timed, lambda m: m.job.task):
                found[f"speed, {TASKS[task]}"] = residuals(_raced(same))
        elif run.name == "levers":
            for backend, same in _by(timed, lambda m: m.job.backend):
                found[f"levers, {TITLES[backend]}"] = residuals(_raced(same))
        elif run.name.startswith("tuned-"):
            job = timed[0].job
            values = found.setdefault(f"tuning, {TITLES[job.backend]} on {TASKS[job.task]}", [])
            for _, same in _by(timed, lambda m: m.job.id.rpartition("-")[0]):
                raced = _raced(same)
                whole = len(raced) == 2 and len(raced[0].windows) == 6
                if whole and not any(word in same[0].job.id for word in OTHER_BATCHES):
                    values += residuals(raced)
    return found


def _by(
    timed: Iterable[Measurement], key: Callable[[Measurement], str]
) -> list[tuple[str, list[Measurement]]]:
    return [(name, list(same)) for name, same in groupby(sorted(timed, key=key), key)]


def _raced(timed: Iterable[Measurement]) -> list[Throughput]:
    return [m.throughput for m in timed if m.throughput]


def main() -> None:
    content = {
        "source": "results/published/xeon-2-cores of ftbench 0.1.0: one launch of every race",
        "residuals": pools(Path(sys.argv[1])),
    }
    RESIDUALS.write_text(json.dumps(content) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
