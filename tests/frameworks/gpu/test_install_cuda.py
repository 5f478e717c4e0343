import sys

from frameworks.hf_tf import install_cuda


def installed(*names):
    """The version of each package, of which only the named ones are installed."""

    def version(name):
        if name in names:
            return "2.21.0"
        raise install_cuda.metadata.PackageNotFoundError(name)

    return version


def never(command):
    raise AssertionError(f"pip was called: {command}")


def test_nothing_is_installed_without_a_driver(tmp_path, capsys):
    assert install_cuda.main(run=never, driver=tmp_path / "version") == 0
    assert capsys.readouterr().out.count("\n") == 1


def test_the_same_version_is_installed_where_there_is_a_driver(tmp_path, monkeypatch, capsys):
    driver = tmp_path / "version"
    driver.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.1\n")
    monkeypatch.setattr(install_cuda.metadata, "version", installed("tensorflow"))
    calls = []
    run = lambda command: calls.append(command) or 3  # noqa: E731
    assert install_cuda.main(run=run, driver=driver) == 3
    assert calls == [[sys.executable, "-m", "pip", "install", "tensorflow[and-cuda]==2.21.0"]]
    assert "tensorflow[and-cuda] 2.21.0" in capsys.readouterr().out


def test_libraries_of_both_frameworks_in_one_folder_are_refused(tmp_path, monkeypatch, capsys):
    """pip would install one over the other without a word."""
    driver = tmp_path / "version"
    driver.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.1\n")
    both = installed("tensorflow", "nvidia-cudnn-cu13")
    monkeypatch.setattr(install_cuda.metadata, "version", both)
    assert install_cuda.main(run=never, driver=driver) == 1
    assert "nvidia-cudnn-cu13" in capsys.readouterr().out
