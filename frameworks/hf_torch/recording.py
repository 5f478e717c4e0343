"""Records what `record` and `hash_batches` ask for, on the device until it is read."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from frameworks.contract import Curve, SessionSpec, batch_digest


class Recording:
    """Fed once per batch and once per optimizer step; nothing here waits for the device, except
    the digests."""

    def __init__(self, spec: SessionSpec) -> None:
        self.spec = spec
        self.losses: list[torch.Tensor] = []
        self.norms: list[torch.Tensor] = []
        self.rates: list[float] = []
        self.digests: list[str] = []

    def batch(self, inputs: Mapping[str, torch.Tensor]) -> None:
        if self.spec.hash_batches:
            self.digests.append(batch_digest({k: v.cpu().numpy() for k, v in inputs.items()}))

    def loss(self, share: torch.Tensor) -> None:
        """A batch's share of its step's loss: its summed loss over the examples of the step."""
        if self.spec.record:
            self.losses.append(share.detach())

    def step(self, norm: torch.Tensor, rate: float) -> None:
        """The norm of the step's gradient before clipping, and its learning rate."""
        if self.spec.record:
            self.norms.append(norm.detach())
            self.rates.append(rate)

    def curve(self) -> Curve:
        losses = [0.0] * len(self.norms)
        for batch, share in enumerate(self.losses):
            losses[self.spec.feed.step_of(batch)] += share.item()
        norms = [norm.item() for norm in self.norms]
        return Curve(losses, norms, list(self.rates), list(self.digests))
