"""The buffers of a training step, without computing it.

The real model, loss, gradients and optimizer are traced into the graph that `Model.fit()` runs;
TensorFlow's own optimizer of graphs (Grappler) rewrites it as it would before the first step.
Every tensor's size follows from the graph's shapes at the batch size asked for, its life from
`frameworks._tensorflow.executor`. The variables are really made: they are small. A loop over time
is followed as one operation whose lists have one buffer per token.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from importlib import import_module
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.framework.function_def_to_graph import function_def_to_graph

from frameworks._tensorflow import graph as graphs
from frameworks._tensorflow import tracing
from frameworks.contract import Device, Phase, Recipe, SessionSpec, Start, StepPhase, StepTrace
from frameworks.keras_rnn import NAME, model, optimizer, precision, unsupported
from frameworks.keras_rnn.recording import Recording
from frameworks.keras_rnn.train import MeanLoss

# Batch sizes that are traced; every dimension is a line over the batch size. They are no other
# dimension of the model, since Grappler makes one of what is equal.
TRACED = (7, 11)
LIST_WRITES = {"TensorListPushBack": 1, "TensorListSetItem": 2}  # which input is the element
# What cuDNN keeps of every token for the backward pass, in units: four gates, the cell and its
# tanh. It does not say; no GPU was available to measure it.
CUDNN_KEPT = 6


def step_trace(
    recipe: Recipe, start: Start, batch_size: int, device: Device, phase: Phase = "training"
) -> StepTrace:
    """The buffers of two optimizer steps (or evaluation batches) of full-length examples, as the
    device's kernels and types would take them.

    Raises `Unsupported` for what cannot be followed."""
    tracing.check(NAME, recipe, unsupported(recipe, start, device))
    traced = [_traced(recipe, start, size, device, phase) for size in TRACED]
    nodes = [_at(size, *traced) for size in (batch_size, batch_size + 1)]
    variables, batches = graphs.operations(*nodes, batch_size, recipe.length, device, _phase)
    return tracing.replay(variables, batches, len(nodes[0]), recipe.accumulation, device)


def _phase(name: str) -> StepPhase:
    """Which phase an operation belongs to, by the scope that Keras gives it."""
    if "gradient_tape/" in name or "gradients/" in name:
        return "backward"
    return "optimizer" if re.search("(^|/)(adam_w|adafactor|cond)", name) else "forward"


@lru_cache(maxsize=4)
def _traced(
    recipe: Recipe, start: Start, batch_size: int, device: Device, phase: Phase
) -> list[graphs.Node]:
    """The step's graph as the device would run it. The batch size is traced into it: a loop's
    body does not tell its shapes otherwise."""
    examples = tracing.one_example(recipe, has_token_types=start.architecture == "bert")
    spec = SessionSpec(recipe, start, examples)
    keras.utils.clear_session()  # names count on from model to model otherwise
    with _cudnn(device):
        function = _function(spec, batch_size, phase)
    return _nodes(function, tracing.optimized(function, device), batch_size, recipe.length)


def _at(batch_size: int, small: list[graphs.Node], large: list[graphs.Node]) -> list[graphs.Node]:
    """The graph at a batch size, from those at the two of `TRACED`."""
    twins = {node.name: node for node in large}  # but for some constants
    share = (batch_size - TRACED[0]) / (TRACED[1] - TRACED[0])

    def scaled(a: graphs.Tensor, b: graphs.Tensor) -> graphs.Tensor:
        if a.shape is None or b.shape is None:
            return a
        pairs = zip(a.shape, b.shape, strict=True)
        return replace(a, shape=tuple(round(x + (y - x) * share) for x, y in pairs))

    return [
        replace(node, outputs=tuple(map(scaled, node.outputs, twins[node.name].outputs)))
        if node.name in twins
        else node
        for node in small
    ]


@contextmanager
def _cudnn(device: Device) -> Iterator[None]:
    """Keras takes cuDNN's LSTM where it sees a GPU; here where one is asked for."""
    rnn = import_module("keras.src.backend.tensorflow.rnn")  # its package has a function so named
    before, rnn._is_gpu_available = rnn._is_gpu_available, lambda: device == "gpu"
    try:
        yield
    finally:
        rnn._is_gpu_available = before


def _function(spec: SessionSpec, batch_size: int, phase: Phase) -> Any:
    """`fit`'s step (or `predict`'s) over a batch of full-length examples."""
    shape = (batch_size, spec.recipe.length)
    with precision.applied(spec.recipe):
        network = model.build(spec)
        inputs = {t.name: tf.TensorSpec(shape, tf.int32, t.name) for t in network.inputs}
        labels = tf.TensorSpec(shape[:1], tf.int32, "labels")
        if phase == "evaluation":
            step = tf.function(network.predict_step)
            function = step.get_concrete_function((inputs,))
            function.made = function.kept = [v.value for v in network.variables]
            return function
        recording = Recording(spec)
        rule = optimizer.build(spec, network, recording)
        rule.build(network.trainable_variables)
        network.compile(optimizer=rule, loss=MeanLoss(recording))
        step = tf.function(network.train_step)
        function = step.get_concrete_function((inputs, labels))
        function.made = [v.value for v in (*network.variables, *rule.variables)]
        function.kept = network, recording  # a function keeps no variable alive by itself
    return function


