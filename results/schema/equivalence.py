"""Traces and certificates."""

from __future__ import annotations

from typing import Any, Literal

from results.schema.job import Record, Versioned


class Trace(Record):
    """One training, step by step, to be compared with another backend's: lists hold one entry per
    optimizer step, in order."""

    question: Literal["equivalence"] = "equivalence"
    steps: int
    steps_per_epoch: int
    update_step: int  # the first, from 1, whose learning rate is above 0
    examples: list[int]  # in each step
    batches: list[str]  # one digest per batch, of token ids, masks, token types and labels
    batch_steps: list[int]  # the step, from 1, that each of them is part of
    loss: list[float]  # mean over the examples of the step
    gradient_norm: list[float]  # global, before clipping
    learning_rate: list[float]
    evaluation_examples: int
    # Of the first steps, in fp32 and without clipping: their median is the norm at which this training
    # clipped. None: the profile gave that norm.
    calibration_norms: list[float] | None = None
    arrays_file: str = ""  # in the same folder: logits and sketches of the weights, .npz
    weights_file: str | None = None  # the weights after training, where the job kept them


class Side(Record):
    """One of the two traces."""

    backend: str
    device: str
    versions: dict[str, str]
    started_at: str


class Check(Record):
    """One quantity of two traces, compared with its bound."""

    name: str
    bound: float
    # How the difference is measured; 'some' is no difference: the share of steps that are affected.
    kind: Literal["same", "absolute", "relative", "share", "some"]
    worst: float | None  # the largest difference (of a share: the share); None: not a number
    passed: bool
    step: int | None = None  # the first optimizer step, from 1, beyond the bound
    value: float | None = None  # the difference there
    where: str | None = None  # what differs: 'batch 7', a tensor, a field of the recipe
    derived: bool = False  # the bound comes from a repeated run, it is not a fixed one


class Repeat(Record):
    """Where the derived bounds of a certificate in reduced precision come from."""

    backends: list[str]  # trained once more in fp32; of two, the one that differs less counts
    times: float  # a bound over the largest difference between a backend's own two runs


class Certificate(Versioned):
    """The comparison of two traces: `certificates/*.json` of a run's folder."""

    task: str
    first: Side
    second: Side
    recipe: dict[str, Any]  # the first side's; the check 'recipe' says where the other differs
    steps: int
    epochs: int  # begun
    clipped_steps: int
    weights_compared: Literal["sketch", "exact"]
    checks: list[Check]  # in the order in which they are made
    holds: bool
    failed_first: str | None  # the name of the check that fails at the earliest step
    likely_cause: str | None  # what usually makes that check fail
    verdict: str  # one line
    notes: list[str]
    loss_differences: list[float]  # absolute, one per step
    repeat: Repeat | None = None  # None: all bounds are fixed ones

    @classmethod
    def from_version_1(cls, raw: dict[str, Any]) -> dict[str, Any]:
        """The likely cause was called 'points_to'."""
        fields = dict(raw)
        if "points_to" in fields:
            fields["likely_cause"] = fields.pop("points_to")
        return fields
