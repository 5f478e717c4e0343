"""The recipe: everything that decides the optimisation."""

from __future__ import annotations

from math import ceil, cos, pi
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from frameworks.contract.metrics import SelectingScore

Architecture = Literal["bert", "distilbert", "gpt2"]


Precision = Literal["fp32", "tf32", "bf16", "fp16"]


# The fields of a checkpoint's config that hold dropout rates.
DROPOUT_FIELDS: dict[Architecture, tuple[str, ...]] = {
    "bert": ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"),
    "distilbert": ("dropout", "attention_dropout", "seq_classif_dropout"),
    "gpt2": ("resid_pdrop", "embd_pdrop", "attn_pdrop"),
}


Device = Literal["cpu", "gpu"]


Phase = Literal["training", "evaluation"]


Share = Annotated[float, Field(ge=0, le=1)]


class Recipe(BaseModel):
    """Everything that decides the optimisation. Every backend honours every field."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    batch_size: Annotated[int, Field(ge=1, lt=2**31)] = 16
    """Examples per forward pass."""
    accumulation: Annotated[int, Field(ge=1, lt=2**31)] = 1
    """Forward passes per optimizer step."""
    learning_rate: Annotated[float, Field(gt=0)] = 3e-5
    """The highest learning rate, reached at the end of the warm-up."""
    schedule: Literal["constant", "linear", "cosine"] = "linear"
    """How the learning rate continues after the warm-up."""
    warmup_share: Share = 0.1
    """Share of all optimizer steps in which the learning rate rises from 0."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """Decoupled weight decay of AdamW, not applied to biases and LayerNorm."""
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """AdamW's decay rate of the first moment."""
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """AdamW's decay rate of the second moment."""
    epsilon: Annotated[float, Field(gt=0)] = 1e-8
    """AdamW's epsilon, added after the bias correction."""
    max_gradient_norm: Annotated[float, Field(ge=0)] = 1.0
    """Global norm to which gradients are clipped; 0 turns clipping off."""
    epochs: Annotated[int, Field(ge=1, lt=2**31)] | None = 1
    """Passes over the training examples."""
    steps: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    """Optimizer steps; overrides `epochs`."""
    precision: Precision = "fp32"
    """Precision of the computation. `fp32` means that TF32 is off."""
    length: Annotated[int, Field(ge=4, lt=2**31)] = 128
    """Longest sequence in tokens, special tokens included. Longer texts are cut."""
    padding: Literal["max", "longest", "buckets"] = "max"
    """Pad to `length`, to the longest example of the batch, or to buckets of similar lengths."""
    dropout: Share | None = None
    """Dropout rate; none: the rates of the checkpoint."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 42
    """Seed of the order of the examples, of a new classification head, and of dropout."""
    evaluation_interval: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Optimizer steps between evaluations; 0: only at the end."""
    log_interval: Annotated[int, Field(ge=1, lt=2**31)] = 1
    """Optimizer steps between two points of the learning curve."""
    keep_best: SelectingScore | None = None
    """Score of the first evaluation set that selects the weights to keep: `accuracy`, `macro_f1`,
    `weighted_f1`, `mcc`, `loss`, or `module:function` of your own; none: keep the last weights.
    Needs `evaluation_interval`."""
    patience: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Early stopping: training ends after so many evaluations in a row without a better score of
    `keep_best`, or without a smaller loss if none is given; 0: never. Needs `evaluation_interval`."""
    attention: Literal["eager", "sdpa"] | None = None
    """Attention implementation; none: the framework's default."""
    compile: bool = False
    """Compile the training step: `torch.compile` in PyTorch, XLA in TensorFlow."""
    optimizer: Literal["adamw", "adafactor", "adamw_8bit"] = "adamw"
    """`adafactor` takes no betas and no epsilon; `adamw_8bit` needs PyTorch and the extra `eight-
    bit`."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass instead of keeping them (PyTorch only)."""
    mistake: Literal["softmax_before_loss"] | None = None
    """A mistake made on purpose, for a study of what it costs. `softmax_before_loss`: the training loss takes
    probabilities for logits. Evaluation is as ever."""

    @model_validator(mode="after")
    def _fits_its_optimizer(self) -> Recipe:
        for name in ("beta1", "beta2", "epsilon") if self.optimizer == "adafactor" else ():
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} is AdamW's: leave it out with optimizer 'adafactor'")
        return self

    @model_validator(mode="after")
    def _has_an_end(self) -> Recipe:
        if self.epochs is None and self.steps is None:
            raise ValueError("one of epochs and steps must be given")
        if self.keep_best and not self.evaluation_interval:
            raise ValueError("keep_best needs an evaluation_interval above 0")
        if self.patience and not self.evaluation_interval:
            raise ValueError("patience needs an evaluation_interval above 0")
        return self


def learning_rate(recipe: Recipe, step: int, total_steps: int) -> float:
    """Learning rate of optimizer step `step` (from 0), as transformers' schedules define it:
    warm-up starts at 0, so the first step of a warm-up leaves the weights as they are."""
    warmup = warmup_steps(recipe, total_steps)
    if step < warmup:
        return recipe.learning_rate * step / max(1, warmup)
    if recipe.schedule == "constant":
        return recipe.learning_rate
    done = (step - warmup) / max(1, total_steps - warmup)
    factor = 1 - done if recipe.schedule == "linear" else 0.5 * (1 + cos(pi * done))
    return recipe.learning_rate * max(0.0, factor)


def warmup_steps(recipe: Recipe, total_steps: int) -> int:
    return ceil(recipe.warmup_share * total_steps)
