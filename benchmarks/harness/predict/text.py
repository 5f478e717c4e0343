"""Predictions as text."""

from __future__ import annotations

from benchmarks.harness.machine import budgets
from frameworks.contract import Device, backends
from results.schema import Prediction

GIB = 2**30


def text(p: Prediction) -> str:
    """A prediction as lines: the peak with its parts, the limits and one plain sentence."""
    size = p.recipe["batch_size"]
    place = "a GPU" if p.device == "gpu" else "a CPU"
    kind = "assumed range" if p.assumed else "95 % interval"
    lines = [
        f"predicted: {_subject(p)} on {place}",
        f"  peak at batch {size}: {_gib(p.peak_bytes)} ({kind} {_gib(p.peak_low_bytes)} to "
        f"{_gib(p.peak_high_bytes)})",
    ]
    lines += [f"    {name:<12}{_gib(amount):>12}" for name, amount in p.parts.items() if amount]
    if p.limits:
        width = max(len(limit.target) for limit in p.limits) + 2
        lines.append(f"  predicted limits, with {kind}; the lower end is promised to fit")
        for limit in p.limits:
            note = f"  ({limit.note})" if limit.note else ""
            lines.append(
                f"    {limit.target:<{width}}{_gib(limit.budget_bytes):>12}"
                f"{limit.limit:>8}  {limit.low} to {limit.high}{note}"
            )
        lines.append(sentence(p))
    lines += [f"  {name} skipped: {why}" for name, why in p.left_out.items()]
    return "\n".join(lines)


def sentence(p: Prediction) -> str:
    """'bert-base, length 512, fp32, PyTorch: about 21 on a T4, 62 on an A100-40'"""
    where = [f"{limit.limit} {_at(limit.target, p.device)}" for limit in p.limits]
    return f"{_subject(p)}: about {', '.join(where)} (predicted)"


def _at(target: str, device: Device) -> str:
    if device == "cpu" or budgets.size_bytes(target) is not None:
        return f"in {target}"
    return f"on {'an' if target[0] in 'AEFHILMNORSX' else 'a'} {target}"


def _subject(p: Prediction) -> str:
    """'bert-base, length 512, fp32, PyTorch'; 'Keras LSTM on the tokens of minilm, ...'"""
    title = backends()[p.backend].title
    words = [f"length {p.recipe['length']}", str(p.recipe["precision"])]
    words += ["evaluation"] * (p.phase == "evaluation")
    if backends()[p.backend].pretrained:
        return ", ".join([p.checkpoint, *words, title])
    return ", ".join([f"{title} on the tokens of {p.checkpoint}", *words])


def _gib(size: int) -> str:
    return f"{size / GIB:.2f} GiB"
