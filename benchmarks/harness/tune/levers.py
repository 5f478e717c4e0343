"""What tuning tries: levers, and candidates, which are combinations of levers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.harness.plan.sections import Fields
from frameworks.contract import Recipe
from results.schema import Device

# What changes the arithmetic, the most first: the order in which levers are dropped for accuracy.
ARITHMETIC = ("precision", "padding", "batch_size")


@dataclass(frozen=True)
class Lever:
    """One thing that a framework offers: recipe fields and variables of the worker."""

    name: str
    fields: Fields = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Candidate:
    """A combination of levers, the one with the largest gain first. Without any it is the plain
    recipe."""

    levers: tuple[Lever, ...] = ()

    def plus(self, lever: Lever) -> Candidate:
        return Candidate((*self.levers, lever))

    def without(self, lever: Lever) -> Candidate:
        return Candidate(tuple(other for other in self.levers if other != lever))

    @property
    def best_alone(self) -> Candidate:
        """Its best lever alone; the plain recipe if it has no other."""
        return Candidate(self.levers[:1] if len(self.levers) > 1 else ())

    @property
    def most_arithmetic(self) -> Lever:
        """The lever to drop first if the accuracy does not hold."""

        def place(lever: Lever) -> int:
            return min(
                (ARITHMETIC.index(name) for name in lever.fields if name in ARITHMETIC),
                default=len(ARITHMETIC),
            )

        return min(self.levers, key=place)

    def recipe(self, plain: Recipe) -> Recipe:
        return Recipe(**(plain.model_dump() | self.fields))

    @property
    def fields(self) -> Fields:
        return {name: value for lever in self.levers for name, value in lever.fields.items()}

    @property
    def environment(self) -> dict[str, str]:
        return {name: value for lever in self.levers for name, value in lever.environment.items()}

    @property
    def name(self) -> str:
        return " + ".join(lever.name for lever in self.levers) or "plain"

    def differs_where(self, lever: Lever) -> bool:
        """Whether a lever changes a field or a variable that another one here changes."""
        return any(
            set(lever.fields) & set(other.fields) or set(lever.environment) & set(other.environment)
            for other in self.levers
        )


def levers(
    recipe: Recipe, device: Device, threads: int, thread_variables: Sequence[str]
) -> list[Lever]:
    """Everything that may make the recipe faster without changing what is learned: the number of
    examples in an optimizer step stays the same. Backends and devices reject what they do not
    support."""
    found = [Lever(word, {"precision": word}) for word in ("tf32", "bf16", "fp16")]
    found += [
        Lever("compiled", {"compile": True}),
        Lever("padding to the longest", {"padding": "longest"}),
        Lever("length buckets", {"padding": "buckets"}),
        Lever("attention sdpa", {"attention": "sdpa"}),
        Lever("attention eager", {"attention": "eager"}),
    ]
    size, parts = recipe.batch_size, recipe.accumulation
    if size % 2 == 0:
        found.append(
            Lever(
                "half the batch, accumulated", {"batch_size": size // 2, "accumulation": parts * 2}
            )
        )
    if parts % 2 == 0:
        found.append(
            Lever(
                "twice the batch, less accumulated",
                {"batch_size": size * 2, "accumulation": parts // 2},
            )
        )
    if device.kind == "cpu" and threads > 1 and thread_variables:
        half = str(threads // 2)  # often faster where cores share arithmetic units
        found.append(
            Lever(f"{half} of {threads} threads", environment=dict.fromkeys(thread_variables, half))
        )
    current = recipe.model_dump()
    return [
        lever
        for lever in found
        if lever.environment or any(current[k] != v for k, v in lever.fields.items())
    ]
