"""Turns pytorch_model.bin into model.safetensors: python -m frameworks.hf_torch.unpickle SRC DST.

Runs as its own process, so that the harness does not import torch. Only tensors are read;
whatever else the pickle would run is refused.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file


def unpickle(source: Path, target: Path) -> None:
    """Writes the tensors of `source` to `target`; raises pickle.UnpicklingError for anything that
    is no plain tensor file."""
    state = torch.load(source, map_location="cpu", weights_only=True)
    if not isinstance(state, dict):
        raise pickle.UnpicklingError(f"holds a {type(state).__name__}, no dictionary of tensors")
    # Clones, because safetensors refuses tensors that share memory (GPT-2's tied embeddings).
    tensors = {
        name: value.clone().contiguous()
        for name, value in state.items()
        if isinstance(value, torch.Tensor)
    }
    save_file(tensors, target, metadata={"format": "pt"})


if __name__ == "__main__":
    try:
        unpickle(Path(sys.argv[1]), Path(sys.argv[2]))
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        sys.exit(str(error).splitlines()[0])
