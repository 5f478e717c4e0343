"""Made-up measurements for the tests of `results`: plausible numbers that nobody measured."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from results.schema import (
    Accuracy,
    Checkpoint,
    CurvePoint,
    Data,
    Device,
    EvaluationPoint,
    JobKey,
    Launch,
    Load,
    Measurement,
    Memory,
    Question,
    Role,
    RunInfo,
    Score,
    Throughput,
    Window,
)

CPU = Device(kind="cpu", name="Sample processor at 2.5 GHz", memory_bytes=8 * 1024**3, cores=2)
GPU = Device(
    kind="gpu",
    name="Sample GPU",
    memory_bytes=80 * 1024**3,
    cores=16,
    driver="600.1",
    compute_capability="9.0",
    gpu_type="SAMPLE",
)
RECIPE: dict[str, Any] = {
    "batch_size": 16,
    "accumulation": 1,
    "learning_rate": 3e-5,
    "schedule": "linear",
    "precision": "fp32",
    "length": 256,
    "padding": "max",
    "epochs": 1,
    "steps": None,
    "seed": 42,
    "dropout": None,
    "attention": None,
    "compile": False,
    "evaluation_interval": 100,
}
SPEED = {"hf_tf": 0.82, "hf_torch": 0.61, "keras_rnn": 1.9}  # steps per second
VERSIONS = {
    "hf_tf": {"tensorflow": "2.21.0", "tf-keras": "2.21.0", "transformers": "4.54.1"},
    "hf_torch": {"torch": "2.13.0", "transformers": "5.23.0", "accelerate": "1.15.0"},
    "keras_rnn": {"tensorflow": "2.21.0", "keras": "3.15.1"},
}
PARAMETERS = {"hf_tf": 22_713_986, "hf_torch": 22_713_986, "keras_rnn": 4_170_370}
ACCURACY = {"hf_tf": 0.9124, "hf_torch": 0.9108, "keras_rnn": 0.8312}
SETS = {"imdb": {"test": 2500}, "mnli": {"matched": 9815, "mismatched": 9832}}


def data(task: str = "imdb", generated: bool = False, **changes: Any) -> Data:
    return Data(
        **{
            "source": "embedded" if generated else "dir",
            "description": f"{task}, 10,000 of 25,000 training examples, seed 42",
            "generated": generated,
            "fingerprint": "5a17" * 8,
            "train_examples": 10_000,
            "evaluation_examples": SETS.get(task, {"test": 2500}),
            "label_names": ["negative", "positive"],
            **changes,
        }
    )


def measurement(backend: str, task: str, question: Question, **changes: Any) -> Measurement:
    recipe = RECIPE | changes.pop("recipe", {})
    suffix = changes.pop("suffix", "")
    role: Role = changes.pop("role", "framework")
    suffix = suffix if role == "framework" else f"-{role}{suffix}"
    for kind in ("throughput", "memory", "batch_limit", "accuracy", "trace"):
        if kind in changes:
            changes["payload"] = changes.pop(kind)
    fields: dict[str, Any] = {
        "job": JobKey(
            id=f"{question}-{task}-{backend}{suffix}",
            backend=backend,
            task=task,
            question=question,
            role=role,
        ),
        "status": "ok",
        "started_at": "2026-11-20T10:00:00+00:00",
        "seconds": 61.5,
        "recipe": recipe,
        "data": data(task),
        "device": CPU,
        "checkpoint": Checkpoint(
            name="minilm", architecture="bert", sha256="ab" * 32, random=False
        ),
        "versions": VERSIONS.get(backend, {}),
        "effective": {
            "precision": recipe["precision"],
            "attention": "sdpa",
            "optimizer": "AdamW",
            "compiled": False,
            "device": "cpu",
            "parameters": PARAMETERS.get(backend, 1_000_000),
            "embedding_parameters": 11_720_448,
            "details": {},
        },
    }
    return Measurement(**fields | changes)


def window(rate: float, round_: int = 0, steps: int = 10, launch: int = 0, **load: Any) -> Window:
    seconds = steps / rate
    return Window(
        seconds=seconds,
        worker_seconds=seconds,
        steps=steps,
        examples=16 * steps,
        tokens=2900 * steps,
        padded_tokens=4096 * steps,
        launch=launch,
        round=round_,
        load=Load(**load),
    )


def throughput(rate: float, seed: int = 1, launches: int = 6, rounds: int = 3) -> Throughput:
    """One window a round."""
    noise = np.random.default_rng(seed).normal(1, 0.01, (launches, rounds + 3))
    return Throughput(
        launches=[
            Launch(number=i, build_seconds=3.2, first_step_seconds=2.5 / rate)
            for i in range(launches)
        ],
        warmup=[window(rate * n[0], launch=i) for i, n in enumerate(noise)],
        windows=[
            window(rate * n, r, launch=i)
            for i, of_launch in enumerate(noise)
            for r, n in enumerate(of_launch[3:])
        ],
        evaluation_windows=[
            window(3 * rate * n, r, launch=i)
            for i, of_launch in enumerate(noise)
            for r, n in enumerate(of_launch[:3])
        ],
        model_flops_per_token=3e7 / rate,
        matmul_flops_per_second=1.8e11,
    )


def memory(peak: int) -> Memory:
    return Memory(steps=5, peak_process_bytes=peak, before_model_bytes=700 * 1024**2)


def accuracy(
    task: str, value: float, rate: float, seed: int = 42, predictions_file: str | None = None
) -> Accuracy:
    noise = np.random.default_rng(seed).normal(0, 0.04, 626)
    curve = [
        CurvePoint(
            step=s,
            loss=0.25 + 0.45 * math.exp(-s / 120) + float(noise[s]),
            gradient_norm=2 + 30 * abs(float(noise[s])),
            learning_rate=3e-5,
        )
        for s in range(1, 626)
    ]
    points = [
        EvaluationPoint(
            step=s,
            training_seconds=s / rate,
            scores={
                name: Score(
                    examples=n,
                    accuracy=value - 0.25 * math.exp(-s / 150),
                    macro_f1=value - 0.002,
                    loss=0.3,
                )
                for name, n in SETS[task].items()
            },
        )
        for s in (100, 200, 300, 400, 500, 600)
    ]
    scores = {
        name: Score(examples=n, accuracy=value, macro_f1=value - 0.002, loss=0.24)
        for name, n in SETS[task].items()
    }
    points.append(EvaluationPoint(step=625, training_seconds=625 / rate, scores=scores))
    return Accuracy(
        seed=seed,
        steps=625,
        examples=10_000,
        training_seconds=625 / rate,
        first_step_seconds=2.5 / rate,
        evaluation_seconds=90.0,
        scores=scores,
        kept_step=625,
        curve=curve,
        evaluations=points,
        predictions_file=predictions_file,
    )


def sample_measurements(tasks: tuple[str, ...] = ("imdb", "mnli")) -> list[Measurement]:
    """Three backends on every task, all questions; one job failed and one was not installed."""
    found = []
    for task in tasks:
        for i, (backend, speed) in enumerate(sorted(SPEED.items())):
            speed *= 2.1 if task == "mnli" else 1
            shown = ACCURACY[backend] - (0.09 if task == "mnli" else 0)
            found += [
                measurement(backend, task, "throughput", throughput=throughput(speed, i)),
                measurement(
                    backend,
                    task,
                    "memory",
                    memory=memory((1100 + 420 * i) * 1024**2),
                    gaps={
                        "peak_allocated_bytes": "no_gpu",
                        "peak_reserved_bytes": "no_gpu",
                        "peak_device_bytes": "no_gpu",
                    },
                ),
                measurement(backend, task, "accuracy", accuracy=accuracy(task, shown, speed)),
            ]
    return found


def controls(
    backend: str, task: str, tax: float = 1.25, again: float = 1.004, seed: int = 7
) -> list[Measurement]:
    """The backend's bare loop, `tax` times as fast, and the backend once more, `again` times."""
    speed = SPEED[backend] * (2.1 if task == "mnli" else 1)
    found = []
    for role, factor in (("control", tax), ("repeat", again)):
        timed = throughput(speed * factor, seed).model_copy(update={"evaluation_windows": []})
        timed.windows[0] = window(speed * factor, throttle_reasons=["power cap"], gpu_processes=1)
        found.append(measurement(backend, task, "throughput", throughput=timed, role=role))
    return found


def run_info(run: str = "20261120-100000-cpu", device: Device = CPU) -> RunInfo:
    return RunInfo(
        run=run,
        profile="cpu",
        command="pytest benchmarks --benchmark-only --profile cpu --data dir:DATA",
        started_at="2026-11-20T10:00:00+00:00",
        ftbench_version="0.1.0",
        device=device,
    )


GIB = 1024**3
