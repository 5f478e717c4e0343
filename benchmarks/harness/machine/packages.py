"""What is installed, told without importing it."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from frameworks.contract import BACKENDS

# The same framework under another distribution name.
ALSO_KNOWN_AS = {"tensorflow": ("tensorflow", "tensorflow-cpu")}
REPORTED = (
    "torch",
    "transformers",
    "accelerate",
    "bitsandbytes",
    "tensorflow",
    "tensorflow-cpu",
    "tf-keras",
    "keras",
    "tokenizers",
    "safetensors",
    "numpy",
    "ftbench",
)


def version(distribution: str) -> str | None:
    for name in ALSO_KNOWN_AS.get(distribution, (distribution,)):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None


def own_version() -> str:
    """Which ftbench takes the figures: its version and, in a checkout, the commit, with
    '+changes' where its files differ from it."""
    found = version("ftbench") or "not installed"
    root = Path(__file__).parents[3]
    if not (root / ".git").exists():
        return found
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--exclude=*", "--abbrev=12", "--dirty=+changes"],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):  # no git here, or a folder of another user's
        return found
    return f"{found} at {done.stdout.strip()}"


def missing(backend: str) -> str | None:
    """Why a backend cannot run here, in a few words with the mend; None when it can."""
    lacks = []
    for text in BACKENDS[backend].requirements:
        requirement = Requirement(text)
        found = version(requirement.name)
        if found is None:
            lacks.append(f"{requirement.name} is not installed")
        elif not requirement.specifier.contains(found, prereleases=True):
            lacks.append(f"{requirement.name} {found} is installed, needed is {text}")
    if not lacks:
        return None
    return f"{'; '.join(lacks)} (pip install -e '.[{BACKENDS[backend].extra}]')"


def versions() -> dict[str, str]:
    """Versions of all that can move a figure."""
    found = {name: version(name) for name in REPORTED if name not in ("tensorflow-cpu",)}
    return {
        "python": platform.python_version(),
        **{name: text for name, text in found.items() if text is not None},
    }
