"""Records what `record` and `hash_batches` ask for, on the device until it is read."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from frameworks.contract import BatchShape, Curve, LossInput, SessionSpec, batch_digest
from frameworks.hf_torch.model import attention_of, compiled_graphs


class Recording:
    """Fed once per batch and once per optimizer step; nothing here waits for the device, except
    the digests."""

    def __init__(self, spec: SessionSpec) -> None:
        self.spec = spec
        self.losses: list[torch.Tensor] = []  # on the device, since the curve was last read
        self.norms: list[torch.Tensor] = []
        self.rates: list[float] = []
        self.digests: list[str] = []
        self._batches = 0  # whose losses have been read
        self._step_losses: list[float] = []
        self._read_norms: list[float] = []
        self.batches: list[BatchShape] = []  # that were trained on
        self._seen = False  # whether this process has computed a batch
        self.attention: str | None = None  # that its first batch ran
        self.loss_input: LossInput | None = None  # what its loss took for logits
        self.graphs = 0  # that torch.compile had compiled after its forward pass
        self.clipped_at = 0.0

    def batch(self, inputs: Mapping[str, torch.Tensor]) -> None:
        self.batches.append(tuple(inputs["input_ids"].shape))
        if self.spec.hash_batches:
            self.digests.append(batch_digest({k: v.cpu().numpy() for k, v in inputs.items()}))

    def forward(self, logits: torch.Tensor, loss: torch.Tensor | None) -> None:
        """A batch's logits and loss, before the backward pass frees their graph; no loss where a user's
        model may compute it in its own way."""
        if not self._seen:
            self._seen = True
            self.attention, self.graphs = attention_of(logits), compiled_graphs()
            self.loss_input = None if loss is None else _loss_input(loss, logits)

    def loss(self, share: torch.Tensor) -> None:
        """A batch's share of its step's loss: its summed loss over the examples of the step."""
        if self.spec.record:
            self.losses.append(share.detach())

    def step(self, norm: torch.Tensor, rate: float, limit: float) -> None:
        """The norm of the step's gradient before clipping, its learning rate, and the norm that it
        was clipped at."""
        self.clipped_at = limit
        if self.spec.record:
            self.norms.append(norm.detach())
            self.rates.append(rate)

    def curve(self) -> Curve:
        """What was recorded so far. Only what is new comes from the device, in two copies: progress
        is asked for every second, also late in a long training."""
        self._read_norms += _read(self.norms)
        self._step_losses += [0.0] * (len(self._read_norms) - len(self._step_losses))
        feed = self.spec.feed
        # Losses of a step that has not ended stay for the next time.
        ended = sum(
            feed.step_of(batch) < len(self._read_norms)
            for batch in range(self._batches, self._batches + len(self.losses))
        )
        ready, self.losses = self.losses[:ended], self.losses[ended:]
        for batch, share in enumerate(_read(ready), start=self._batches):
            self._step_losses[feed.step_of(batch)] += share
        self._batches += ended
        return Curve(
            list(self._step_losses), list(self._read_norms), list(self.rates), list(self.digests)
        )

    def state(self) -> dict[str, np.ndarray]:
        """What was recorded so far. Called between two steps."""
        curve = self.curve()
        return {
            "losses": np.array(curve.loss),
            "norms": np.array(curve.gradient_norm),
            "rates": np.array(curve.learning_rate),
            "digests": np.array(curve.batch_digests, str),
            "shapes": np.array(self.batches, np.int64).reshape(-1, 2),
        }

    def load_state(self, saved: Mapping[str, np.ndarray]) -> None:
        """Sets what `state` returned."""
        self._step_losses = saved["losses"].tolist()
        self._read_norms, self.rates = saved["norms"].tolist(), saved["rates"].tolist()
        self.digests = saved["digests"].tolist()
        self.batches = [tuple(shape) for shape in saved["shapes"].tolist()]
        self._batches = len(self.batches)


def _read(values: list[torch.Tensor]) -> list[float]:
    """Moves numbers from the device, all in one copy, and empties the list."""
    numbers = torch.stack([value.float() for value in values]).tolist() if values else []
    values.clear()
    return numbers


def _loss_input(loss: torch.Tensor, logits: torch.Tensor) -> LossInput:
    """What the loss takes for logits, by the operations between the two in their autograd graph: its
    own softmax is a LogSoftmax."""
    seen, waiting = {logits.grad_fn}, [loss.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        if node.name().startswith("SoftmaxBackward"):
            return "probabilities"
        seen.add(node)
        waiting += [following for following, _ in node.next_functions]
    return "logits"
