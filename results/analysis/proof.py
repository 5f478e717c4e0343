"""What certificates prove, in one line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from results.schema import Certificate, Measurement

# A comparison says how its 'same work' is known.
NOT_PROVEN = "same work: not proven"
PROVEN = "same work: proven"  # the beginning of the line where everything is proven


def proof(
    certificates: Sequence[Certificate],
    titles: Mapping[str, str] | None = None,
    compared: Iterable[str] = (),
    without: Iterable[str] = (),
) -> str:
    """'same work: proven to 1e-5 over 100 steps (PyTorch and TensorFlow; fp32, 2 epochs,
    accumulation 1 and 2)', with every reduced precision's part after it; or what differs first,
    of the first one that does not hold.

    The line begins with what is not proven: a precision that was `compared` and has no certificate,
    and what the plan certifies `without` a certificate."""
    if not certificates:
        return NOT_PROVEN
    titles = titles or {}
    failed = next((c for c in certificates if not c.holds), None)
    if failed:
        return f"{pair_title(failed, titles)}: {failed.verdict}"
    precisions = dict.fromkeys(str(c.recipe.get("precision")) for c in certificates)
    missing = [f"in {precision}" for precision in compared if precision not in precisions]
    not_proven = [f"not proven {what}" for what in dict.fromkeys([*missing, *without])]
    proven = [
        _part([c for c in certificates if c.recipe.get("precision") == precision], titles)
        for precision in sorted(precisions, key=lambda word: word != "fp32")
    ]
    return f"same work: {'; '.join([*not_proven, 'proven to ' + '; to '.join(proven)])}"


def unproven(traces: Sequence[Measurement], certificates: Sequence[Certificate]) -> list[str]:
    """What a task's plan certifies and no certificate proves: 'in bf16', 'with accumulation 2'. A
    precision that the device or a backend does not support does not count."""
    proven = {_settings(c.recipe) for c in certificates}
    planned = dict.fromkeys(_settings(m.recipe) for m in traces)
    unsupported = {_settings(m.recipe) for m in traces if m.status == "unsupported"}
    return [
        f"with accumulation {accumulation}" if precision == "fp32" else f"in {precision}"
        for precision, accumulation in planned
        if (precision, accumulation) not in proven | unsupported
    ]


def _settings(recipe: Mapping[str, Any]) -> tuple[str, int]:
    """What a task's traces differ in."""
    return str(recipe.get("precision", "fp32")), int(recipe.get("accumulation", 1))


def _part(certificates: Sequence[Certificate], titles: Mapping[str, str]) -> str:
    """What those of one precision prove."""
    pairs = dict.fromkeys(pair_title(c, titles) for c in certificates)
    steps = min(c.steps for c in certificates)
    epochs = min(c.epochs for c in certificates)
    accumulations = sorted({int(c.recipe.get("accumulation", 1)) for c in certificates})
    return (
        f"{loss_bound(certificates)} over {steps} steps "
        f"({', '.join(pairs)}; {certificates[0].recipe.get('precision')}, {epochs} "
        f"{'epoch' if epochs == 1 else 'epochs'}, accumulation "
        f"{' and '.join(map(str, accumulations))})"
    )


def origin(certificate: Certificate, titles: Mapping[str, str]) -> str | None:
    """Where its derived bounds come from; None where all are fixed ones."""
    repeat = certificate.repeat
    if repeat is None:
        return None
    precision = certificate.recipe.get("precision")
    names = [titles.get(backend, backend) for backend in repeat.backends]
    whose = (
        f"{names[0]}'s training"
        if len(names) == 1
        else f"the training of {' or '.join(names)}, whichever differs less"
    )
    return (
        f"derived bounds are {repeat.times:g} times the difference between {precision} and fp32 in "
        f"{whose}"
    )


def pair_title(certificate: Certificate, titles: Mapping[str, str]) -> str:
    first, second = (
        titles.get(side.backend, side.backend) for side in (certificate.first, certificate.second)
    )
    return f"{first} and {second}"


def loss_bound(certificates: Sequence[Certificate]) -> str:
    """The widest bound of the loss: what 'proven to' stands for."""
    widest = max(check.bound for c in certificates for check in c.checks if check.name == "loss")
    return scientific(widest)


def scientific(value: float) -> str:
    """1e-5, 2.4e-7."""
    digits, _, power = f"{value:.1e}".partition("e")
    return f"{digits.removesuffix('.0')}e{int(power)}" if value else "0"
