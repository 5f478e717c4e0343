"""A compact summary of weights, from which the difference of two copies can be estimated.

Two traces from different machines are compared tensor by tensor, and a few hundred numbers per
tensor suffice. A CountSketch (Charikar, Chen and Farach-Colton, "Finding frequent
items in data streams", 2002) adds every element, under a random sign, to one of BUCKETS random
sums. It is linear, so the difference of two sketches is the sketch of the difference, and the
norm of a sketch is that of the tensor to within about sqrt(2 / BUCKETS), 9 %. Places and signs
follow from the tensor's name alone, so every framework, version and machine uses the same ones.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

import numpy as np

BUCKETS = 256  # a power of two; a tensor with fewer elements is stored unchanged
_ALL_KEY = re.compile(r"(^|\.)(key|k_lin)\.bias$")
_THIRD_KEY = re.compile(r"(^|\.)c_attn\.bias$")  # GPT-2's query, key and value in one
EXEMPT = (
    "the biases of attention's keys are excluded: softmax ignores them, so their gradient is "
    "nothing but rounding, which Adam scales up to full steps"
)

Weights = Mapping[str, np.ndarray]


def comparable(name: str, values: np.ndarray) -> np.ndarray:
    """The elements of a tensor that the training determines, flat (see EXEMPT)."""
    flat = values.reshape(-1)
    if _ALL_KEY.search(name):
        return flat[:0]
    if _THIRD_KEY.search(name):
        query, _, value = np.split(flat, 3)
        return np.concatenate([query, value])
    return flat


def sketch(name: str, values: np.ndarray) -> np.ndarray:
    """At most BUCKETS numbers, float64, that represent a tensor's comparable elements."""
    flat = comparable(name, values).astype(np.float64)
    if len(flat) <= BUCKETS:
        return flat
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest(), "little")
    # Raw draws: numpy promises that a bit generator's stream never changes.
    draws = np.random.PCG64(seed).random_raw(len(flat))
    places = (draws & np.uint64(BUCKETS - 1)).astype(np.intp)
    signed = np.where(draws >> np.uint64(63), -flat, flat)
    return np.bincount(places, weights=signed, minlength=BUCKETS)


def sketches(weights: Weights) -> dict[str, np.ndarray]:
    """The sketch of every tensor. Tensors whose elements are all exempt are omitted."""
    found = {name: sketch(name, values) for name, values in weights.items()}
    return {name: values for name, values in found.items() if len(values)}


def exact(weights: Weights) -> dict[str, np.ndarray]:
    """Every comparable element of every tensor. Fully exempt tensors are omitted."""
    found = {name: comparable(name, values) for name, values in weights.items()}
    return {name: values.astype(np.float64) for name, values in found.items() if len(values)}
