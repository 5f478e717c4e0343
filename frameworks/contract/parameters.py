"""What a parameter is, by its PyTorch name."""

from __future__ import annotations

import re


def takes_decay(name: str) -> bool:
    """Whether weight decay acts on a parameter, by its PyTorch name: all but biases and
    LayerNorm."""
    return not re.search(r"(^|[._/])(bias|LayerNorm\.\w+|layer_norm\.\w+|ln_\w+\.\w+)$", name)


def is_embedding(name: str) -> bool:
    """Whether a parameter is a look-up table, by its PyTorch name."""
    return re.search(r"(embeddings?|wte|wpe)\.weight$", name) is not None
