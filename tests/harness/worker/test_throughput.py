"""What comes after the last window cannot lose the windows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.harness.worker.questions.throughput import matmul_rate
from frameworks.contract import Recipe

pytestmark = pytest.mark.once


def test_a_matrix_rate_that_fails_is_none_with_a_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(recipe: Recipe) -> float:
        raise RuntimeError("CUDA out of memory")

    session: Any = SimpleNamespace(
        spec=SimpleNamespace(recipe=Recipe()), device=SimpleNamespace(matmul_flops_per_second=full)
    )
    assert matmul_rate(session) == (None, {"matmul_flops_per_second": "failed"})
    assert "CUDA out of memory" in capsys.readouterr().err  # kept in the worker's log
    session.device.matmul_flops_per_second = lambda recipe: 5.0
    assert matmul_rate(session) == (5.0, {})
