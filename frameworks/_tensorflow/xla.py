"""Whether XLA compiles a training, read from the graph that computes a batch's loss."""

from __future__ import annotations

import os
import re

import tensorflow as tf


def compiled(graph: tf.Graph | None) -> bool:
    """Whether XLA compiles the graph: a function that it must compile runs in no other way."""
    if clusters():
        return True
    while graph is not None:
        graph = getattr(graph, "outer_graph", None)
        functions = graph.as_graph_def().library.function if graph else ()
        if any(function.attr["_XlaMustCompile"].b for function in functions):
            return True
    return False


def not_compiled(graph: tf.Graph | None) -> str:
    """Why XLA compiled nothing, and what to do about it."""
    if graph is None:
        return "TensorFlow ran without a graph; remove tf.config.run_functions_eagerly"
    return "no frame was compiled: Keras left XLA out, as it does for some layers; use others"


def clusters() -> bool:
    """Whether XLA compiles parts of every graph, asked or not."""
    flags = re.search(r"tf_xla_auto_jit=([1-9])", os.environ.get("TF_XLA_FLAGS", ""))
    return flags is not None or bool(tf.config.optimizer.get_jit())
