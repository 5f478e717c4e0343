"""Made-up batch limits and predictions for the tests of `results`."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from results import store
from results.schema import (
    BatchLimit,
    Checkpoint,
    Finder,
    Measurement,
    PredictedLimit,
    Prediction,
    PredictionCase,
    Probe,
)
from tests.results.samples import GIB, RECIPE, VERSIONS, measurement

EACH = {"hf_tf": 46.0, "hf_torch": 43.5, "keras_rnn": 3.1}  # MiB per example at length 128


def batch_limit(
    backend: str = "hf_torch", budget: str = "6GiB", length: int = 128, **changes: Any
) -> BatchLimit:
    """A search under '6GiB' or the like that found what the made-up line says."""
    size = int(budget.removesuffix("GiB")) * GIB
    fixed, each = 0.9 * GIB, EACH[backend] * 1024**2 * length / 128
    limit = int((size - fixed) // each)
    fails_at = limit + (1 if limit < 64 else max(8, round(limit * 0.05 / 8) * 8))
    fits = [
        Probe(
            batch_size=b,
            outcome="ok",
            peak_bytes=int(fixed + each * b),
            steps=3,
            seconds=14.0 + b / 8,
        )
        for b in (2, 8, limit)
    ]
    failed = Probe(
        batch_size=fails_at,
        outcome="oom",
        peak_bytes=None,
        steps=0,
        seconds=11.5,
        reason="DefaultCPUAllocator: can't allocate memory",
    )
    finders = [
        Finder(name="accelerate", answer=2 ** int(math.log2(limit)), probes=5, seconds=140.0),
        Finder(name="double and bisect", answer=fails_at + 1, probes=12, seconds=300.0),
        Finder(
            name="one that dies", answer=None, probes=3, seconds=60.0, reason="the process ended"
        ),
    ]
    return BatchLimit(
        **{
            "phase": "training",
            "budget": budget,
            "budget_bytes": size,
            "emulated": False,
            "enforced_by": "RLIMIT_DATA",
            "limit": limit,
            "fails_at": fails_at,
            "highest": 4096,
            "probes": [*fits, failed],
            "fixed_bytes": fixed,
            "bytes_per_example": each,
            "finders": finders if budget == "6GiB" else [],
            **changes,
        }
    )


def limit_measurement(
    backend: str = "hf_torch",
    task: str = "imdb",
    budget: str = "6GiB",
    length: int = 128,
    found: BatchLimit | None = None,
    **changes: Any,
) -> Measurement:
    found = found or batch_limit(backend, budget, length)
    checkpoint = Checkpoint(
        name="minilm",
        architecture="lstm" if backend == "keras_rnn" else "bert",
        sha256="",
        random=False,
        tokenizer_only=backend == "keras_rnn",
    )
    return measurement(
        backend,
        task,
        "batch_limit",
        **{
            "batch_limit": found,
            "recipe": {"length": length},
            "checkpoint": checkpoint,
            "suffix": f"-length_{length}-{found.phase}-{found.budget}",
            **changes,
        },
    )


def limit_measurements(tasks: tuple[str, ...] = ("imdb", "mnli")) -> list[Measurement]:
    """Three backends, four lengths, three budgets."""
    return [
        limit_measurement(backend, task, budget, length)
        for task in tasks
        for backend in sorted(EACH)
        for length in (64, 128, 256, 512)
        for budget in ("4GiB", "6GiB", "8GiB")
    ]


def prediction(backend: str = "hf_torch", length: int = 128, **changes: Any) -> Prediction:
    """For three GPU types, from the same made-up line."""
    fixed, each = 0.9 * GIB, EACH[backend] * 1024**2 * length / 128
    sizes = {"T4": 14.56, "A100-40": 39.38, "H100": 79.11}
    limits = [int((size * GIB - fixed) // each) for size in sizes.values()]
    peak = int(fixed + 16 * each)
    return Prediction(
        **{
            "backend": backend,
            "phase": "training",
            "device": "gpu",
            "checkpoint": "minilm",
            "architecture": "bert",
            "recipe": RECIPE | {"length": length},
            "parts": {
                "weights": 90_854_400,
                "gradients": 90_854_400,
                "optimizer": 181_708_800,
                "activations": peak - 363_417_600,
            },
            "peak_bytes": peak,
            "peak_low_bytes": int(peak * 0.97),
            "peak_high_bytes": int(peak * 1.03),
            "limits": [
                PredictedLimit(
                    target=name,
                    budget_bytes=int(size * GIB),
                    limit=limit,
                    low=int(limit * 0.96),
                    high=int(limit * 1.04),
                )
                for (name, size), limit in zip(sizes.items(), limits, strict=True)
            ],
            "versions": VERSIONS[backend],
            **changes,
        }
    )


def case(error: float = 0.01, **changes: Any) -> PredictionCase:
    """A peak of 4 GiB that was predicted with that relative error."""
    return PredictionCase(
        **{
            "backend": "hf_torch",
            "device": "cpu",
            "architecture": "bert",
            "checkpoint": "minilm",
            "length": 128,
            "precision": "fp32",
            "batch_size": 64,
            "budget": None,
            "predicted": 4 * GIB * (1 + error),
            "low": 4 * GIB * (1 + error) * 0.96,
            "high": 4 * GIB * (1 + error) * 1.04,
            "measured": 4 * GIB,
            "unit": "bytes",
            "source": "measured",
            **changes,
        }
    )


def limit_case(predicted: float, measured: float = 40, **changes: Any) -> PredictionCase:
    """Of a search below 64, where every size is tried."""
    return case(
        **{
            "batch_size": None,
            "budget": "6GiB",
            "unit": "examples",
            "predicted": predicted,
            "low": predicted - 2,
            "high": predicted + 2,
            "measured": measured,
            "fails_at": measured + 1,
            "steps": predicted - measured,
            **changes,
        }
    )


def sample_cases() -> list[PredictionCase]:
    """Measured here, published, and fitted to."""
    noise = np.random.default_rng(3).normal(0, 0.012, 48)
    found = []
    for i, error in enumerate(noise):
        shape = {
            "backend": ("hf_tf", "hf_torch")[i % 2],
            "length": (64, 128, 256, 512)[i // 2 % 4],
            "checkpoint": ("minilm", "distilbert", "gpt2")[i % 3],
            "architecture": ("bert", "distilbert", "gpt2")[i % 3],
            "precision": ("fp32", "bf16")[i // 8 % 2],
        }
        peak = (1 + i % 7) * GIB
        found += [
            case(float(error), **shape, measured=peak, predicted=peak * (1 + float(error))),
            limit_case(round(40 * (1 + float(error))), **shape),
        ]
    found += [
        case(0.02, fitted=True),
        case(-0.01, fitted=True, backend="hf_tf"),
        limit_case(
            11,
            12,
            checkpoint="bert-large",
            budget="12GiB",
            device="gpu",
            source="BERT's README, 'Out-of-memory issues'",
        ),
    ]
    return found


def write_predictions(
    folder: Path, predictions: Sequence[Prediction] = (), cases: Sequence[PredictionCase] = ()
) -> None:
    """Into a run's folder, as `results.store` reads them."""
    (folder / store.PREDICTIONS).mkdir()
    for i, one in enumerate(predictions):
        store.write_record(folder / store.PREDICTIONS / f"{i}.json", one)
    dumped = [c.model_dump() for c in cases]
    (folder / store.CASES_FILE).write_text(json.dumps(dumped))
