"""What both TensorFlow backends do to trace a training step: Grappler's rewriting of its graph, the
example that stands for the data, and the replay of the step's operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
from tensorflow.python.grappler import tf_optimizer

from frameworks._tensorflow import executor
from frameworks.contract import Device, Examples, Recipe, StepTrace, Unsupported

STEPS = 2  # in the second the optimizer has its state from the start
# What tracing leaves in the process, per operation: Python's and TensorFlow's records. The slope of five
# measured sessions of a transformer of 5,275 to 9,130 operations.
GRAPH_BYTES = 32_600
LOOPS = ("While", "StatelessWhile")


def check(backend: str, recipe: Recipe, refusals: Sequence[Unsupported]) -> None:
    """Raises `Unsupported` for the backend's first refusal, or for a step that cannot be traced."""
    for refusal in refusals:
        raise refusal
    if recipe.compile:
        reason = "predictions cover TensorFlow's own executor only, not buffers that XLA plans"
        raise Unsupported(backend, "compile", True, reason)


def one_example(recipe: Recipe, *, has_token_types: bool) -> Examples:
    """One example of full length: model and optimizer need to know the data's size."""
    return Examples(
        ids=np.zeros(recipe.length, np.int32),
        offsets=np.array([0, recipe.length]),
        second_starts=np.zeros(1, np.int32),
        labels=np.zeros(1, np.int32),
        pad_id=0,
        has_token_types=has_token_types,
    )


def optimized(function: Any, device: Device) -> Any:
    """A concrete function's graph as Grappler leaves it for a device, its loops whole."""
    graph_def = function.graph.as_graph_def()
    for node in graph_def.node:
        node.device = f"/job:localhost/replica:0/task:0/device:{device.upper()}:0"
        if node.op in LOOPS:
            node.attr["_lower_using_switch_merge"].b = False
    exported = tf.compat.v1.train.export_meta_graph(graph_def=graph_def, graph=function.graph)
    exported.collection_def.clear()
    results = meta_graph_pb2.CollectionDef()
    results.node_list.value.extend(t.name for t in (*function.inputs, *function.graph.outputs))
    results.node_list.value.extend(op.name for op in function.graph.control_outputs)
    exported.collection_def["train_op"].CopyFrom(results)
    config = config_pb2.ConfigProto()
    config.graph_options.rewrite_options.min_graph_nodes = -1  # small graphs too
    return tf_optimizer.OptimizeGraph(config, exported)


def made_variable(variable: tf.Variable, *, is_sum: bool) -> executor.Variable:
    """A weight is drawn (two more buffers), an optimizer's variable copied from zeros. `is_sum` says
    whether it accumulates gradients."""
    size = variable.shape.num_elements() * variable.dtype.size
    if variable.trainable and variable.shape.rank:  # the learning rate is one too
        return executor.Variable(size, "weights", making=2)
    return executor.Variable(size, "gradients" if is_sum else "optimizer", making=1)


def replay(
    variables: Sequence[executor.Variable],
    batches: Mapping[bool, Sequence[executor.Operation]],
    graph_operations: int,
    accumulation: int,
    device: Device,
) -> StepTrace:
    """The buffers of `STEPS` steps of accumulated batches. `batches` has a batch's operations: True,
    where the optimizer steps after it, and False."""
    if device == "cpu":
        size = graph_operations * GRAPH_BYTES
        variables = [*variables, executor.Variable(size, "workspace", pieces=graph_operations)]
    step = [*[batches[False]] * (accumulation - 1), batches[True]]
    return executor.replay(variables, step * STEPS, executor.threads(device))
