"""A made-up run on disk for the tests of `results`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from results import store
from results.schema import Measurement, RunInfo
from tests.results import samples

MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Writes measurements as a run and returns its folder."""

    def make(
        measurements: Sequence[Measurement] | None = None, info: RunInfo | None = None
    ) -> Path:
        folder = store.create_run(tmp_path, info or samples.run_info())
        for m in samples.sample_measurements() if measurements is None else measurements:
            store.write_measurement(folder, m)
        return folder

    return make
