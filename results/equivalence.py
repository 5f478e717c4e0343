"""What certificates prove, in one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from results.schema import Certificate

# A comparison says how its 'same work' is known.
NOT_PROVEN = "same work: not proven"


def proof(certificates: Sequence[Certificate], titles: Mapping[str, str] | None = None) -> str:
    """'same work: proven to 1e-5 over 100 steps (PyTorch and TensorFlow; fp32, 2 epochs,
    accumulation 1 and 2)'; or what differs first, of the first one that does not hold."""
    if not certificates:
        return NOT_PROVEN
    titles = titles or {}
    failed = next((c for c in certificates if not c.holds), None)
    if failed:
        return f"{who(failed, titles)}: {failed.verdict}"
    pairs = dict.fromkeys(who(c, titles) for c in certificates)
    steps = min(c.steps for c in certificates)
    epochs = min(c.epochs for c in certificates)
    accumulations = sorted({int(c.recipe.get("accumulation", 1)) for c in certificates})
    precisions = dict.fromkeys(str(c.recipe.get("precision")) for c in certificates)
    return (f"same work: proven to {loss_bound(certificates)} over {steps} steps "
            f"({', '.join(pairs)}; {', '.join(precisions)}, {epochs} "
            f"{'epoch' if epochs == 1 else 'epochs'}, accumulation "
            f"{' and '.join(map(str, accumulations))})")


def who(certificate: Certificate, titles: Mapping[str, str]) -> str:
    first, second = (titles.get(side.backend, side.backend)
                     for side in (certificate.first, certificate.second))
    return f"{first} and {second}"


def loss_bound(certificates: Sequence[Certificate]) -> str:
    """The widest bound of the loss: what 'proven to' stands for."""
    widest = max(check.bound for c in certificates for check in c.checks if check.name == "loss")
    return scientific(widest)


def scientific(value: float) -> str:
    """1e-5, 2.4e-7."""
    digits, _, power = f"{value:.1e}".partition("e")
    return f"{digits.removesuffix('.0')}e{int(power)}" if value else "0"
