"""What a user gets by `pip install`, and that it starts quickly."""

import configparser
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
EXTRAS = {
    "torch": ["torch", "eight-bit", "tensorboard", "trackio", "wandb", "mlflow", "tests"],
    "tf": ["all", "tensorboard", "wandb", "mlflow", "tests"],
    "lint": ["lint"],
    "docs": ["docs"],
}
HEAVY = {
    "torch",
    "transformers",
    "accelerate",
    "tensorflow",
    "tf_keras",
    "keras",
    "jax",
    "datasets",
    "pyarrow",
    "pandas",
    "huggingface_hub",
}
PACKAGES = ("benchmarks", "frameworks", "ftbench", "results")
NOT_SHIPPED = {"runs", "published", "__pycache__"}

IMPORT_OF_THE_COMMAND_LINE = """
import json, sys, time
began = time.perf_counter()
import benchmarks.harness.cli
seconds = time.perf_counter() - began
from benchmarks.harness.cli.parser import make_parser
make_parser()
print(json.dumps([seconds, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def requirements(extras):
    """What an installation with these extras asks for, extras of extras followed."""
    texts = list(PROJECT["project"]["dependencies"])
    for extra in extras:
        texts += PROJECT["project"]["optional-dependencies"][extra]
    for text in texts:
        requirement = Requirement(text)
        if requirement.name == "ftbench":
            yield from requirements(requirement.extras)
        else:
            yield requirement


def pins(name):
    lines = (ROOT / "constraints" / f"{name}.txt").read_text("utf-8").splitlines()
    found = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*", line) for line in found), (
        "only 'name==version' lines: no path, no registry, no local build"
    )
    return {canonicalize_name(line.split("==")[0]): Version(line.split("==")[1]) for line in found}


@pytest.mark.parametrize("name", list(EXTRAS))
def test_pinned_versions_fulfil_what_the_extras_ask_for(name):
    pinned = pins(name)
    for requirement in requirements(EXTRAS[name]):
        version = pinned.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not pinned in constraints/{name}.txt"
        assert version in requirement.specifier, f"{requirement} is pinned to {version}"


def test_the_two_environments_hold_both_generations_of_transformers():
    assert pins("torch")["transformers"].major == 5
    assert Version("4.53") <= pins("tf")["transformers"] < Version("4.55")


def test_every_data_file_of_the_packages_is_shipped():
    patterns = PROJECT["tool"]["setuptools"]["package-data"]
    shipped = {
        path
        for package, globs in patterns.items()
        for glob in globs
        for path in (ROOT / package.removeprefix("ftbench.").replace(".", "/")).glob(glob)
    }
    for package in PACKAGES:
        for folder, folders, files in os.walk(ROOT / package):
            folders[:] = [name for name in folders if name not in NOT_SHIPPED]
            for name in files:
                path = Path(folder, name)
                if path.suffix != ".py":
                    assert path in shipped, f"{path.relative_to(ROOT)} is in no package-data glob"


def test_every_folder_of_the_packages_is_a_package():
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            assert (path.parent / "__init__.py").exists(), f"{path.parent} is not found by setup"


def test_the_command_line_imports_little_and_quickly():
    seconds = []
    for _ in range(3):  # the quickest: another process may have the processor meanwhile
        done = subprocess.run(
            [sys.executable, "-c", IMPORT_OF_THE_COMMAND_LINE],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        took, modules = json.loads(done.stdout)
        seconds.append(took)
        assert not HEAVY.intersection(modules)
    assert min(seconds) < 0.5


def test_the_console_script_is_there():
    module, _, function = PROJECT["project"]["scripts"]["ftbench"].partition(":")
    source = (ROOT / module / "__init__.py").read_text("utf-8")
    assert f"def {function}(" in source


def test_the_changelog_tells_this_version():
    assert f"## [{PROJECT['project']['version']}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_pre_commit_has_the_linters_version():
    text = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    assert {Version(found) for found in re.findall(r"ruff==([\d.]+)", text)} == {
        pins("lint")["ruff"]
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_the_packages_say_that_they_are_typed(package):
    assert (ROOT / package / "py.typed").is_file()


def test_continuous_integration_runs_the_readmes_test_command():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "tox run -e lint,docs,tests" in script.read_text("utf-8")
    assert "\ntox -e tests\n" in (ROOT / "README.md").read_text("utf-8")


def test_only_the_tests_of_a_gpu_see_one():
    """On a machine with one, the others would train on it, two at a time."""
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    hidden = [line.strip() for line in tox["parallel"]["set_env"].splitlines()]
    assert "CUDA_VISIBLE_DEVICES =" in hidden
    for name in ("tests-torch", "tests-all", "smoke"):
        assert "{[parallel]set_env}" in tox[f"testenv:{name}"]["set_env"]
    assert "set_env" not in tox["testenv:tests-gpu"]
