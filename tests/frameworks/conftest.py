"""Tiny start folders, tiny examples, and the backends that are installed here."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# Tests ask whether something was compiled, not how well.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")

from frameworks.contract import (  # noqa: E402
    Architecture,
    Examples,
    Recipe,
    Session,
    SessionSpec,
    Start,
    Unsupported,
)

NEEDS = {
    "hf_torch": ("torch", "transformers"),
    "hf_tf": ("tensorflow", "tf_keras", "transformers"),
    "keras_rnn": ("tensorflow", "keras"),
}
VOCABULARY, LENGTH = 60, 16
SPECIAL = {"pad": 0, "cls": 1, "sep": 2}


def needed(name: str) -> None:
    for package in NEEDS[name]:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{name} needs {package}, which is not installed here")


# PyTorch's backend by itself is tested with transformers 5; against TensorFlow's with 4.54 too.
@pytest.fixture(params=[pytest.param("hf_torch", marks=pytest.mark.once), "hf_tf", "keras_rnn"])
def backend(request: pytest.FixtureRequest) -> str:
    needed(request.param)
    return request.param


def new_session(name: str, spec: SessionSpec) -> Session:
    """A session, in TensorFlow with its optimizer's variables. In a job the first step makes them, and Keras
    traces its graph twice for that, which takes a test nearly twice as long."""
    needed(name)
    session: Session = importlib.import_module(f"frameworks.{name}.train").Session(spec)
    if name != "hf_torch":
        session.optimizer.build(session.model.trainable_variables)
    return session


def unsupported(name: str, recipe: Recipe, start: Start) -> list[Unsupported]:
    return importlib.import_module(f"frameworks.{name}").unsupported(recipe, start, "cpu")


def make_start(folder: Path, architecture: Architecture, labels: int = 3, layers: int = 2) -> Start:
    """A random model of the architecture, made by transformers on PyTorch."""
    pytest.importorskip("torch")
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification

    common = {"vocab_size": VOCABULARY, "num_labels": labels, "pad_token_id": 0}
    shapes = {
        "bert": {
            "hidden_size": 16,
            "num_hidden_layers": layers,
            "num_attention_heads": 2,
            "intermediate_size": 32,
            "max_position_embeddings": 32,
        },
        "distilbert": {
            "dim": 16,
            "n_layers": layers,
            "n_heads": 2,
            "hidden_dim": 32,
            "max_position_embeddings": 32,
        },
        "gpt2": {"n_embd": 16, "n_layer": layers, "n_head": 2, "n_positions": 32},
    }
    config = AutoConfig.for_model(architecture, **common, **shapes[architecture])
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(config)
    with torch.no_grad():  # larger than a checkpoint's, so that errors show
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.mul_(4)
            elif name.endswith("bias"):
                parameter.normal_(std=0.1)
    model.save_pretrained(folder, safe_serialization=True)
    return Start(folder, architecture, labels, VOCABULARY, 32)


@pytest.fixture(scope="session")
def starts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Start]:
    folder = tmp_path_factory.mktemp("starts")
    return {a: make_start(folder / a, a) for a in ("bert", "distilbert", "gpt2")}


@pytest.fixture(scope="session", autouse=True)
def one_layer() -> Iterator[None]:
    """The LSTM has one layer instead of two, for the same reason as `start`. Workers have two."""
    with pytest.MonkeyPatch.context() as patch:
        if importlib.util.find_spec("tensorflow"):
            model = importlib.import_module("frameworks.keras_rnn.model")
            patch.setattr(model, "LAYERS", {"upper": False})
        yield


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Start:
    """A BERT of one layer: a session of TensorFlow spends its time on the tracing of its graph."""
    return make_start(tmp_path_factory.mktemp("start") / "bert", "bert", layers=1)


def make_examples(count: int, *, pairs: bool, seed: int = 0, labels: int = 3) -> Examples:
    """Random ragged examples; the first word decides the label, so it can be learned.
    A pair's second text starts after the first separator."""
    generator = np.random.default_rng(seed)
    rows, seconds = [], []
    for _ in range(count):
        length = int(generator.integers(5, LENGTH + 1))
        row = generator.integers(3, VOCABULARY, length)
        row[1] = generator.integers(9, 9 + labels)
        row[0], row[-1] = SPECIAL["cls"], SPECIAL["sep"]
        second = length
        if pairs:
            second = int(generator.integers(3, length))
            row[second - 1] = SPECIAL["sep"]
        rows.append(row)
        seconds.append(second)
    return Examples(
        ids=np.concatenate(rows).astype(np.int32),
        offsets=np.cumsum([0, *map(len, rows)]),
        second_starts=np.array(seconds, np.int32),
        labels=np.array([row[1] - 9 for row in rows], np.int32),
        pad_id=SPECIAL["pad"],
        has_token_types=pairs,
    )


def make_spec(
    start: Start,
    count: int = 22,
    *,
    record: bool = True,
    hash_batches: bool = False,
    **fields: object,
) -> SessionSpec:
    recipe = Recipe(**{"batch_size": 4, "length": LENGTH, "dropout": 0.0, **fields})
    examples = make_examples(count, pairs=start.architecture == "bert")
    return SessionSpec(recipe, start, examples, record, hash_batches)


def loses_bits(product: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> bool:
    """Whether an fp32 matrix product is computed in fewer bits, measured by one product. A test of
    a switch that makes products coarse asks this under the switch, and skips where the answer is
    no: on a processor without the instructions, the switch changes nothing."""
    numbers = np.full((512, 512), 1 + 2.0**-20, np.float32)
    return not np.array_equal(product(numbers, np.eye(512, dtype=np.float32)), numbers)


class Eyes:
    """A watch that keeps what it saw, and may act or stop."""

    def __init__(self, act=None, stop_after: int | None = None) -> None:
        self.begun, self.steps = 0, []
        self.first_seconds = (0.0, 0.0)
        self.act, self.stop_after = act, stop_after

    def begin(self) -> None:
        self.begun += 1

    def first_step(self, seconds: float, check_seconds: float) -> None:
        self.first_seconds = seconds, check_seconds

    def step_end(self, step: int) -> bool:
        self.steps.append(step)
        if self.act:
            self.act(step)
        return step == self.stop_after