def _nodes(function: Any, graph_def: Any, batch_size: int, length: int) -> list[graphs.Node]:
    """The graph's nodes; the variables first, in the order in which they are made."""
    variables: dict[str, tf.Variable] = {}
    with tf.Graph().as_default() as graph:
        given = {}
        for inside in function.inputs:
            if inside.dtype != tf.resource:
                given[inside.name] = tf.compat.v1.placeholder(inside.dtype, inside.shape)
        held = {id(variable.handle): variable for variable in function.graph.variables}
        for outside, inside in function.graph.captures:
            variable = variables[inside.op.name] = held[id(outside)]
            given[inside.name] = tf.raw_ops.VarHandleOp(
                dtype=variable.dtype, shape=variable.shape, shared_name=inside.op.name
            )
        tf.graph_util.import_graph_def(graph_def, input_map=given, name="")
        bodies = {body.signature.name: body for body in graph_def.library.function}
        nodes = [
            _node(
                graph.get_operation_by_name(node.name),
                node,
                variables,
                bodies,
                (length, batch_size),
            )
            for node in graph_def.node
        ]
    made = {id(variable): i for i, variable in enumerate(function.made)}
    # Else the order as traced, constants last: Grappler's own may differ between batch sizes.
    traced = {operation.name: i for i, operation in enumerate(function.graph.get_operations())}
    places = {name: made.get(id(variable), 0) - len(made) for name, variable in variables.items()}
    places = traced | places
    return sorted(
        nodes,
        key=lambda node: (node.kind == "Const", places.get(node.name, len(traced)), node.name),
    )


def _node(
    operation: tf.Operation,
    node: Any,
    variables: dict[str, tf.Variable],
    bodies: Any,
    tokens: tuple[int, int],
) -> graphs.Node:
    outputs = tuple(map(_tensor, operation.outputs))
    if node.op in tracing.LOOPS:
        outputs = _loop(operation, bodies[node.attr["body"].func.name], tokens)
    if node.op == "ZerosLike" and operation.outputs[0].dtype == tf.variant:
        outputs = (_like_list(operation.inputs[0], tokens[0]),)
    if node.op == "CudnnRNNV3":
        kept = graphs.Tensor((*tokens, CUDNN_KEPT * model.UNITS), "reserve", outputs[0].item_bytes)
        outputs = (*outputs[:3], kept, *outputs[4:])
    variable = variables.get(node.name)
    return graphs.Node(
        name=node.name,
        kind=node.op,
        inputs=tuple(node.input),
        outputs=outputs,
        variable=None
        if variable is None
        else tracing.made_variable(variable, is_sum="_sum" in variable.name),
    )


def _loop(loop: tf.Operation, body: Any, tokens: tuple[int, int]) -> tuple[graphs.Tensor, ...]:
    """A loop's results: a list that it fills keeps one buffer per token (of all examples). A
    tensor that it puts into several lists, or hands on as its state, counts once. `tokens` are
    those of an example, and examples."""
    length, batch_size = tokens
    inner = function_def_to_graph(body, input_shapes=[tensor.shape for tensor in loop.inputs])
    states = {
        _root(result).name: tensor.name
        for result, tensor in zip(inner.outputs, inner.inputs, strict=True)
    }
    seen: set[str] = set()
    results = []
    for output, result in zip(loop.outputs, inner.outputs, strict=True):
        element = _element(result)
        if element is None:
            results.append(_tensor(output))
            continue
        root, tensor = _root(element).name, _tensor(element)
        source = states.get(root, root)
        each = tensor.shape
        if each is None:  # a gate: the body alone does not tell its weights' shapes
            each = (batch_size, model.UNITS) if element.dtype.is_floating else ()
        shape = (0,) if source in seen else (length, *each)
        seen.add(source)
        results.append(graphs.Tensor(shape, tensor.dtype, tensor.item_bytes, pieces=length))
    return tuple(results)


def _like_list(source: tf.Tensor, length: int) -> graphs.Tensor:
    """As many buffers as a list has elements: where the gradients of a loop's inputs are added up.
    The list is one that a loop has read and hands on."""
    source = _root(source)
    if source.op.type in tracing.LOOPS:
        source = _root(source.op.inputs[source.value_index])
    return replace(_tensor(source), pieces=length)


def _element(result: tf.Tensor) -> tf.Tensor | None:
    """What a loop's body adds to a list; None where the result is no list, or not added to."""
    writer = _root(result).op
    place = LIST_WRITES.get(writer.type)
    return None if place is None else writer.inputs[place]


def _root(tensor: tf.Tensor) -> tf.Tensor:
    """The tensor that this is a view of."""
    while tensor.op.type in graphs.VIEWS:
        tensor = tensor.op.inputs[0]
    return tensor


def _tensor(tensor: tf.Tensor) -> graphs.Tensor:
    shape = tuple(tensor.shape) if tensor.shape.is_fully_defined() else None
    size = 0 if tensor.dtype in (tf.resource, tf.variant) else tensor.dtype.size
    return graphs.Tensor(shape, tensor.dtype.name, size)
