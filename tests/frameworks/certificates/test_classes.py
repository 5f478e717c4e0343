"""A certificate holds whatever the number of classes: clipping is at work in a part of the steps."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from benchmarks.harness.equivalence.certificate import certify
from benchmarks.harness.equivalence.checks import clipped
from frameworks.contract import SessionSpec
from tests.frameworks.certificates.tracing import derived_trace, traced_spec
from tests.frameworks.conftest import make_start, needed

CLASSES = (2, 3, 20, 77, 150)


def spec_of(folder: Path, classes: int) -> SessionSpec:
    spec = traced_spec(make_start(folder / str(classes), "distilbert", classes, layers=1), steps=12)
    labels = np.random.default_rng(classes).integers(classes, size=len(spec.train))
    return dataclasses.replace(
        spec, train=dataclasses.replace(spec.train, labels=labels.astype(np.int32))
    )


@pytest.mark.once
def test_a_part_of_the_steps_is_clipped_whatever_the_number_of_classes(tmp_path: Path) -> None:
    needed("hf_torch")
    limits = set()
    for classes in CLASSES:
        found = derived_trace("hf_torch", spec_of(tmp_path, classes))
        limits.add(found.recipe["max_gradient_norm"])
        assert 1 <= clipped(found) <= found.trace.steps - 1
        assert len(found.trace.calibration_norms) == 8
    assert max(limits) > 1.3 * min(limits)


def test_the_certificate_holds_with_77_classes(tmp_path: Path) -> None:
    """Each backend derives the norm from its own first steps."""
    for backend in ("hf_torch", "hf_tf"):
        needed(backend)
    spec = spec_of(tmp_path, 77)
    one, other = (derived_trace(backend, spec) for backend in ("hf_torch", "hf_tf"))
    found = certify(one, other)
    assert found.holds, found.verdict
    assert 0 < found.clipped_steps < found.steps
    norms = one.recipe["max_gradient_norm"], other.recipe["max_gradient_norm"]
    assert norms[0] == pytest.approx(norms[1], rel=1e-5)
