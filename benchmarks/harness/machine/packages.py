"""Installed packages and their versions, read without importing them."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from frameworks.contract import backends

REPORTED = ("tokenizers", "safetensors", "numpy", "ftbench")  # after those of the backends


def version(distribution: str) -> str | None:
    """The installed version, or that of the same package under another name."""
    others = (backend.alternative_packages.get(distribution) for backend in backends().values())
    for name in dict.fromkeys((distribution, *filter(None, others))):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None


def own_version() -> str:
    """The version of ftbench and, in a checkout, the commit, with '+changes' if files differ from
    it."""
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
    except (OSError, subprocess.CalledProcessError):  # no git, or another user's folder
        return found
    return f"{found} at {done.stdout.strip()}"


def missing_packages(backend: str) -> str | None:
    """The packages that a backend needs and that are not installed, and how to install them. None
    if nothing is missing."""
    problems = []
    for text in backends()[backend].requirements:
        requirement = Requirement(text)
        found = version(requirement.name)
        if found is None:
            problems.append(f"{requirement.name} is not installed")
        elif not requirement.specifier.contains(found, prereleases=True):
            problems.append(f"{requirement.name} {found} is installed, but {text} is required")
    if not problems:
        return None
    return f"{'; '.join(problems)} (pip install -e '.[{backends()[backend].extra}]')"


def versions() -> dict[str, str]:
    """Versions of everything that can change a figure."""
    of_backends = [name for backend in backends().values() for name in backend.reported_packages]
    found = {name: version(name) for name in (*of_backends, *REPORTED)}
    return {
        "python": platform.python_version(),
        **{name: text for name, text in found.items() if text is not None},
    }
