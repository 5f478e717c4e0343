"""The state of a training: every variable, and what was recorded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import tensorflow as tf

from frameworks._tensorflow.recording import Recording

FILE = "state.npz"
# Operations whose state cannot be saved, and what to use instead.
RANDOM, PYTHON = "draw from a keras.random.SeedGenerator", "use TensorFlow's operations"
HIDDEN_STATE = {
    **dict.fromkeys(("RandomUniform", "RandomUniformInt", "RandomStandardNormal"), RANDOM),
    **dict.fromkeys(("TruncatedNormal", "ParameterizedTruncatedNormal", "RandomShuffle"), RANDOM),
    **dict.fromkeys(("RandomGamma", "RandomPoissonV2", "Multinomial"), RANDOM),
    **dict.fromkeys(("PyFunc", "EagerPyFunc"), PYTHON),
}


def save(folder: Path, variables: Iterable[tf.Variable], recording: Recording) -> None:
    """Writes the variables' values by their place, and the recording. Errors: OSError."""
    values = {f"variable_{place}": v.numpy() for place, v in enumerate(variables)}
    np.savez(folder / FILE, **values, **recording.state())


def load(folder: Path, variables: Iterable[tf.Variable], recording: Recording) -> None:
    """Sets what `save` wrote. Errors: ValueError where the variables are others."""
    variables = list(variables)
    with np.load(folder / FILE) as arrays:
        saved = sum(name.startswith("variable_") for name in arrays)
        if saved != len(variables):
            raise ValueError(
                f"its model and optimizer have {len(variables)} variables, not {saved}"
            )
        for place, variable in enumerate(variables):
            variable.assign(arrays[f"variable_{place}"])
        recording.load_state(arrays)


def check_graph(
    graph: tf.Graph | None, variables: Iterable[tf.Variable], recording: Recording
) -> None:
    """Errors: NotImplementedError where the graph of a step has a state besides these variables and the
    recording's."""
    if graph is None:
        raise NotImplementedError("its model runs without a graph, and its Python may have a state")
    if found := sorted(HIDDEN_STATE.keys() & operations(graph)):
        raise NotImplementedError(
            f"its model uses {found[0]}, whose state cannot be saved; {HIDDEN_STATE[found[0]]}"
        )
    known = {variable.ref() for variable in [*variables, *recording.variables().values()]}
    for one in chain_of(graph):
        for variable in getattr(one, "variables", ()):
            if variable.ref() not in known:
                raise NotImplementedError(
                    f"its model uses the variable {variable.name!r}, which none of its layers has; "
                    "make it with add_weight, or keep its SeedGenerator in a layer"
                )


@lru_cache(maxsize=1)
def operations(graph: tf.Graph) -> frozenset[str]:
    """The types of all operations of the graph, of those around it and of their functions."""
    found: set[str] = set()
    for one in chain_of(graph):
        definition = one.as_graph_def()
        found |= {node.op for node in definition.node}
        for function in definition.library.function:
            found |= {node.op for node in function.node_def}
    return frozenset(found)


def chain_of(graph: tf.Graph) -> Iterator[tf.Graph]:
    """A graph, the one that calls it, and so on."""
    while graph is not None:
        yield graph
        graph = getattr(graph, "outer_graph", None)
