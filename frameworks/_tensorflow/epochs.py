"""How `fit` counts epochs, and what it calls at their steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from frameworks._tensorflow.recording import Recording
from frameworks.contract import SessionSpec, Watch


def fit_length(spec: SessionSpec, done: int) -> dict[str, int]:
    """The `initial_epoch`, `epochs` and `steps_per_epoch` of `fit` after `done` batches. The dataset
    continues from epoch to epoch by itself, so one long epoch does, except for a user's callbacks, which
    see the real ones."""
    feed = spec.feed
    if not spec.callbacks:
        return {"initial_epoch": 0, "epochs": 1, "steps_per_epoch": feed.total_batches - done}
    batches = min(feed.batches_per_epoch, feed.total_batches)
    return {
        "initial_epoch": done // batches,
        "epochs": -(-feed.total_batches // batches),
        "steps_per_epoch": batches,
    }


class StepHooks:
    """Mixed into Keras's list of callbacks: calls the user's callbacks, reports every optimizer step to
    the watch, and stops the loop when that asks for it. The last step of an epoch is reported after the
    user's callbacks know of the epoch's end. A list of its own: for a single callback Keras would wait
    for the loss after every batch."""

    def __init__(
        self, recording: Recording, watch: Watch, model: Any, callbacks: Sequence[Any]
    ) -> None:
        spec, done = recording.spec, recording.done()
        length = fit_length(spec, done)
        super().__init__(
            list(callbacks),
            add_history=True,
            model=model,
            verbose=0,
            epochs=length["epochs"],
            steps=length["steps_per_epoch"],
        )
        self.watch, self.feed, self.users = watch, spec.feed, bool(callbacks)
        self.batch = done - 1  # over all epochs; Keras counts from 0 in each
        # fit would make an epoch in which a training continues as long as all others.
        self.short = self.users and self._place(done) > 0
        self.stopped = False  # by a user's callback in the last batch of an epoch

    def on_train_begin(self, logs: object = None) -> None:
        super().on_train_begin(logs)
        self.watch.begin()

    def on_train_batch_begin(self, batch: int, logs: object = None) -> None:
        if self.users:
            super().on_train_batch_begin(self._place(self.batch + 1), logs)

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        self.batch += 1
        if self.users:
            super().on_train_batch_end(self._place(self.batch), logs)
        if self.users and self._ends_epoch():
            self.stopped = self.model.stop_training
            self.model.stop_training |= self.short
        elif self.feed.ends_step(self.batch):
            self._report()

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        ended = self.users and self._ends_epoch()
        if ended:
            self.model.stop_training, self.short = self.stopped, False
        super().on_epoch_end(epoch, logs)
        if ended:
            self._report()

    def _report(self) -> None:
        step = self.feed.step_of(self.batch) + 1
        if self.watch.step_end(step) or step == self.feed.total_steps:
            self.model.stop_training = True

    def _place(self, batch: int) -> int:
        """A batch's place in its epoch."""
        return batch % self.feed.batches_per_epoch

    def _ends_epoch(self) -> bool:
        return self._place(self.batch + 1) == 0
