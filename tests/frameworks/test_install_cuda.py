import sys

from benchmarks.harness.machine import nvml
from frameworks.hf_tf import install_cuda


def never(command):
    raise AssertionError(f"pip was called: {command}")


def test_nothing_is_installed_without_a_gpu(capsys):
    assert install_cuda.main(run=never, gpu_present=lambda: False) == 0
    assert capsys.readouterr().out.count("\n") == 1


def test_a_driver_that_does_not_answer_is_an_error(capsys):
    def broken():
        raise nvml.NvmlFailed("version mismatch")

    assert install_cuda.main(run=never, gpu_present=broken) == 1
    assert "version mismatch" in capsys.readouterr().err


def test_the_same_version_is_installed_where_there_is_one(monkeypatch, capsys):
    monkeypatch.setattr(install_cuda.metadata, "version", lambda name: "2.21.0")
    calls = []
    run = lambda command: calls.append(command) or 3  # noqa: E731
    assert install_cuda.main(run=run, gpu_present=lambda: True) == 3
    assert calls == [[sys.executable, "-m", "pip", "install", "tensorflow[and-cuda]==2.21.0"]]
    assert "tensorflow[and-cuda] 2.21.0" in capsys.readouterr().out
