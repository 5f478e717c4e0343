"""The buffers of a training step, without computing it.

The real model, loss, gradients and optimizer are traced into the graph that `Model.fit()` runs,
over variables that hold nothing; TensorFlow's own optimizer of graphs (Grappler) rewrites it as
it would before the first step. Every tensor's size follows from the graph's shapes at the batch
size asked for, its life from `frameworks._tensorflow.executor`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import tensorflow as tf
from tensorflow.python.ops.resource_variable_ops import UninitializedVariable
from transformers import TFAutoModelForSequenceClassification

from frameworks._tensorflow import graph as graphs
from frameworks._tensorflow import tracing
from frameworks.contract import Device, Phase, Recipe, SessionSpec, Start, StepPhase, StepTrace
from frameworks.hf_tf import NAME, model, optimizer, precision, unsupported
from frameworks.hf_tf.recording import Recording
from frameworks.hf_tf.train import MeanLoss


def step_trace(
    recipe: Recipe, start: Start, batch_size: int, device: Device, phase: Phase = "training"
) -> StepTrace:
    """The buffers of two optimizer steps (or evaluation batches) of full-length examples, as the
    device's kernels and types would take them. `start` needs no weights, only its config.json.

    Raises `Unsupported` for what cannot be followed."""
    tracing.check(NAME, recipe, unsupported(recipe, start, device))
    function, graph_def = _traced(recipe, start, device, phase)
    nodes = [_nodes(function, graph_def, size) for size in (batch_size, batch_size + 1)]
    variables, batches = graphs.operations(*nodes, batch_size, recipe.length, device, _phase)
    operations = len(function.graph.get_operations())
    return tracing.replay(variables, batches, operations, recipe.accumulation, device)


def _phase(name: str) -> StepPhase:
    """Which phase an operation belongs to, by the scope that Keras gives it."""
    if "gradient_tape/" in name:
        return "backward"
    return "optimizer" if re.search("(^|/)(AdamW|Adafactor|cond)/", name) else "forward"


@lru_cache(maxsize=2)  # asked for at several batch sizes
def _traced(recipe: Recipe, start: Start, device: Device, phase: Phase) -> tuple[Any, Any]:
    """The step as a concrete function, and as a GraphDef that the device would run."""
    spec = SessionSpec(recipe, start, tracing.one_example(recipe, has_token_types=False))
    function = _function(spec, phase)
    return function, tracing.optimized(function, device)


def _function(spec: SessionSpec, phase: Phase) -> Any:
    """`fit`'s step (or `predict`'s) over any number of full-length examples."""
    length, names = spec.recipe.length, ["input_ids", "attention_mask"]
    if spec.start.architecture == "bert":
        names.append("token_type_ids")
    inputs = {name: tf.TensorSpec((None, length), tf.int32, name) for name in names}
    labels = tf.TensorSpec((None,), tf.int32, "labels")
    with _holding_nothing(), precision.applied(spec.recipe):
        network = TFAutoModelForSequenceClassification.from_config(model.configuration(spec))
        network.build_in_name_scope()
        if phase == "evaluation":
            step = tf.function(network.predict_step)
            function = step.get_concrete_function((inputs,))
            function.made = function.kept = network.variables
            return function
        recording = Recording(spec)
        rule = optimizer.build(spec, network, recording)
        rule.build(network.trainable_variables)
        network.compile(optimizer=rule, loss=MeanLoss(recording))
        step = tf.function(network.train_step)
        function = step.get_concrete_function((inputs, labels))
        function.made = [*network.variables, *rule.variables]
        function.kept = network, recording  # a function keeps no variable alive by itself
    return function


@contextmanager
def _holding_nothing() -> Iterator[None]:
    """Variables made inside have a shape and a type, and no value."""

    def create(usual: Callable[..., Any], **arguments: Any) -> tf.Variable:
        value, shape, dtype = (arguments.get(n) for n in ("initial_value", "shape", "dtype"))
        if shape is None or dtype is None:
            value = tf.convert_to_tensor(value() if callable(value) else value, dtype)
            shape, dtype = value.shape, value.dtype
        if not tf.TensorShape(shape).rank:  # counters are read while the graph is made
            return usual(**arguments)
        return UninitializedVariable(
            trainable=arguments.get("trainable"),
            name=arguments.get("name"),
            shape=shape,
            dtype=dtype,
            synchronization=arguments.get("synchronization"),
            aggregation=arguments.get("aggregation"),
        )

    with tf.variable_creator_scope(create):
        yield


def _nodes(function: Any, graph_def: Any, batch_size: int) -> list[graphs.Node]:
    """The graph's nodes with the shapes that they have at a batch size; the variables first, in
    the order in which they are made."""
    variables: dict[str, tf.Variable] = {}
    with tf.Graph().as_default() as graph:
        given = {}
        for inside in function.inputs:
            if inside.dtype != tf.resource:
                shape = [batch_size if size is None else size for size in inside.shape]
                given[inside.name] = tf.compat.v1.placeholder(inside.dtype, shape)
        # A variable that is updated and never read is not among those that the graph watches.
        known = [*function.graph.variables, *function.made]
        held = {id(variable.handle): variable for variable in known}
        for outside, inside in function.graph.captures:
            variable = variables[inside.op.name] = held[id(outside)]
            given[inside.name] = tf.raw_ops.VarHandleOp(
                dtype=variable.dtype, shape=variable.shape, shared_name=inside.op.name
            )
        tf.graph_util.import_graph_def(graph_def, input_map=given, name="")
        nodes = [_node(node, graph, variables.get(node.name)) for node in graph_def.node]
    order = {id(variable): i for i, variable in enumerate(function.made)}
    places = {name: order.get(id(variable), 0) for name, variable in variables.items()}
    return sorted(nodes, key=lambda node: places.get(node.name, len(order)))


def _node(node: Any, graph: tf.Graph, variable: tf.Variable | None) -> graphs.Node:
    return graphs.Node(
        name=node.name,
        kind=node.op,
        inputs=tuple(node.input),
        outputs=tuple(map(_tensor, graph.get_operation_by_name(node.name).outputs)),
        variable=None
        if variable is None
        else tracing.made_variable(variable, is_sum=variable.name.startswith("sum/")),
    )


def _tensor(tensor: tf.Tensor) -> graphs.Tensor:
    shape = tuple(tensor.shape) if tensor.shape.is_fully_defined() else None
    return graphs.Tensor(shape, tensor.dtype.name, tensor.dtype.size)
