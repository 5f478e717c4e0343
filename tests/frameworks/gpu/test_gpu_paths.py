"""What the backends do on a GPU, as far as it can be seen without one."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from frameworks import contract
from frameworks.contract import Start
from tests.frameworks.conftest import make_spec, needed, new_session

ROOT = Path(__file__).parents[3]


def test_tensorflow_gets_its_memory_limit_before_its_first_variable(
    start: Start,
) -> None:
    needed("hf_tf")
    needed("keras_rnn")
    done = subprocess.run(
        [sys.executable, "-m", "tests.frameworks.gpu.made_up_gpu", str(start.folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.stdout.endswith("passed\n"), done.stderr[-2000:]


def test_memory_is_limited_before_anything_is_made(
    backend: str, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed(backend)
    module = importlib.import_module(f"frameworks.{backend}.train")
    seen: list[str] = []

    class Recorded(module.Recording):
        def __init__(self, spec: contract.SessionSpec) -> None:
            seen.append("made")
            super().__init__(spec)

    monkeypatch.setattr(module, "Recording", Recorded)
    monkeypatch.setattr(module.device, "limit_memory", lambda limit: seen.append(str(limit)))
    new_session(backend, make_spec(start))
    assert seen == ["None", "made"]


def test_without_a_gpu_a_backend_says_why(backend: str) -> None:
    needed(backend)
    found = importlib.import_module(f"frameworks.{backend}.train").Session.device.found_device()
    assert found.kind == "cpu"
    assert found.advice is not None and ("CUDA" in found.advice)


class TestTensorFlow:
    def test_its_pipeline_runs_one_batch_ahead(self, start: Start) -> None:
        """A longer buffer would fill while other participants of a race have their turns."""
        needed("hf_tf")
        import tensorflow as tf

        from frameworks._tensorflow import data
        from frameworks._tensorflow.recording import Recording

        dataset = data.training_batches(Recording(make_spec(start)))
        assert tf.get_static_value(dataset._buffer_size) == 1

    @pytest.mark.parametrize(("cuda", "word"), [(True, "install_cuda"), (False, "without CUDA")])
    def test_its_advice(self, cuda: bool, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
        needed("hf_tf")
        import tensorflow as tf

        from frameworks._tensorflow import device

        monkeypatch.setattr(tf.sysconfig, "get_build_info", lambda: {"is_cuda_build": cuda})
        assert word in (device.found_device().advice or "")


@pytest.mark.once
class TestPyTorch:
    @pytest.fixture(autouse=True)
    def _installed(self) -> None:
        needed("hf_torch")

    @pytest.mark.parametrize(("cuda", "word"), [("13.0", "driver"), (None, "without CUDA")])
    def test_its_advice(self, cuda: str | None, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
        import torch

        from frameworks.hf_torch import device

        monkeypatch.setattr(torch.version, "cuda", cuda)
        assert word in (device.found_device().advice or "")

    @pytest.fixture(params=["new", "old"])
    def _tf32(self, request: pytest.FixtureRequest) -> Iterator[None]:
        """TF32 switched on by either of PyTorch's interfaces."""
        import torch

        matmul = torch.backends.cuda.matmul
        before = torch.backends.fp32_precision, matmul.fp32_precision
        if request.param == "new":
            torch.backends.fp32_precision = "tf32"  # as transformers 5 does
        else:
            matmul.allow_tf32 = True
        yield
        torch.backends.fp32_precision, matmul.fp32_precision = before

    def test_tf32_is_read_back_whoever_switched_it_on(self, _tf32: None) -> None:
        from frameworks.hf_torch import precision

        assert precision.switches()["cuda_fp32_precision"] == "tf32"

    def test_the_curve_reads_only_what_is_new(
        self, start: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Progress asks for it every second: on a GPU each read waits for the device."""
        import torch

        from frameworks.hf_torch.recording import Recording

        spec = make_spec(start, count=24, accumulation=2, steps=6)
        recording, sizes = Recording(spec), []
        stack = torch.stack
        monkeypatch.setattr(
            torch, "stack", lambda values: sizes.append(len(values)) or stack(values)
        )
        for name in ("item", "tolist"):
            monkeypatch.setattr(torch.Tensor, name, counted(sizes, getattr(torch.Tensor, name)))
        shares = torch.arange(12.0)
        for step in range(6):
            for batch in (2 * step, 2 * step + 1):
                recording.loss(shares[batch])
                if step == 4:  # in the middle of a step too
                    recording.curve()
            recording.step(torch.tensor(float(step)), 0.1, 1.0)
            if step == 2:
                assert recording.curve().loss == [1, 5, 9]
        sizes.clear()
        curve = recording.curve()
        assert curve.loss == [1, 5, 9, 13, 17, 21] and curve.gradient_norm == [0, 1, 2, 3, 4, 5]
        assert len(curve.learning_rate) == 6
        assert sizes == [2, 2, 4, 4]  # steps 4 and 5, stacked and read: norms, then losses
        sizes.clear()
        assert recording.curve() == curve and sizes == []

    def test_a_batch_goes_over_without_waiting(self) -> None:
        import torch
        from torch.utils._python_dispatch import TorchDispatchMode

        from frameworks.hf_torch import bare

        copies = []

        class Copies(TorchDispatchMode):
            def __torch_dispatch__(self, function, types, arguments=(), named=None):
                if "_to_copy" in str(function):
                    copies.append((named["device"].type, named.get("non_blocking")))
                return function(*arguments, **(named or {}))

        with Copies():
            moved = bare.on_device({"input_ids": torch.zeros(2, 3)}, "meta")
        assert moved["input_ids"].device.type == "meta" and copies == [("meta", True)]

    def test_the_device_is_described_with_name_memory_and_number(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from types import SimpleNamespace

        import torch

        from frameworks.hf_torch import device

        gpu = SimpleNamespace(name="Tesla T4", total_memory=15_000)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda place: gpu)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
        assert device.found_device() == contract.FoundDevice("gpu", "Tesla T4", 15_000, 2)


def counted(sizes: list[int], method):
    def count(tensor, *arguments):
        sizes.append(1 if tensor.ndim == 0 else len(tensor))
        return method(tensor, *arguments)

    return count


@pytest.mark.once
@pytest.mark.parametrize("launch", [20e-6, 200e-6])
def test_the_matrix_rate_is_not_that_of_the_calls(
    launch: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU works on a queue while the next product is started; a clock around one product
    would time the calls."""
    from frameworks.contract import matmul

    now, size, product = [0.0], 8192, 1.4e-3

    def products(count: int) -> None:
        now[0] += launch + count * max(product, launch) + 100e-6  # the wait at the end

    monkeypatch.setattr(matmul.time, "perf_counter", lambda: now[0])
    assert matmul.matmul_rate(products, size) == pytest.approx(2 * size**3 / product, rel=0.01)


def test_the_curve_of_tensorflow_is_the_mean_over_a_steps_examples(
    start: Start,
) -> None:
    needed("hf_tf")
    import tensorflow as tf

    from frameworks._tensorflow.recording import Recording

    recording = Recording(make_spec(start, count=10, accumulation=2, steps=4))
    for batch in range(6):  # two epochs of 4, 4 and 2 examples: a step has 8 or 2
        recording.loss(tf.constant(float(batch)), tf.zeros((1, 3)))
        if batch == 1:
            assert recording.curve().loss == [0.5]
    assert np.allclose(recording.curve().loss, [0.5, 2, 3.5, 5])


@pytest.mark.parametrize(("traced", "scale"), [(True, 2.0**12), (False, None)])
def test_traces_in_fp16_begin_with_one_low_loss_scale(
    backend: str, traced: bool, scale: float | None, start: Start
) -> None:
    """Or the frameworks skip different first steps, each until its own scale is low enough."""
    needed(backend)
    spec = make_spec(start, hash_batches=traced, precision="fp16")
    if backend == "hf_torch":
        precision = importlib.import_module("frameworks.hf_torch.precision")
        found = precision.bare_scaler(spec).state_dict()["scale"]
        default = 2.0**16
    else:
        optimizer = importlib.import_module(f"frameworks.{backend}.optimizer")
        model = importlib.import_module(f"frameworks.{backend}.model").build(spec)
        recording = importlib.import_module(f"frameworks.{backend}.recording").Recording(spec)
        found = float(optimizer.build(spec, model, recording).initial_scale)
        default = 2.0**15
    assert found == (default if scale is None else scale)
