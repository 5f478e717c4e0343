"""The state of a training: every variable, and what was recorded."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import tensorflow as tf

from frameworks._tensorflow.recording import Recording

FILE = "state.npz"


def save(folder: Path, variables: Iterable[tf.Variable], recording: Recording) -> None:
    """Writes the variables' values by their place, and the recording. Errors: OSError."""
    values = {f"variable_{place}": v.numpy() for place, v in enumerate(variables)}
    np.savez(folder / FILE, **values, **recording.state())


def load(folder: Path, variables: Iterable[tf.Variable], recording: Recording) -> None:
    """Sets what `save` wrote. Errors: KeyError and ValueError where the variables are others."""
    with np.load(folder / FILE) as arrays:
        for place, variable in enumerate(variables):
            variable.assign(arrays[f"variable_{place}"])
        recording.load_state(arrays)
