"""How the harness follows a training."""

from __future__ import annotations

from typing import Protocol


class Watch(Protocol):
    """Called from the framework's own callbacks."""

    def begin(self) -> None:
        """Training is about to take its first step."""

    def step_end(self, step: int) -> bool:
        """`step` optimizer steps are done (from 1); True asks the framework to stop."""
