"""What training costs: hours of the machine and, at a price that the user gives, money. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from results.analysis.compare import Row
from results.analysis.statistics import Interval
from results.schema import Device, Measurement

HOUR = 3600


@dataclass(frozen=True)
class Price:
    """Of one hour of a machine."""

    amount: float
    currency: str  # '' where none was given


class UnknownMachine(Exception):
    """A price of a machine on which none of the runs was made; one line that names those that were."""


@dataclass(frozen=True)
class Cost:
    """Of one backend."""

    row: Row
    examples: int  # of an epoch
    epoch_hours: float
    interval: Interval | None  # of the hours of an epoch
    training_hours: float | None  # mean over seeds; None where no accuracy was measured
    price: Price | None


def cost(row: Row, prices: Mapping[str, Price]) -> Cost | None:
    """None where the backend's speed or its data are not known: predictions have no speed."""
    timed = [m for group in row.groups.get("throughput", []) for m in group.ok if m.data]
    if not row.speed or not timed or not timed[0].data:
        return None
    rate, examples = row.speed.training, timed[0].data.train_examples
    hours = examples / rate.samples_per_second / HOUR
    # The interval is that of the steps per second: hours are inversely proportional to them.
    steps = rate.steps_per_second
    ends = rate.interval
    interval = Interval(hours * steps / ends.high, hours * steps / ends.low) if ends else None
    return Cost(row, examples, hours, interval, _training_hours(row), _price(timed[0], prices))


def check_machines(prices: Mapping[str, Price], devices: Iterable[Device]) -> None:
    """Errors: UnknownMachine."""
    known = dict.fromkeys(name for device in devices for name in names(device))
    unknown = [name for name in prices if name not in known]
    if unknown:
        raise UnknownMachine(
            f"--price {unknown[0]!r}: no run here was measured on it: use one of {', '.join(known)}"
        )


def names(device: Device) -> list[str]:
    """What a device's price may be given for: its type in gpus.toml, and its name."""
    return [name for name in (device.gpu_type, device.name) if name]


def _price(m: Measurement, prices: Mapping[str, Price]) -> Price | None:
    return next((prices[name] for name in names(m.device) if name in prices), None)


def _training_hours(row: Row) -> float | None:
    trained = [
        a.training_seconds
        for group in row.groups.get("accuracy", [])
        for m in group.ok
        if (a := m.accuracy)
    ]
    return sum(trained) / len(trained) / HOUR if trained else None
