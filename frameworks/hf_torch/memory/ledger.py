"""Every buffer that PyTorch's operations allocate and free, recorded below autograd."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from frameworks.contract import Part, StepTrace

aten = torch.ops.aten


class Ledger(TorchDispatchMode):
    """Records every storage that an operation returns: its bytes, when it is allocated and freed,
    and its purpose."""

    def __init__(self) -> None:
        super().__init__()
        self._bytes: list[int] = []
        self._allocated_at: list[int] = []
        self._freed_at: dict[int, int] = {}
        self._parts: list[Part] = []
        self._clock = 0
        self._alive: dict[int, int] = {}  # buffers by the address of their storage
        self._part: Part = "activations"

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func is aten._local_scalar_dense.default:  # fake tensors have no values to branch on
            return False if args[0].dtype == torch.bool else 1
        part = self._part
        if func is aten._to_copy.default and self._part_of(args[0]) == "weights":
            part = "weights"  # autocast's copies
        results = func(*args, **kwargs or {})
        for result in tree_leaves(results):
            if isinstance(result, torch.Tensor):
                self.note(result, part)
        return results

    def note(self, tensor: torch.Tensor, part: Part) -> None:
        """Records a buffer for a tensor whose storage is not known yet."""
        storage = tensor.untyped_storage()
        address = storage._cdata
        if address in self._alive or storage.nbytes() == 0:
            return
        buffer = self._alive[address] = len(self._bytes)
        self._bytes.append(storage.nbytes())
        self._allocated_at.append(self._clock)
        self._parts.append(part)
        self._clock += 1
        weakref.finalize(storage, self._gone, address, buffer)

    def _gone(self, address: int, buffer: int) -> None:
        self._freed_at[buffer] = self._clock
        self._clock += 1
        del self._alive[address]

    def _part_of(self, tensor: torch.Tensor) -> Part | None:
        buffer = self._alive.get(tensor.untyped_storage()._cdata)
        return None if buffer is None else self._parts[buffer]

    @contextmanager
    def part(self, part: Part) -> Iterator[None]:
        """Buffers that are allocated inside have this purpose."""
        before, self._part = self._part, part
        yield
        self._part = before

    def watch(self, module: torch.nn.Module) -> None:
        """Counts what the innermost attention modules allocate in their forward pass as attention's."""
        inner = [type(m).__name__.endswith("Attention") for m in module.modules()]
        if not inner[0] or sum(inner) > 1:
            return
        module.register_forward_pre_hook(lambda *_: setattr(self, "_part", "attention"))
        module.register_forward_hook(lambda *_: setattr(self, "_part", "activations"))

    def relabel(self, part: Part, tensors: list[Any]) -> None:
        """Corrects the purpose of the buffers that these tensors hold."""
        for tensor in tensors:
            if isinstance(tensor, torch.Tensor):
                buffer = self._alive.get(tensor.untyped_storage()._cdata)
                if buffer is not None:
                    self._parts[buffer] = part

    def trace(self) -> StepTrace:
        events, freed_at = self._clock, self._in_one_order()
        return StepTrace(
            bytes=np.array(self._bytes, np.int64),
            allocated_at=np.array(self._allocated_at, np.int64),
            freed_at=np.array([freed_at.get(i, events) for i in range(len(self._bytes))], np.int64),
            parts=tuple(self._parts),
            events=events,
        )

    def _in_one_order(self) -> dict[int, int]:
        """When each buffer is freed; those that are freed together in the order of their allocation,
        because autocast drops its copies in an order that depends on addresses."""
        ordered: dict[int, int] = {}
        run: list[int] = []
        at = {event: buffer for buffer, event in self._freed_at.items()}
        for event in range(self._clock + 1):
            if event in at:
                run.append(at[event])
            elif run:
                ordered |= dict(zip(sorted(run), range(event - len(run), event), strict=True))
                run = []
        return ordered
