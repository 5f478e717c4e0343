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

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
from tensorflow.python.grappler import tf_optimizer
from tensorflow.python.ops.resource_variable_ops import UninitializedVariable
from transformers import TFAutoModelForSequenceClassification

from frameworks._tensorflow import executor
from frameworks._tensorflow import graph as graphs
from frameworks.contract import (
    Device,
    Examples,
    Part,
    Phase,
    Recipe,
    SessionSpec,
    Start,
    StepPhase,
    StepTrace,
    Unsupported,
)
from frameworks.hf_tf import NAME, model, optimizer, precision, unsupported
from frameworks.hf_tf.recording import Recording
from frameworks.hf_tf.train import MeanLoss

STEPS = 2  # in the second the optimizer has its state from the start
GRAPH_BYTES = 32_600  # per operation: the slope of five measured sessions of 5,275 to 9,130


def step_trace(
    recipe: Recipe, start: Start, batch_size: int, device: Device, phase: Phase = "training"
) -> StepTrace:
    """The buffers of two optimizer steps (or evaluation batches) of full-length examples, as the
    device's kernels and types would take them. `start` needs no weights, only its config.json.

    Raises `Unsupported` for what cannot be followed."""
    for refusal in unsupported(recipe, start, device):
        raise refusal
    if recipe.compile:
        reason = "its buffers are planned by XLA; a prediction follows TensorFlow's own executor"
        raise Unsupported(NAME, "compile", True, reason)
    function, graph_def = _traced(recipe, start, device, phase)
    nodes = [_nodes(function, graph_def, size) for size in (batch_size, batch_size + 1)]
    variables, batches = graphs.operations(*nodes, batch_size, recipe.length, device, _phase)
    if device == "cpu":
        variables.append(_graph_itself(len(function.graph.get_operations())))
    last, others = batches[True], [batches[False]] * (recipe.accumulation - 1)
    return executor.replay(variables, [*others, last] * STEPS, executor.threads(device))


def _graph_itself(operations: int) -> executor.Variable:
    """What tracing leaves in the process: Python's and TensorFlow's records of every operation."""
    return executor.Variable(operations * GRAPH_BYTES, "workspace", pieces=operations)


def _phase(name: str) -> StepPhase:
    """Which phase an operation belongs to, by the scope that Keras gives it."""
    if "gradient_tape/" in name:
        return "backward"
    return "optimizer" if re.search("(^|/)(AdamW|Adafactor|cond)/", name) else "forward"


@lru_cache(maxsize=2)  # asked for at several batch sizes
def _traced(recipe: Recipe, start: Start, device: Device, phase: Phase) -> tuple[Any, Any]:
    """The step as a concrete function, and as a GraphDef that the device would run."""
    spec = SessionSpec(recipe, start, _examples(recipe))
    function = _function(spec, phase)
    return function, _rewritten(function, device)


def _examples(recipe: Recipe) -> Examples:
    """One example of full length: the optimizer's schedule needs to know the data's size."""
    return Examples(
        ids=np.zeros(recipe.length, np.int32),
        offsets=np.array([0, recipe.length]),
        second_starts=np.zeros(1, np.int32),
        labels=np.zeros(1, np.int32),
        pad_id=0,
        has_token_types=False,
    )


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


def _rewritten(function: Any, device: Device) -> Any:
    """The function's graph as Grappler leaves it for a device."""
    graph_def = function.graph.as_graph_def()
    for node in graph_def.node:
        node.device = f"/job:localhost/replica:0/task:0/device:{device.upper()}:0"
    exported = tf.compat.v1.train.export_meta_graph(graph_def=graph_def, graph=function.graph)
    exported.collection_def.clear()
    results = meta_graph_pb2.CollectionDef()
    results.node_list.value.extend(t.name for t in (*function.inputs, *function.graph.outputs))
    results.node_list.value.extend(op.name for op in function.graph.control_outputs)
    exported.collection_def["train_op"].CopyFrom(results)
    config = config_pb2.ConfigProto()
    config.graph_options.rewrite_options.min_graph_nodes = -1  # small graphs too
    return tf_optimizer.OptimizeGraph(config, exported)


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
        variable=None if variable is None else _variable(variable),
    )


def _tensor(tensor: tf.Tensor) -> graphs.Tensor:
    shape = tuple(tensor.shape) if tensor.shape.is_fully_defined() else None
    return graphs.Tensor(shape, tensor.dtype.name, tensor.dtype.size)


def _variable(variable: tf.Variable) -> executor.Variable:
    """A weight is drawn (two more buffers), an optimizer's variable copied from zeros."""
    size = variable.shape.num_elements() * variable.dtype.size
    if variable.trainable and variable.shape.rank:  # the learning rate is one too
        return executor.Variable(size, "weights", making=2)
    part: Part = "gradients" if variable.name.startswith("sum/") else "optimizer"
    return executor.Variable(size, part, making=1)
