"""The lifetimes of the buffers of a graph of operations. Imports no framework.

A backend whose framework runs graphs lists a step's operations; `replay` runs the list as
TensorFlow's executor would, computing nothing, and records when every buffer is allocated and
freed. An operation runs when all that it waits for has run and a thread is free. Its outputs are
allocated before its inputs are freed, and a buffer is freed with its last reader.

Source, in tensorflow/core: common_runtime/executor.cc (order), framework/op_kernel.cc
(`forward_input`: an operation that is the last reader of an input may write its output there) and
kernels/training_op_helpers.h (`PrepareToUpdateVariable`: a variable whose value somebody still
reads gets a new buffer when it is written).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

import numpy as np

from frameworks.contract import Device, Part, StepPhase, StepTrace

COSTLY = 16 * 1024  # from which cost on an operation may be handed to another thread
Value = tuple[int, int]  # an operation's place in the list, and which of its outputs


@dataclass(frozen=True)
class Variable:
    """A buffer that is there before the first step and outlives the last."""

    bytes: int
    part: Part
    copied: bool = False  # every read and every write makes a copy
    making: int = 0  # further buffers of its size that live while it is made
    pieces: int = 1  # that it consists of


@dataclass(frozen=True)
class Output:
    bytes: int  # 0: none that counts
    part: Part
    alias: int | None = None  # the input that it is another view of
    reuse: tuple[int, ...] = ()  # inputs whose buffer it may take over as their last reader
    variable: int | None = None  # the variable that it shows
    pieces: int = 1  # that it consists of: a list's elements


@dataclass(frozen=True)
class Operation:
    name: str
    phase: StepPhase
    inputs: tuple[Value, ...] = ()
    after: tuple[int, ...] = ()  # operations that must have run, whose outputs it does not read
    outputs: tuple[Output, ...] = ()
    scratch_bytes: int = 0  # allocated only while it runs
    writes: int | None = None  # the variable that it changes
    adopts: int | None = None  # the input that becomes the variable's value as a whole
    cost: int = 1  # of its run, in bytes of memory that take as long to go through


@dataclass
class Ledger:
    """Buffers in the order of their allocation; one event for each allocation and each release."""

    bytes: list[int] = field(default_factory=list)
    allocated_at: list[int] = field(default_factory=list)
    freed_at: dict[int, int] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    pieces: list[int] = field(default_factory=list)
    readers: list[int] = field(default_factory=list)  # still to come; a variable is one
    events: int = 0

    def take(self, size: int, part: Part, readers: int = 0, pieces: int = 1) -> int:
        self.bytes.append(size)
        self.pieces.append(pieces)
        self.allocated_at.append(self.events)
        self.parts.append(part)
        self.readers.append(readers)
        self.events += 1
        return len(self.bytes) - 1

    def read(self, buffer: int) -> None:
        self.readers[buffer] -= 1
        self.drop_unread(buffer)

    def drop_unread(self, buffer: int) -> None:
        if not self.readers[buffer] and buffer not in self.freed_at:
            self.freed_at[buffer] = self.events
            self.events += 1

    def trace(self) -> StepTrace:
        ends = [self.freed_at.get(i, self.events) for i in range(len(self.bytes))]
        sizes = np.array(self.bytes, np.int64) // self.pieces
        return StepTrace(
            bytes=np.repeat(sizes, self.pieces),
            allocated_at=np.repeat(np.array(self.allocated_at, np.int64), self.pieces),
            freed_at=np.repeat(np.array(ends, np.int64), self.pieces),
            parts=tuple(np.repeat(self.parts, self.pieces).tolist()),
            events=self.events,
        )


def threads(device: Device) -> int:
    """That run operations side by side: as many as the variable says, or one for every core that the
    process may run on; a GPU's queue has one filler."""
    number = os.environ.get("TF_NUM_INTEROP_THREADS") or len(os.sched_getaffinity(0))
    return int(number) if device == "cpu" else 1


def replay(
    variables: Sequence[Variable], steps: Sequence[Sequence[Operation]], threads: int = 1
) -> StepTrace:
    """The buffers of these steps, one after the other, each on so many threads. An operation may
    stand in its list before those that it waits for.

    Raises `ValueError` where operations wait for each other in a ring."""
    ledger = Ledger()
    values = [_made(variable, ledger) for variable in variables]
    for operations in steps:
        _Step(operations, variables, values, ledger).run(threads)
    return ledger.trace()


def _next(thread: int, lines: list[deque[int]], tasks: list[deque[int]]) -> int | None:
    if lines[thread]:
        return lines[thread].popleft()
    if tasks[thread]:
        return tasks[thread].pop()
    return next((other.popleft() for other in tasks if other), None)


