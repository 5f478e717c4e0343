"""The recurrent classifier that several frameworks have: its sizes, and weights that all of them can start
from, under PyTorch's names and layouts."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt

import numpy as np

EMBEDDING, UNITS = 128, 64
EMBEDDING_LIMIT = 0.05


def start_weights(
    label_count: int, vocabulary_size: int, has_token_types: bool, seed: int
) -> dict[str, np.ndarray]:
    """Weights drawn by NumPy from the distributions that Keras uses for these layers: both tables and both
    matrices of inputs uniform, the recurrent matrices orthogonal, the forget gates' biases 1."""
    generator = np.random.Generator(np.random.PCG64([seed, label_count]))
    found = {"words.weight": _uniform(generator, (vocabulary_size, EMBEDDING), EMBEDDING_LIMIT)}
    if has_token_types:
        found["token_types.weight"] = _uniform(generator, (2, EMBEDDING), EMBEDDING_LIMIT)
    for layer, inputs in (("lower", EMBEDDING), ("upper", 2 * UNITS)):
        for suffix in ("", "_reverse"):
            for name, values in _lstm(generator, inputs):
                found[f"{layer}.{name}_l0{suffix}"] = values
    found["classifier.weight"] = _glorot(generator, (label_count, 2 * UNITS))
    found["classifier.bias"] = np.zeros(label_count, np.float32)
    return found


def _lstm(generator: np.random.Generator, inputs: int) -> Iterator[tuple[str, np.ndarray]]:
    """The weights of one direction. The gates are in the order input, forget, cell, output, as in Keras
    and in PyTorch."""
    yield "weight_ih", _glorot(generator, (4 * UNITS, inputs))
    orthogonal, triangle = np.linalg.qr(generator.standard_normal((4 * UNITS, UNITS)))
    yield "weight_hh", (orthogonal * np.sign(np.diag(triangle))).astype(np.float32)
    bias = np.zeros(4 * UNITS, np.float32)
    bias[UNITS : 2 * UNITS] = 1
    yield "bias_ih", bias


def _glorot(generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return _uniform(generator, shape, sqrt(6 / sum(shape)))


def _uniform(generator: np.random.Generator, shape: tuple[int, int], limit: float) -> np.ndarray:
    return generator.uniform(-limit, limit, shape).astype(np.float32)
