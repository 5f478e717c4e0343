"""A TensorFlow graph's nodes as operations whose buffers `frameworks._tensorflow.executor` can follow. Imports
no framework: a backend lists its graph's nodes with the shapes that their outputs have.

Source: tensorflow/core/kernels, for what each kernel does with its inputs' buffers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

from frameworks._tensorflow.executor import Operation, Output, Value, Variable
from frameworks.contract import Device, Part, StepPhase


@dataclass(frozen=True)
class Tensor:
    shape: tuple[int, ...] | None  # None: the graph alone does not tell
    dtype: str
    item_bytes: int
    pieces: int = 1  # buffers: a list's elements

    @property
    def bytes(self) -> int:
        return 0 if self.shape is None else prod(self.shape) * self.item_bytes


@dataclass(frozen=True)
class Node:
    """One node of a TensorFlow graph."""

    name: str
    kind: str  # the operation's type
    inputs: tuple[str, ...]  # 'name', 'name:output', or '^name' for one that must have run
    outputs: tuple[Tensor, ...]
    variable: Variable | None = None  # that its output is the handle of


# Kernels whose first output is their first input under another shape or name.
VIEWS = frozenset(
    (
        "Identity",
        "Reshape",
        "Squeeze",
        "ExpandDims",
        "StopGradient",
        "PreventGradient",
        "Snapshot",
        "Switch",
        "Merge",
        "TensorListFromTensor",
    )
)
# Kernels that write their output over an input of the same shape and type if they may
# (`forward_input_or_allocate_output`).
IN_PLACE = frozenset(
    (
        "Abs",
        "Add",
        "AddN",
        "AddV2",
        "BiasAdd",
        "Div",
        "DivNoNan",
        "Erf",
        "Erfc",
        "Exp",
        "FloorDiv",
        "FloorMod",
        "Inv",
        "InvGrad",
        "Log",
        "Maximum",
        "Minimum",
        "Mul",
        "MulNoNan",
        "Neg",
        "Pow",
        "RealDiv",
        "Reciprocal",
        "ReciprocalGrad",
        "Relu",
        "ReluGrad",
        "Rsqrt",
        "RsqrtGrad",
        "Select",
        "SelectV2",
        "Sigmoid",
        "SigmoidGrad",
        "Softmax",
        "LogSoftmax",
        "Sqrt",
        "SqrtGrad",
        "Square",
        "SquaredDifference",
        "Sub",
        "Tanh",
        "TanhGrad",
        "Xdivy",
        "ZerosLike",
        "_UnaryOpsComposition",
    )
)
# Kernels that hand their first input on where there is nothing to do.
VIEWS_OF_SAME = frozenset(
    (
        "All",
        "Any",
        "BroadcastTo",
        "Cast",
        "Max",
        "Mean",
        "Min",
        "Prod",
        "Sum",
        "Tile",
    )
)
PRODUCTS = frozenset(
    (
        "BatchMatMulV2",
        "MatMul",
        "_FusedBatchMatMulV2",
        "_FusedMatMul",
    )
)
PRODUCT_COST = 8  # times what going through the same bytes takes
COST_BATCH = 8  # the batch size at which costs are compared, so that the order is one for all
READS = frozenset(("ReadVariableOp",))
WRITES = frozenset(
    (
        "AssignVariableOp",
        "AssignAddVariableOp",
        "AssignSubVariableOp",
        "ResourceApplyAdam",
    )
)


def operations(
    nodes: Sequence[Node],
    larger: Sequence[Node],
    batch_size: int,
    length: int,
    device: Device,
    phase_of: Callable[[str], StepPhase],
) -> tuple[list[Variable], dict[bool, list[Operation]]]:
    """A graph's variables, and its operations where its conditions hold and where they do not.

    `nodes` have the shapes of `batch_size`, `larger` those of one example more: what does not grow
    with the batch is no activation. `length` is the sequences'. A GPU's operations are all quick:
    they are only put into its queue."""
    made = [(node.name, node.variable) for node in nodes if node.variable]
    touched = _variables_of(nodes, {name: i for i, (name, _) in enumerate(made)})
    gathered = {i for node, i in zip(nodes, touched, strict=True) if node.kind == "ResourceGather"}
    variables = [replace(variable, copied=i in gathered) for i, (_, variable) in enumerate(made)]
    places = {node.name: i for i, node in enumerate(nodes)}
    inputs = [
        [_value(name, places) for name in node.inputs if not name.startswith("^")] for node in nodes
    ]
    found = []
    for node, grown, values, variable in zip(nodes, larger, inputs, touched, strict=True):
        phase = phase_of(node.name)
        sources = [
            (nodes[place].outputs[output], larger[place].outputs[output])
            for place, output in values
        ]
        found.append(
            Operation(
                name=node.name,
                phase=phase,
                inputs=tuple(values),
                after=tuple(places[name[1:]] for name in node.inputs if name.startswith("^")),
                outputs=tuple(
                    replace(
                        _output(node, sizes, sources),
                        part=_part(*sizes, phase, length),
                        variable=variable if node.kind in READS else None,
                    )
                    for sizes in zip(node.outputs, grown.outputs, strict=True)
                ),
                writes=variable if node.kind in WRITES else None,
                adopts=1 if node.kind == "AssignVariableOp" else None,
                cost=_cost(node, grown, sources, batch_size) if device == "cpu" else 1,
            )
        )
    return variables, {holds: _alive(nodes, found, holds) for holds in (True, False)}


def _variables_of(nodes: Sequence[Node], known: Mapping[str, int]) -> list[int | None]:
    """The variable whose handle is a node's first input, directly or through views."""
    by_name = {node.name: node for node in nodes}

    def found(node: Node) -> int | None:
        while node.inputs and not node.inputs[0].startswith("^"):
            first = node.inputs[0].partition(":")[0]
            if first in known:
                return known[first]
            node = by_name[first]
            if node.kind not in VIEWS:
                return None
        return None

    return [found(node) for node in nodes]


