"""The state of a user's module that its state dict does not have."""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Mapping

import torch
from torch import nn


class UnsavedState:
    """What a model keeps besides its state dict: buffers that are not a part of it, and attributes of its
    modules that the training changes, such as a counter."""

    def __init__(self, model: nn.Module) -> None:
        """Of the model as it was made."""
        self._model, self._before = model, _digests(model)

    def read(self) -> dict[tuple[str, str], object]:
        """By module and attribute. Errors: NotImplementedError for what a checkpoint cannot hold."""
        now, saved = _digests(self._model), self._model.state_dict()
        found: dict[tuple[str, str], object] = {}
        for name, buffer in self._model.named_buffers():
            module, _, attribute = name.rpartition(".")
            if name not in saved:
                found[module, attribute] = buffer
        for (module, attribute), before in now.items():
            if before != self._before.get((module, attribute)):
                found[module, attribute] = getattr(self._model.get_submodule(module), attribute)
        extra = {name: v for name, v in saved.items() if not isinstance(v, torch.Tensor)}
        changed = {".".join(filter(None, place)): value for place, value in found.items()}
        for name, value in (extra | changed).items():
            if not _can_be_read(value):
                raise NotImplementedError(
                    f"its model has a state {name}, a {type(value).__name__}, which a checkpoint "
                    "cannot hold; use a buffer, a number, a list or a dictionary"
                )
        return found

    def set(self, saved: Mapping[tuple[str, str], object]) -> None:
        """Sets what `read` returned."""
        for (module, attribute), value in saved.items():
            setattr(self._model.get_submodule(module), attribute, value)


def digest(model: nn.Module) -> str:
    """SHA-256 of all tensors of the model's state dict."""
    sha256 = hashlib.sha256()
    for name, value in model.state_dict().items():
        if isinstance(value, torch.Tensor):
            sha256.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            sha256.update(value.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return sha256.hexdigest()


def _digests(model: nn.Module) -> dict[tuple[str, str], str]:
    """Of every attribute that a module has of its own, by module and attribute. Functions and what
    pickle cannot write are taken for constants."""
    parts = {id(p) for kind in (model.modules, model.parameters, model.buffers) for p in kind()}
    usual, found = vars(nn.Module()).keys(), {}
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if name in usual or callable(value):
                continue
            written = io.BytesIO()
            try:
                _WithoutParts(written, parts).dump(value)
            except Exception:  # noqa: BLE001 - whatever a user's class raises
                continue
            found[path, name] = hashlib.sha256(written.getvalue()).hexdigest()
    return found


class _WithoutParts(pickle.Pickler):
    """Writes the model's own modules, parameters and buffers as references."""

    def __init__(self, file: io.BytesIO, parts: set[int]) -> None:
        super().__init__(file)
        self._parts = parts

    def persistent_id(self, value: object) -> int | None:
        return id(value) if id(value) in self._parts else None


def _can_be_read(value: object) -> bool:
    """Whether PyTorch writes a value and reads it without running code of the file."""
    written = io.BytesIO()
    try:
        torch.save(value, written)
        written.seek(0)
        torch.load(written, weights_only=True)
    except Exception:  # noqa: BLE001 - whatever a user's class raises
        return False
    return True
