"""The precision in force, measured by a matrix product: how many bits it keeps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from frameworks.contract.recipe import Precision

SIZE = 512  # rows and columns: enough that a library takes the kernels that it has for models


BITS = 23  # behind the point, in fp32


KEPT: dict[Precision, int] = {"fp32": 23, "tf32": 10, "bf16": 7}


def factors() -> tuple[np.ndarray, np.ndarray]:
    """Two float32 matrices. Row k of the first is 1 + 2^-k, which has k bits behind the point; the
    second is the identity, so that their product has the first one's numbers as they were read."""
    rows = 1 + 2.0 ** -np.arange(1, BITS + 1)
    numbers = np.concatenate([rows, np.ones(SIZE - BITS)]).astype(np.float32)
    return np.repeat(numbers[:, None], SIZE, axis=1), np.eye(SIZE, dtype=np.float32)


@dataclass(frozen=True)
class Product:
    """What a product kept of the factors."""

    bits: int  # behind the point, that every number kept
    half: bool  # in fp16, which keeps as many as TF32 does

    @classmethod
    def of(cls, *results: np.ndarray, half: bool) -> Product:
        """The coarsest of several products, such as a layer's and attention's."""
        given, _ = factors()
        kept = [np.all(result[:BITS] == given[:BITS], axis=1) for result in results]
        lost = ~np.all(kept, axis=0)
        return cls(int(np.argmax(lost)) if lost.any() else BITS, half)

    @property
    def word(self) -> Precision:
        """The precision that keeps no more bits than the product.

        Raises ValueError if the product is coarser than every precision."""
        if self.half:
            return "fp16"
        for word, bits in KEPT.items():
            if self.bits >= bits:
                return word
        raise ValueError(
            f"matrix products keep {self.bits} bits, fewer than every precision of a recipe"
        )
