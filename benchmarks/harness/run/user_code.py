"""Asks a worker process about the user's own code, before anything is measured."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.harness.errors import UserError
from benchmarks.harness.jobs.environment import process_environment, worker_environment
from benchmarks.harness.machine.modules import module_command
from frameworks.contract import backends, own_backend_name

IMPORT_SECONDS = 300  # a framework from a slow disk, at most


def answer_of(
    kind: str,
    folder: Path,
    *names: str,
    variables: Mapping[str, str],
    what: str,
    python: Path = Path(sys.executable),
) -> Any:
    """What a worker process answers about the user's code of a kind. `what` names it in an error.

    Errors: UserError where there is no answer."""
    module = "benchmarks.harness.worker.user_code"
    with tempfile.TemporaryDirectory(prefix="ftbench-") as temporary:
        answer = Path(temporary) / "answer.json"
        arguments = (module, kind, str(answer), str(folder), *names)
        try:
            done = subprocess.run(
                module_command(*arguments, python=python),
                env=process_environment(variables),
                cwd=Path(__file__).parents[3],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=IMPORT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise UserError(f"{what} took more than {IMPORT_SECONDS} s: correct it") from None
        if not answer.is_file():
            code = done.returncode
            raise UserError(f"{what} ended the process with exit code {code}: correct it")
        return json.loads(answer.read_text("utf-8"))


def own_backend(model: str, folder: Path) -> str:
    """The name of the backend that trains the model of the user's function, such as
    'hf_torch.my_module.build' for `my_module:build`.

    Errors: UserError for a function that cannot be imported, raises an error, or returns no model that
    can be trained."""
    variables: dict[str, str] = {}
    for name, about in backends().items():
        if about.model_class:
            variables |= worker_environment(name, None, threads=1)
    found = answer_of(
        "model", folder, model, variables=variables, what=f"--model {model}: making it"
    )
    if "problem" in found:
        raise UserError(f"--model {model}: {found['problem']}: correct it, or leave it out")
    return own_backend_name(found["backend"], model)
