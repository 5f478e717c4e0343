"""Puts the packages of the checkout inside the package `ftbench` of an installation: see there."""

from setuptools import find_packages, setup

NAMES = ("benchmarks", "frameworks", "results")

setup(
    packages=[
        "ftbench",
        *(
            f"ftbench.{name}"
            for name in find_packages(include=[f"{n}{end}" for n in NAMES for end in ("", ".*")])
        ),
    ],
    package_dir={"ftbench": "ftbench", **{f"ftbench.{name}": name for name in NAMES}},
)
