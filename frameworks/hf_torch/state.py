"""The state of a training: what `Trainer` resumes from, and what was recorded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import transformers
from packaging.version import Version
from safetensors import SafetensorError
from transformers import Trainer
from transformers.trainer import TRAINER_STATE_NAME
from transformers.utils import WEIGHTS_NAME

from frameworks.contract import Feed
from frameworks.hf_torch.own_model.unsaved import UnsavedState, digest
from frameworks.hf_torch.recording import Recording

RECORDING, OWN = "recording.npz", "own.pt"


def save(
    folder: Path, trainer: Trainer, recording: Recording, unsaved: UnsavedState | None
) -> None:
    """Writes what Trainer's own checkpoints have: weights, optimizer, schedule, loss scale, random
    generators and its step. Into this folder, which `_save_checkpoint` would not do. `unsaved` is what
    a model of the user's has besides its weights.

    Errors: OSError, and NotImplementedError where a training could not continue exactly."""
    if reason := cannot_resume(recording.spec.feed):
        raise NotImplementedError(reason)
    own = {"unsaved": unsaved.read(), "digest": digest(trainer.model)} if unsaved else {}
    try:
        if own:  # Trainer would refuse tensors that share memory
            torch.save(trainer.model.state_dict(), folder / WEIGHTS_NAME)
            torch.save(own, folder / OWN)
        else:
            trainer.save_model(str(folder), _internal_call=True)
        trainer._save_optimizer_and_scheduler(str(folder))
        trainer._save_scaler(str(folder))
        trainer._save_rng_state(str(folder))
        trainer.state.save_to_json(str(folder / TRAINER_STATE_NAME))
        np.savez(folder / RECORDING, **recording.state())
    except (RuntimeError, SafetensorError) as error:  # what PyTorch says on a full disk
        raise OSError(str(error)) from error


def load(
    folder: Path, trainer: Trainer, recording: Recording, unsaved: UnsavedState | None
) -> None:
    """Sets what was recorded; Trainer reads the rest when it resumes from the folder. Trainer does not
    mind weights that are missing, so those of a user's model are set and compared here.

    Errors: RuntimeError and ValueError for a user's model that does not take its state back."""
    with np.load(folder / RECORDING) as arrays:
        recording.load_state(dict(arrays))
    if unsaved is None:
        return
    found = torch.load(folder / OWN, weights_only=True)
    trainer.model.load_state_dict(torch.load(folder / WEIGHTS_NAME, weights_only=True))
    unsaved.set(found["unsaved"])
    if digest(trainer.model) != found["digest"]:
        raise ValueError("its model has another state dict than the one that it was given")


def cannot_resume(feed: Feed) -> str | None:
    """Why a training that is stopped within an epoch could not continue exactly; None if it could."""
    rest = feed.batches_per_epoch % feed.recipe.accumulation
    if rest and Version(transformers.__version__).major < 5:
        return (
            f"transformers {transformers.__version__} loses an epoch's last step, which has {rest} "
            f"batches instead of {feed.recipe.accumulation}, when it resumes; install transformers 5, "
            "or set an accumulation that divides the batches of an epoch"
        )
    return None
