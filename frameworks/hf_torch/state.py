"""The state of a training: what `Trainer` resumes from, and what was recorded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import transformers
from packaging.version import Version
from safetensors import SafetensorError
from transformers import Trainer
from transformers.trainer import TRAINER_STATE_NAME

from frameworks.contract import Feed
from frameworks.hf_torch.recording import Recording

RECORDING = "recording.npz"


def save(folder: Path, trainer: Trainer, recording: Recording) -> None:
    """Writes what Trainer's own checkpoints have: weights, optimizer, schedule, loss scale, random
    generators and its step. Into this folder, which `_save_checkpoint` would not do.

    Errors: OSError, and NotImplementedError where Trainer could not resume exactly."""
    if reason := cannot_resume(recording.spec.feed):
        raise NotImplementedError(reason)
    try:
        trainer.save_model(str(folder), _internal_call=True)
        trainer._save_optimizer_and_scheduler(str(folder))
        trainer._save_scaler(str(folder))
        trainer._save_rng_state(str(folder))
        trainer.state.save_to_json(str(folder / TRAINER_STATE_NAME))
        np.savez(folder / RECORDING, **recording.state())
    except (RuntimeError, SafetensorError) as error:  # what PyTorch says on a full disk
        raise OSError(str(error)) from error


def load(folder: Path, recording: Recording) -> None:
    """Sets what was recorded; Trainer reads the rest when it resumes from the folder."""
    with np.load(folder / RECORDING) as arrays:
        recording.load_state(dict(arrays))


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
