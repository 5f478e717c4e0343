"""Lifetimes of buffers on graphs small enough to follow by hand."""

from __future__ import annotations

import numpy as np
import pytest

from frameworks._tensorflow.executor import COSTLY, Operation, Output, Variable, replay, threads
from frameworks._tensorflow.graph import Node, Tensor, operations
from frameworks.contract import StepTrace

pytestmark = pytest.mark.once


def alive(trace: StepTrace) -> np.ndarray:
    """Bytes after every event."""
    change = np.zeros(trace.events + 1, np.int64)
    np.add.at(change, trace.allocated_at, trace.bytes)
    np.add.at(change, trace.freed_at, -trace.bytes)
    return change[:-1].cumsum()


def operation(name: str, size: int, *inputs: int, **fields: object) -> Operation:
    """One whose only output has `size` bytes and that reads the first output of `inputs`."""
    output = {
        key: fields.pop(key) for key in ("alias", "reuse", "variable", "pieces") if key in fields
    }
    return Operation(
        name,
        "forward",
        tuple((i, 0) for i in inputs),
        outputs=(Output(size, "activations", **output),),
        **fields,
    )


def test_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 2, 5})
    assert (threads("cpu"), threads("gpu")) == (3, 1)


def test_an_input_goes_back_after_its_last_reader() -> None:
    a, b, c = operation("a", 100), operation("b", 10, 0), operation("c", 1, 0)
    trace = replay([], [[a, b, c]])
    assert trace.bytes.tolist() == [100, 10, 1]
    # a, b, b has no reader, c, then a and c go.
    assert alive(trace).tolist() == [100, 110, 100, 101, 1, 0]


def test_an_output_takes_the_place_of_an_input_that_nobody_else_reads() -> None:
    a, b = operation("a", 100), operation("b", 100, 0, reuse=(0,))
    assert alive(replay([], [[a, b]])).max() == 100
    other = operation("c", 1, 0)
    assert alive(replay([], [[a, b, other]])).max() == 200


def test_a_view_keeps_its_source() -> None:
    a, view, reader = operation("a", 100), operation("v", 100, 0, alias=0), operation("r", 7, 1)
    trace = replay([], [[a, view, reader]])
    assert trace.bytes.tolist() == [100, 7]
    assert alive(trace).max() == 107


@pytest.mark.parametrize(
    ("copied", "others_read", "buffers"),
    [
        (False, False, 1),  # written where it stands
        (False, True, 2),  # a new buffer: the old one is still read
        (True, False, 3),  # the read and the write both make a copy
    ],
)
def test_a_variable_is_written_in_place_only_when_nobody_reads_it(
    copied: bool, others_read: bool, buffers: int
) -> None:
    read = operation("read", 100, variable=0)
    write = Operation("write", "optimizer", after=(0,), writes=0)
    reader = operation("reader", 1, 0, after=(1,) if others_read else ())
    steps = [[read, write, reader] if others_read else [read, write]]
    trace = replay([Variable(100, "weights", copied=copied)], steps)
    assert (trace.bytes == 100).sum() == buffers
    assert alive(trace)[-1] == 100


def test_costly_operations_run_side_by_side_where_there_are_threads() -> None:
    a = operation("a", 1)
    products = [operation(name, 100, 0, cost=COSTLY) for name in ("b", "c")]
    for count, most in ((1, 101), (2, 201)):
        assert alive(replay([], [[a, *products]], count)).max() == most


def test_a_thread_follows_a_chain_to_its_end_before_it_takes_another() -> None:
    """Else the first operation of every chain would hold its output at the same time."""
    start = operation("start", 1)
    chains = [operation("first", 100, 0, cost=COSTLY) for _ in range(5)]
    ends = [operation("end", 1, 1 + i, cost=COSTLY) for i in range(5)]
    assert alive(replay([], [[start, *chains, *ends]])).max() < 200


def test_a_list_has_a_buffer_per_element() -> None:
    trace = replay([], [[operation("loop", 600, pieces=3), operation("reader", 1, 0)]])
    assert trace.bytes.tolist() == [200, 200, 200, 1]


def test_every_step_begins_where_the_last_one_ended() -> None:
    write = [
        operation("value", 100),
        Operation("write", "optimizer", ((0, 0),), writes=0, adopts=0),
    ]
    trace = replay([Variable(100, "weights")], [write] * 3)
    assert alive(trace).max() == 200 and alive(trace)[-1] == 100


def test_a_ring_is_an_error() -> None:
    with pytest.raises(ValueError, match="a waits"):
        replay([], [[operation("a", 1, 1), operation("b", 1, 0)]])


def node(name: str, kind: str, *inputs: str, shape: tuple[int, ...] = (2, 8)) -> Node:
    return Node(name, kind, inputs, (Tensor(shape, "float32", 4),))


def test_a_graph_s_parts_and_places() -> None:
    def graph(batch: int) -> list[Node]:
        return [
            node("x", "Placeholder", shape=(batch, 8)),
            node("flat", "Reshape", "x", shape=(8 * batch,)),
            node("y", "Add", "flat", "^x", shape=(8 * batch,)),
            node("scores", "BatchMatMulV2", "x", shape=(batch, 8, 8)),
            node("gradient_tape/w", "MatMul", "x", shape=(8, 8)),
        ]

    variables, found = operations(
        graph(2),
        graph(3),
        2,
        8,
        "cpu",
        lambda name: "backward" if "tape" in name else "forward",
    )
    assert variables == []
    _, flat, y, scores, gradient = found[True]
    assert flat.outputs[0].alias == 0 and y.outputs[0].reuse == (0,) and y.after == (0,)
    parts = [op.outputs[0].part for op in (y, scores, gradient)]
    assert parts == ["activations", "attention", "gradients"]
    assert scores.cost > y.cost
    _, larger = operations(graph(6), graph(7), 6, 8, "cpu", lambda name: "forward")
    assert [op.cost for op in larger[True]] == [op.cost for op in found[True]]


def test_only_one_side_of_a_condition_runs() -> None:
    graph = [
        node("p", "Placeholder", shape=(1,)),
        Node("s", "Switch", ("p", "p"), (Tensor((1,), "float32", 4),) * 2),
        node("no", "Neg", "s", shape=(100,)),
        node("yes", "Neg", "s:1", shape=(50,)),
        node("m", "Merge", "no", "yes", shape=(50,)),
    ]
    _, found = operations(graph, graph, 2, 8, "cpu", lambda name: "forward")
    for holds, size in ((True, 200), (False, 400)):
        assert replay([], [found[holds]]).bytes.max() == size
