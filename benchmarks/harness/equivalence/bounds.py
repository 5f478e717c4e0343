"""The bounds of the certificate's checks: fixed ones, and for a reduced precision those derived
from a repeated run of one backend. docs/equivalence.md explains both."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

START_WEIGHTS = 1e-6
START_LOGITS = 2e-6  # of logits up to 1, and as a share of larger ones,
LARGE_START_LOGITS = 1e-5  # but no more than this
LOSS = 1e-5
GRADIENT_NORM = 1e-4
LEARNING_RATE = 1e-4
FIRST_UPDATE = 1e-2
WEIGHTS = 1e-4
END_LOGITS = 1e-4
LABELS = 0.999

# A derived bound over what the precision changes in one backend. Two backends round at different
# places: where one changes r times as much, they differ by sqrt(1 + r^2), and chance adds to it.
TIMES = 8.0

Amounts = Mapping[str, float]  # by the name of the check
FIXED: Amounts = {
    "starting weights": START_WEIGHTS,
    "starting logits": START_LOGITS,
    "loss": LOSS,
    "gradient norm": GRADIENT_NORM,
    "learning rate": LEARNING_RATE,
    "first update": FIRST_UPDATE,
    "weights": WEIGHTS,
    "final logits": END_LOGITS,
    "labels": LABELS,
}
# Weights and optimizer are fp32 in every precision, so these two keep their fixed bounds.
KEPT = ("starting weights", "learning rate")
DERIVED = [name for name in FIXED if name not in KEPT]


def derived(own: Sequence[Amounts]) -> Amounts:
    """The bounds of a reduced precision. `own` has, for each backend that was repeated, by how
    much its reduced run differs from its fp32 run; for 'labels' it is the share that differs.

    Of several backends the smallest difference counts: a fault in the reduced precision of one
    backend makes its own two runs differ, and must not widen the bounds that should detect it."""
    return {
        name: _wide(name, min(amounts[name] for amounts in own)) if name in DERIVED else bound
        for name, bound in FIXED.items()
    }


def _wide(name: str, difference: float) -> float:
    """Never narrower than the fixed bound; equal to it if the repeat gave no number."""
    if not math.isfinite(difference):
        return FIXED[name]
    if name == "labels":
        return max(0.0, min(LABELS, 1 - TIMES * difference))
    return max(FIXED[name], TIMES * difference)
