"""Under which conditions the participants of a race computed, besides the work: what has to be equal,
and what is said beside the figures. As it was in force. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from results.schema import Measurement

CONDITIONS = {  # that must be equal, in words; by the name in `Measurement.effective` or its details
    "threads": "with different numbers of threads",
    "affinity": "on different cores",
    "allocator": "with different memory allocators",
    "deterministic": "with and without deterministic algorithms",
}
WORDS = {  # of one condition and value, where the value alone does not say it
    ("allocator", "C library"): "the C library's allocator",
    ("deterministic", "True"): "deterministic algorithms",
    ("deterministic", "False"): "no deterministic algorithms",
    ("flushes_denormals", "True"): "denormals rounded to zero",
    ("flushes_denormals", "False"): "denormals kept",
    ("onednn", "True"): "oneDNN on",
    ("onednn", "False"): "oneDNN off",
    ("variables", "none"): "",
}
TEMPLATES = {"threads": "threads {}", "affinity": "cores {}", "allocator": "allocator {}"}
Conditions = dict[str, tuple[str, ...]]  # values, each once; without those that are not recorded


def conditions(measurements: Iterable[Measurement]) -> Conditions:
    found: dict[str, dict[str, None]] = {}
    for m in measurements:
        for name, value in _facts(m).items():
            if value is not None:
                found.setdefault(name, {})[str(value)] = None
    return {name: tuple(values) for name, values in found.items()}


def _facts(m: Measurement) -> dict[str, object]:
    """Those that must be equal; what a framework does by itself; variables that the profile or the
    shell sets; and what is true of the GPU."""
    effective = m.effective or {}
    details = effective.get("details") or {}
    facts = {name: effective.get(name) for name in ("threads", "affinity", "allocator")}
    facts |= {name: details.get(name) for name in ("deterministic", "onednn", "flushes_denormals")}
    facts["variables"] = effective.get("variables")
    facts["clocks"] = ", ".join(m.device.clock_limits) or None
    facts["part"] = "a part of a GPU (MIG)" if "MIG" in m.device.name.split() else None
    return facts


def unequal(sides: Sequence[Conditions]) -> list[str]:
    """The names of the conditions that have to be the same on all sides and are not. What one side
    does not record, as older files, counts as equal."""
    return [name for name in CONDITIONS if len(_values(name, sides)) > 1]


def _values(name: str, sides: Iterable[Conditions]) -> set[str]:
    return {value for side in sides for value in side.get(name, ())}


def unequal_text(sides: Mapping[str, Conditions]) -> str | None:
    """In what the participants, by name, differ; None where all is equal."""
    names = unequal(list(sides.values()))
    if not names:
        return None
    return " and ".join(
        f"{CONDITIONS[name]} ("
        + ", ".join(
            f"{side} {'/'.join(known[name])}" for side, known in sides.items() if name in known
        )
        + ")"
        for name in names
    )


def conditions_line(sides: Mapping[str, Conditions]) -> str:
    """All conditions of the participants, by name, in one line: what they share without a name. Empty
    where nothing is recorded."""
    parts = []
    for name in dict.fromkeys(name for known in sides.values() for name in known):
        shared = len(_values(name, sides.values())) == 1
        of: dict[str, list[str]] = {}
        for side, known in sides.items():
            for value in known.get(name, ()):
                of.setdefault(_words(name, value), []).append(side)
        parts += [
            words if shared else f"{words} ({', '.join(names)})"
            for words, names in of.items()
            if words
        ]
    return ", ".join(parts)


def _words(name: str, value: str) -> str:
    return WORDS.get((name, value), TEMPLATES.get(name, "{}").format(value))