Sizes = tuple[Tensor, Tensor]  # at the two batch sizes


def _output(node: Node, sizes: Sizes, sources: Sequence[Sizes]) -> Output:
    """Whose buffer an output is. What is equal at both batch sizes is so by no chance."""
    view = (
        node.kind in VIEWS
        or node.kind in VIEWS_OF_SAME
        and all(
            (tensor.bytes, tensor.dtype) == (source.bytes, source.dtype)
            for tensor, source in zip(sizes, sources[0], strict=True)
        )
    )
    reuse: tuple[int, ...] = ()
    if node.kind in IN_PLACE:
        reuse = tuple(i for i, source in enumerate(sources) if source == sizes)
    return Output(
        bytes=0 if node.variable or node.kind == "Const" else sizes[0].bytes,
        part="workspace",
        alias=0 if view else None,
        reuse=reuse,
        pieces=sizes[0].pieces,
    )


def _cost(node: Node, grown: Node, sources: Sequence[Sizes], batch_size: int) -> int:
    """What an operation goes through, in bytes; a product takes longer over it."""
    if node.kind in VIEWS | READS:
        return 1
    sizes = [*zip(node.outputs, grown.outputs, strict=True), *sources]
    total = sum(
        small.bytes + (large.bytes - small.bytes) * (COST_BATCH - batch_size)
        for small, large in sizes
    )
    return 1 + total * (PRODUCT_COST if node.kind in PRODUCTS else 1)


def _alive(nodes: Sequence[Node], found: Sequence[Operation], holds: bool) -> list[Operation]:
    """The operations that run where every condition holds, or none does; the others do nothing.
    A `Switch` passes its input on to one side, a `Merge` takes the side that is alive."""
    dead = {(i, 0 if holds else 1) for i, node in enumerate(nodes) if node.kind == "Switch"}
    idle: set[int] = set()
    while True:
        more = {
            i for i, op in enumerate(found) if i not in idle and _is_idle(nodes[i], op, dead, idle)
        }
        if not more:
            break
        idle |= more
        dead |= {(i, output) for i in more for output in range(len(found[i].outputs))}
    return [
        Operation(op.name, op.phase)
        if i in idle
        else replace(op, inputs=tuple(v for v in op.inputs if v not in dead))
        if dead
        else op
        for i, op in enumerate(found)
    ]


def _is_idle(node: Node, op: Operation, dead: set[Value], idle: set[int]) -> bool:
    if node.kind == "Merge":
        return all(value in dead for value in op.inputs)
    return any(value in dead for value in op.inputs) or any(i in idle for i in op.after)


def _value(name: str, places: Mapping[str, int]) -> Value:
    node, _, output = name.partition(":")
    return places[node], int(output or 0)


def _part(tensor: Tensor, grown: Tensor, phase: StepPhase, length: int) -> Part:
    if phase == "optimizer":
        return "workspace"
    if tensor.shape == grown.shape:  # as large for any batch
        return "gradients" if phase == "backward" else "weights"
    square = tensor.shape is not None and tensor.shape[-2:] == (length, length)
    return "attention" if square else "activations"
