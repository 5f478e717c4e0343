"""Mutated profiles and recipes give a plan, or one line that says what is wrong."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.harness.errors import UserError
from benchmarks.harness.plan.expand import make_plan
from benchmarks.harness.plan.plan import Choice
from benchmarks.harness.plan.profile import FOLDER, load_profile, profile_names
from benchmarks.harness.plan.validation import parse_overrides
from benchmarks.harness.run.folder import check_job_names
from frameworks.contract import Recipe
from tests.conftest import EXAMPLES

VALUES = [
    "inf", "-inf", "nan", "-1", "0", "1e999", "9" * 5000, "true", "'x'", "''", "[]", "[1, 1]", "{}",
    "{a = 1}", "2020-01-01", "'\\u0000'", '"\\u001b[2J"', "['fp32']", "0x10", "1_0", "~", "é",
]  # fmt: skip
PIECES = [
    b'"',
    b"\n",
    b"\r",
    b"\x00",
    b"\xff",
    b"[",
    b"]",
    b"[[",
    b"=",
    b"{",
    b"\xef\xbb\xbf",
    b"#",
]


def check(choice: Choice) -> None:
    try:
        check_job_names(make_plan(choice, load_profile(choice.profile), ["imdb", "mnli"], ""))
    except UserError as error:
        assert str(error).isprintable() and len(str(error)) < 2000


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("profiles")


@settings(max_examples=EXAMPLES, derandomize=True, deadline=None)
@given(st.integers(0, 10**6))
def test_a_mutated_profile_gives_a_plan_or_one_line(scratch: Path, seed: int) -> None:
    draw = random.Random(seed)
    lines = (FOLDER / f"{draw.choice(profile_names())}.toml").read_text("utf-8").splitlines()
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(lines))
        name = lines[at].partition("=")[0].strip() or draw.choice([*Recipe.model_fields])
        kind = draw.randrange(5)
        if kind == 0:
            lines[at] = f"{name} = {draw.choice(VALUES)}"
        elif kind == 1:
            del lines[at]
            lines = lines or [""]
        elif kind == 2:
            lines.insert(at, draw.choice(lines))
        elif kind == 3:
            lines.insert(
                at, f"[{draw.choice(['recipe', 'vary', 'tasks', 'tasks.imdb', 'x.y', 'accuracy'])}]"
            )
        else:
            lines[at] = lines[at].replace(name[:3], name[:2])
    content = "\n".join(lines).encode()
    if draw.random() < 0.2:
        at = draw.randrange(len(content) + 1)
        content = content[:at] + draw.choice(PIECES) + content[at:]
    (scratch / "mutated.toml").write_bytes(content)
    check(Choice(profile=str(scratch / "mutated.toml")))


@settings(max_examples=EXAMPLES, derandomize=True, deadline=None)
@given(st.integers(0, 10**6), st.text(max_size=12))
def test_a_mutated_recipe_gives_a_plan_or_one_line(seed: int, text: str) -> None:
    draw = random.Random(seed)
    fields = [*Recipe.model_fields, "lr", "", text, "recipe.length"]
    words = [
        f"{draw.choice(fields)}{draw.choice(['=', '=', '=', '', '=='])}{draw.choice([*VALUES, text])}"
        for _ in range(draw.randint(1, 3))
    ]
    try:
        recipe = parse_overrides(words)
    except UserError as error:
        assert str(error).isprintable() and len(str(error)) < 2000
        return
    check(Choice(profile="quick", recipe=recipe))
