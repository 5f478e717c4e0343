"""The session: one transformers model under `Trainer.train()`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from transformers import (
    PrinterCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from frameworks import contract
from frameworks.contract import (
    Curve,
    Effective,
    Examples,
    Recipe,
    SessionSpec,
    StepPhase,
    Watch,
)
from frameworks.hf_torch import (
    bare,
    data,
    device,
    model,
    optimizer,
    own_model,
    precision,
    readings,
    state,
    unsupported,
)
from frameworks.hf_torch.own_model.unsaved import UnsavedState
from frameworks.hf_torch.recording import Recording
from frameworks.hf_torch.trainer import FeedTrainer, tell_phases


class Session(contract.Session):
    """Builds the model, the optimizer and the Trainer. Raises `Unsupported` before it loads anything."""

    device = device  # the module

    def __init__(self, spec: SessionSpec) -> None:
        super().__init__(spec)
        for refusal in unsupported(spec.recipe, spec.start, device.kind()):
            raise refusal
        device.limit_memory(spec.memory_limit_bytes)
        self.recording = Recording(spec)
        self._folder = TemporaryDirectory(prefix="ftbench-")  # Trainer insists on one
        self._state: Path | None = None  # where the state lies that `train` continues from
        self.graphs = model.compiled_graphs()  # of earlier sessions
        if spec.recipe.compile:
            torch._dynamo.reset()  # or what an earlier session compiled would be used
            for kind in ("unimplemented", "graph_break", "frames"):
                model.dynamo_counters(kind).clear()
        arguments = training_arguments(spec, self._folder.name)
        self.model = model.build(spec)
        continues = spec.own_model and spec.resumable
        self.unsaved = UnsavedState(self.model) if continues else None
        self.trained = own_model.trained(self.model)  # a user's function may freeze others
        self.rates = own_model.dropout_rates if spec.own_model else model.dropout_rates
        own = frozenset(self.rates(self.model).values())
        self.usual_dropout = own if spec.own_model else model.checkpoint_dropout(spec)
        self.optimizer, self.schedule = optimizer.build(spec, self.model)
        self.trainer = FeedTrainer(
            self.recording,
            own_model.Calls(self.model) if spec.own_model else None,
            model=self.model,
            args=arguments,
            optimizers=(self.optimizer, self.schedule),
            compute_loss_func=loss_of(spec.recipe),
        )
        self.trainer.remove_callback(PrinterCallback)
        precision.set_products(spec.recipe)
        if self.trainer.accelerator.scaler is not None and spec.loss_scale is not None:
            self.trainer.accelerator.scaler = precision.bare_scaler(spec)
        # What the bare loop ran and scaled its losses with, where it did.
        self.bare: torch.nn.Module | None = None
        self.bare_scaler: torch.amp.GradScaler | None = None

    def train(self, watch: Watch) -> None:
        for callback in self.make_callbacks():
            self.trainer.add_callback(callback)
        self.trainer.add_callback(Steps(watch, self.spec))
        self.trainer.train(resume_from_checkpoint=self._state and str(self._state))

    def train_bare(self, watch: Watch) -> None:
        self.bare = bare.prepared(self.model, self.spec.recipe)
        self.bare_scaler = precision.bare_scaler(self.spec)
        bare.train(
            self.bare,
            self.model,
            self.optimizer,
            self.schedule,
            self.bare_scaler,
            self.trainer.calls,
            self.recording,
            watch,
        )

    def predict(self, examples: Examples, *, batch_size: int) -> np.ndarray:
        return self.trainer.predict(data.Indices(examples, batch_size)).predictions

    def curve(self) -> Curve:
        return self.recording.curve()

    def effective(self) -> Effective:
        return readings.effective(self)

    def weights(self) -> dict[str, np.ndarray]:
        return model.weights(self.model)

    def load_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        model.load_weights(self.model, weights)

    def save(self, folder: Path) -> None:
        """Saves the format that `from_pretrained` of any transformers version loads."""
        if self.spec.own_model:
            raise NotImplementedError("save a model of your own in a callback of your own")
        contract.save_pretrained(folder, self.spec.start, self.weights())

    def save_state(self, folder: Path) -> None:
        state.save(folder, self.trainer, self.recording, self.unsaved)

    def load_state(self, folder: Path) -> None:
        state.load(folder, self.trainer, self.recording, self.unsaved)
        self._state = folder

    def tell_phases(self, begins: Callable[[StepPhase | None], None]) -> bool:
        return tell_phases(self.trainer, begins)


class Steps(TrainerCallback):
    """Reports every optimizer step to the watch, and stops the loop when it asks for that. The last step
    of an epoch is reported after the user's callbacks know of the epoch's end."""

    def __init__(self, watch: Watch, spec: SessionSpec) -> None:
        self.watch, self.users, self.feed = watch, bool(spec.callbacks), spec.feed

    def on_train_begin(self, *_: object, **__: object) -> None:
        self.watch.begin()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        if not self._ends_epoch(state):
            self._report(state, control)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        if self._ends_epoch(state):
            self._report(state, control)

    def _ends_epoch(self, state: TrainerState) -> bool:
        return self.users and state.global_step % self.feed.steps_per_epoch == 0

    def _report(self, state: TrainerState, control: TrainerControl) -> None:
        if self.watch.step_end(state.global_step):
            control.should_training_stop = True


def training_arguments(spec: SessionSpec, folder: str) -> TrainingArguments:
    """The recipe as Trainer's arguments; everything that is not training is off."""
    recipe = spec.recipe
    unclipped = (
        inf if spec.record else 0.0
    )  # at infinity the norm is computed and nothing is clipped
    return TrainingArguments(
        output_dir=folder,
        per_device_train_batch_size=recipe.batch_size,
        gradient_accumulation_steps=recipe.accumulation,
        max_steps=spec.feed.total_steps,
        max_grad_norm=recipe.max_gradient_norm or unclipped,
        torch_compile=recipe.compile,
        seed=recipe.seed,
        use_cpu=device.kind() == "cpu",
        remove_unused_columns=False,
        save_strategy="no",
        eval_strategy="no",
        logging_strategy="steps" if spec.callbacks else "no",  # for `on_log`
        logging_steps=recipe.log_interval,
        report_to=[],
        disable_tqdm=True,
        **precision.apply(recipe),
    )


def mean_loss(
    outputs: Mapping[str, torch.Tensor],
    labels: torch.Tensor,
    num_items_in_batch: torch.Tensor | int | None = None,
) -> torch.Tensor:
    """Cross entropy, averaged over all examples of the optimizer step, so that each has the
    same weight in whichever batch it is."""
    count = len(labels) if num_items_in_batch is None else num_items_in_batch
    summed = torch.nn.functional.cross_entropy(outputs["logits"], labels.long(), reduction="sum")
    return summed / count


def loss_of(recipe: Recipe) -> Callable[..., torch.Tensor]:
    """The loss function of a recipe, with the arguments of `mean_loss`."""

    def loss(
        outputs: Mapping[str, torch.Tensor],
        labels: torch.Tensor,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        taken = {"logits": model.loss_inputs(outputs["logits"], recipe)}
        return mean_loss(taken, labels, num_items_in_batch)

    return loss
