"""Other finders, compared with the proven limits."""

from __future__ import annotations

import pytest

from results.analysis.limits import finder_summaries
from results.schema import Finder
from tests.results.report.test_limits import MakeRun, limits, line, section, words
from tests.results.sample_limits import limit_measurement


def test_finders_are_judged_by_the_proof(make_run: MakeRun) -> None:
    limit = limits(limit_measurement())[0]
    assert [
        limit.judge(Finder(name="x", answer=a, probes=1, seconds=1.0))
        for a in (119, 120, 127, 128, None)
    ] == ["too low", "right", "right", "too high", "none"]
    accelerate, bisect, dead = finder_summaries([limit])
    assert accelerate.answers == {"right": 0, "too low": 1, "too high": 0, "none": 0, "unknown": 0}
    assert bisect.answers["too high"] == 1 and dead.answers["none"] == 1
    assert accelerate.seconds / accelerate.our_seconds == pytest.approx(140 / limit.found.seconds)
    text = section(
        words(make_run([limit_measurement()])), "What do other batch size finders answer?"
    )
    assert "129 (too high: it fails)" in line(text, "double and bisect", "imdb")
    assert (
        "accelerate found 0 of 1 proven limits (1 too low), double and bisect found 0 of 1" in text
    )
    assert "none (the process ended)" in text and "120 (proven)" in text
