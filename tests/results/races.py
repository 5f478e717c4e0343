"""Made-up races for the tests of `results`."""

from __future__ import annotations

from collections.abc import Sequence

from results.analysis.compare import compare
from results.analysis.groups import Entry
from results.analysis.speed import SpeedRow
from results.schema import Launch, Measurement, Role
from tests.results import samples
from tests.results.samples import measurement, window

TITLES = {"hf_torch": "PyTorch", "hf_tf": "TensorFlow", "keras_rnn": "Keras LSTM"}


def timed(
    backend: str,
    values: Sequence[float],
    role: Role = "framework",
    race: str | None = None,
    rounds: int | None = None,
    **changes: object,
) -> Measurement:
    """One window of every rate: the rounds of one launch or, with `rounds`, of several."""
    places = [divmod(i, rounds or len(values)) for i in range(len(values))]
    windows = [window(v, r, launch=n) for v, (n, r) in zip(values, places, strict=True)]
    launches = [
        Launch(number=n, build_seconds=3.2, first_step_seconds=2.5)
        for n in range(places[-1][0] + 1)
    ]
    throughput = samples.throughput(1.0).model_copy(
        update={
            "windows": windows,
            "race": race,
            "launches": launches,
            "warmup": [],
            "evaluation_windows": [],
        }
    )
    return measurement(backend, "imdb", "throughput", throughput=throughput, role=role, **changes)


def entries(*measurements: Measurement) -> list[Entry]:
    return [Entry("a", m) for m in measurements]


def speeds(*measurements: Measurement) -> list[SpeedRow]:
    (rows,) = compare(entries(*measurements))
    return [row.speed for row in rows if row.speed]
