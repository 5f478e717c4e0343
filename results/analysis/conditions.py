"""What has to be equal for a fair race, besides the work: threads, cores and the memory allocator, as
they were in force. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from results.schema import Measurement

CONDITIONS = {  # by the name in `Measurement.effective`, in words
    "threads": "with different numbers of threads",
    "affinity": "on different cores",
    "allocator": "with different memory allocators",
}
Conditions = dict[str, tuple[str, ...]]  # values, each once; without those that are not recorded


def conditions(measurements: Iterable[Measurement]) -> Conditions:
    found: dict[str, dict[str, None]] = {}
    for m in measurements:
        for name in CONDITIONS:
            value = (m.effective or {}).get(name)
            if value is not None:
                found.setdefault(name, {})[str(value)] = None
    return {name: tuple(values) for name, values in found.items()}


def unequal(sides: Sequence[Conditions]) -> list[str]:
    """The names of the conditions that are not the same on all sides. What one side does not record,
    as older files, counts as equal."""
    return [
        name
        for name in CONDITIONS
        if len({value for side in sides for value in side.get(name, ())}) > 1
    ]


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
