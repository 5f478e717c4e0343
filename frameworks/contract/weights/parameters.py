"""What a parameter is, by its PyTorch name."""

from __future__ import annotations

import re

NOT_DECAYED = re.compile(r"(^|[./_])bias(_\w+)?$|(norm\w*|(^|[./_])ln_\w+)[./]\w+$", re.IGNORECASE)


def takes_decay(name: str) -> bool:
    """Whether weight decay acts on a parameter, by its PyTorch name: all but biases and the weights of
    normalizations."""
    return not NOT_DECAYED.search(name)


def is_embedding(name: str) -> bool:
    """Whether a parameter is a look-up table, by its PyTorch name."""
    return re.search(r"(embeddings?|wte|wpe)\.weight$", name) is not None
