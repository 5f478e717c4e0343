"""The sizes that CONTRIBUTING.md names: what grows beyond them is split, or says why not."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
MODULES = sorted(
    path
    for folder in ("benchmarks", "frameworks", "ftbench", "results", "tests")
    for path in (ROOT / folder).rglob("*.py")
)
FILE_LINES, FUNCTION_LINES, CLASS_METHODS, FOLDER_MODULES = 320, 50, 12, 15
# Each says why in its docstring.
LARGE_CLASSES = {
    "frameworks/contract/session.py:Session",
    "tests/harness/machine/fake_nvml.py:Nvml",
}


def test_folders_are_small() -> None:
    counts = Counter(path.parent for path in MODULES if path.name != "__init__.py")
    assert counts, "no modules found"
    assert {str(k): n for k, n in counts.items() if n > FOLDER_MODULES} == {}


def test_files_functions_and_classes_are_small() -> None:
    too_large = []
    for path in MODULES:
        name = path.relative_to(ROOT).as_posix()
        text = path.read_text("utf-8")
        if (lines := text.count("\n")) > FILE_LINES:
            too_large.append(f"{name}: {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                if (lines := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES:
                    too_large.append(f"{name}:{node.name}: {lines} lines")
            elif isinstance(node, ast.ClassDef) and f"{name}:{node.name}" not in LARGE_CLASSES:
                methods = sum(isinstance(one, ast.FunctionDef) for one in node.body)
                if methods > CLASS_METHODS:
                    too_large.append(f"{name}:{node.name}: {methods} methods")
    assert too_large == []