def _made(variable: Variable, ledger: Ledger) -> int:
    buffer = ledger.take(variable.bytes, variable.part, readers=1, pieces=variable.pieces)
    for spare in [ledger.take(variable.bytes, "workspace") for _ in range(variable.making)]:
        ledger.drop_unread(spare)
    return buffer


class _Step:
    """One pass through the operations."""

    def __init__(
        self,
        operations: Sequence[Operation],
        variables: Sequence[Variable],
        values: list[int],
        ledger: Ledger,
    ) -> None:
        """`values` holds every variable's buffer, and is kept up to date."""
        self._operations, self._ledger = operations, ledger
        self._variables, self._values = variables, values
        self._held: dict[Value, int] = {}  # buffers
        self._uses: dict[Value, int] = {}  # inputs that read it
        self._waits: list[int] = []
        self._followers: list[list[int]] = [[] for _ in operations]
        for i, op in enumerate(operations):
            before = {*(place for place, _ in op.inputs), *op.after}
            self._waits.append(len(before))
            for place in before:
                self._followers[place].append(i)
            for value in op.inputs:
                self._uses[value] = self._uses.get(value, 0) + 1

    def run(self, threads: int) -> None:
        roots = [i for i, waits in enumerate(self._waits) if not waits]
        # A thread runs its own line first, then its newest task, then another's oldest.
        lines: list[deque[int]] = [deque() for _ in range(threads)]
        tasks = [deque(reversed(roots[i::threads])) for i in range(threads)]
        busy: list[tuple[int, int, int]] = []  # until when, thread, operation
        idle, now = list(range(threads)), 0
        while True:
            for thread in list(idle):
                place = _next(thread, lines, tasks)
                if place is not None:
                    idle.remove(thread)
                    self._begin(place, self._operations[place])
                    heappush(busy, (now + self._operations[place].cost, thread, place))
            if not busy:
                break
            now, thread, place = heappop(busy)
            idle.append(thread)
            self._end(place, self._operations[place])
            self._schedule(place, lines[thread], tasks[thread])
        for op, waits in zip(self._operations, self._waits, strict=True):
            if waits:
                raise ValueError(f"{op.name} waits for something that waits for it")

    def _schedule(self, place: int, line: deque[int], tasks: deque[int]) -> None:
        """What is ready now: quick ones go into the thread's line, costly ones are tasks for any
        thread, but for the last one where the line is empty."""
        costly: list[int] = []
        for follower in self._followers[place]:
            self._waits[follower] -= 1
            if not self._waits[follower]:
                quick = self._operations[follower].cost < COSTLY
                (line if quick else costly).append(follower)
        if costly and not line:
            line.append(costly.pop())
        tasks.extend(costly)

    def _begin(self, place: int, op: Operation) -> None:
        for i, output in enumerate(op.outputs):
            self._take((place, i), output, op)
        if op.scratch_bytes:
            self._ledger.drop_unread(self._ledger.take(op.scratch_bytes, "workspace"))
        if op.writes is not None:
            self._write(op.writes, op)

    def _end(self, place: int, op: Operation) -> None:
        for value in op.inputs:
            if value in self._held:
                self._ledger.read(self._held[value])
        for i in range(len(op.outputs)):
            if (place, i) in self._held:
                self._ledger.drop_unread(self._held[place, i])

    def _take(self, value: Value, output: Output, op: Operation) -> None:
        buffer = self._existing(output, op)
        if buffer is None:
            if not output.bytes:
                return
            buffer = self._ledger.take(output.bytes, output.part, pieces=output.pieces)
        self._held[value] = buffer
        self._ledger.readers[buffer] += self._uses.get(value, 0)

    def _existing(self, output: Output, op: Operation) -> int | None:
        if output.variable is not None and not self._variables[output.variable].copied:
            return self._values[output.variable]
        if output.alias is not None:
            return self._held.get(op.inputs[output.alias])
        for place in output.reuse:
            buffer = self._held.get(op.inputs[place])
            if buffer is not None and self._ledger.readers[buffer] == 1:
                return buffer
        return None

    def _write(self, variable: int, op: Operation) -> None:
        """Its own buffer where nobody else reads it, a new one otherwise."""
        old, kept = self._values[variable], self._variables[variable]
        new = None if op.adopts is None else self._held.get(op.inputs[op.adopts])
        if new is not None and self._ledger.readers[new] == 1:
            self._ledger.readers[new] += 1
            self._ledger.parts[new] = kept.part
        elif kept.copied or self._ledger.readers[old] > 1:
            new = self._ledger.take(kept.bytes, kept.part, readers=1)
        else:
            return
        self._values[variable] = new
        self._ledger.read(old)
