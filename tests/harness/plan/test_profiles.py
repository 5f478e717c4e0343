"""Profiles: every committed one is valid, and every mistake is named by file, field and value."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.harness.errors import UserError
from benchmarks.harness.plan.profile import load_profile, profile_names
from benchmarks.harness.plan.sections import ThroughputPlan
from benchmarks.harness.plan.validation import parse_overrides
from results.analysis.verdict import FEWEST_ROUNDS

pytestmark = pytest.mark.smoke

HEAD = 'description = "a test"\n'


@pytest.mark.parametrize("name", profile_names())
def test_committed_profiles_are_valid(name: str) -> None:
    profile = load_profile(name)
    for backend in profile.backends:
        for task in profile.tasks:
            assert profile.recipe_for(backend, task).batch_size >= 1


@pytest.mark.parametrize("name", profile_names())
def test_the_races_of_committed_profiles_can_show_a_difference(name: str) -> None:
    """Six launches have a narrow enough interval; of a single one, a winner needs nine rounds."""
    profile = load_profile(name)
    for race in (ThroughputPlan(), profile.throughput):
        if race.until == "planned":
            assert race.launches >= 6 or race.rounds >= FEWEST_ROUNDS


def test_only_a_race_until_it_is_decided_has_a_time_limit() -> None:
    assert ThroughputPlan(until="decided", until_minutes=5).most_launches == 12
    with pytest.raises(ValueError, match="until_minutes needs until"):
        ThroughputPlan(until_minutes=5)


def test_the_named_profiles_are_there() -> None:
    assert {"quick", "cpu", "t4", "a100", "h100", "h100-smoke"} <= set(profile_names())


@pytest.mark.parametrize("name", ["t4", "a100", "h100", "h100-smoke"])
def test_windows_of_gpu_profiles_are_long_enough(name: str) -> None:
    """A step takes ten milliseconds or so; two synchronisations must not count beside a window."""
    assert load_profile(name).throughput.steps_per_window >= 40


@pytest.mark.parametrize("name", ["t4", "a100", "h100", "h100-smoke", "t4-vs-a100"])
def test_gpu_profiles_pad_to_few_widths(name: str) -> None:
    """Libraries tune or compile anew for every width: 'longest' would put that into the windows."""
    profile = load_profile(name)
    for backend in profile.backends:
        for task in profile.tasks:
            assert profile.recipe_for(backend, task).padding in ("buckets", "max")


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("[tasks.imdb]\n[recipe]\nprecison = 'fp32'", ["field recipe.precison", "precision"]),
        ("[tasks.imdb]\n[recipe]\nprecision = 'fp8'", ["recipe.precision = 'fp8'", "'tf32'"]),
        ("[tasks.imdb]\n[recipe]\nbatch_size = 0", ["recipe.batch_size = 0", "must be at least 1"]),
        (
            "[tasks.imdb]\n[recipe]\nbatch_size = 'a'",
            ["recipe.batch_size = 'a'", "must be a whole number"],
        ),
        ("[tasks.imdb]\ntrain_example = 3", ["tasks.imdb.train_example", "train_examples"]),
        ("[tasks.imdb]\ntrain_examples = 'all'", ["tasks.imdb.train_examples = 'all'"]),
        ("[tasks.imdb.recipe]\nlength = 'x'", ["tasks.imdb.recipe.length = 'x'"]),
        ("[tasks.imdb]\n[vary]\nprecision = ['fp32', 'fp9']", ["vary.precision = 'fp9'"]),
        ("[tasks.imdb]\n[throughput]\nwindow = 3", ["throughput.window", "windows"]),
        ("[tasks.imdb]\n[changes.small]\nbatch = 8", ["changes.small.batch", "batch_size"]),
        (
            "[tasks.imdb]\n[changes.some.data]\ntrain_share = 2.0",
            ["changes.some.data.train_share = 2.0"],
        ),
        ("[tasks.imdb]\n[changes.some]\ndata = 3", ["changes.some.data = 3: write a table"]),
        ("[tasks.imdb]\n[changes.plain]\nbatch_size = 8", ["changes.plain", "another name"]),
        (
            "[tasks.imdb]\n[changes.'a b']\nbatch_size = 8",
            ["changes.a b: use lower-case letters, digits and '_'"],
        ),
        (
            "[tasks.imdb]\n[recipe]\nbeta1 = 0.8\n[changes.factored]\noptimizer = 'adafactor'",
            ["changes.factored", "beta1 is AdamW's"],
        ),
        (
            "[tasks.imdb]\n[vary]\nlength = [8]\n[changes.small]\nbatch_size = 8",
            ["vary and changes cannot be combined"],
        ),
        ("questions = ['speed']\n[tasks.imdb]", ["'speed'", "'throughput'"]),
        ("backends = ['hf_trch']\n[tasks.imdb]", ["hf_trch", "did you mean hf_torch"]),
        ("[tasks.imdb]\n[backend.nope]\nlength = 9", ["unknown backend 'nope'"]),
        ("[tasks.imdb]\n[recipe]\nkeep_best = 'accuracy'", ["keep_best", "evaluation_interval"]),
        ("[tasks.imdb]\ntarget_accuracy = 88", ["tasks.imdb.target_accuracy = 88", "less than 1"]),
        ("[tasks.imdb]\n[accuracy]\nmargin = 0", ["accuracy.margin = 0", "greater than 0"]),
        ("[tasks", ["not valid TOML"]),
        ("x = " + "[" * 5000, ["too deeply nested"]),
        ("[tasks.imdb]\n[recipe]\nlength = 8\nlength = 9\n", ["not valid TOML", "line 5"]),
        ("[tasks.imdb]\n[recipe]\nbatch_size = " + "9" * 5000, ["not valid TOML", "digits"]),
        ("[tasks.imdb]\n[recipe]\nepsilon = inf", ["recipe.epsilon = inf", "finite"]),
        ("job_seconds = inf\n[tasks.imdb]", ["job_seconds = inf", "whole number"]),
        ("[tasks]", ["tasks = {}: must have at least 1 item"]),
        ("backends = []\n[tasks.imdb]", ["backends = []", "at least 1 item"]),
        ("[tasks.imdb]\n[vary]\nlength = []", ["vary.length = []", "at least 1 item"]),
        ("[tasks.imdb]\n[vary]\nlength = 8", ["vary.length = 8: must be a list, such as"]),
        ("[tasks.imdb]\n[environment.hf_tf]\n'A=B' = 'x'", ["'A=B' = 'x' cannot be an"]),
        ('[tasks.imdb]\n[environment.hf_tf]\nA = "a\\u0000"', ["'A' = 'a\\x00' cannot be an"]),
        ('[tasks.imdb]\n[recipe]\n"\\u001b[31m" = 1', ["unknown field recipe.\\x1b[31m"]),
        ("[tasks.imdb]\n[recipe]\nlength = [" + "1," * 3000 + "]", ["recipe.length = [1, 1", "…:"]),
        ("", ["tasks is missing"]),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, content: str, parts: list[str]) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(HEAD + content)
    with pytest.raises(UserError) as caught:
        load_profile(str(file))
    message = str(caught.value)
    assert "\n" not in message
    assert "mine.toml" in message
    for part in parts:
        assert part in message


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-8"])
def test_a_profile_may_begin_with_a_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "mine.TOML"
    file.write_text(HEAD + "[tasks.imdb]\n", encoding)
    assert load_profile(str(file)).description == "a test"


def test_a_profile_in_another_encoding_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(HEAD + "[tasks.imdb]\n", "utf-16")
    with pytest.raises(UserError, match="mine.toml is not UTF-8 .*iconv -f UTF-16 -t UTF-8"):
        load_profile(str(file))


def test_a_profile_in_the_working_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.toml").write_text(HEAD + "[tasks.imdb]\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="unknown profile 'mine': .* use mine.toml"):
        load_profile("mine")


def test_an_unknown_profile_names_the_nearest() -> None:
    with pytest.raises(UserError, match="unknown profile 'quik': did you mean quick"):
        load_profile("quik")
    with pytest.raises(UserError, match=r"nowhere\.toml.*does not exist"):
        load_profile("nowhere.toml")


def test_layers_win_in_order(tmp_path: Path) -> None:
    file = tmp_path / "layers.toml"
    file.write_text(
        HEAD + "[recipe]\nlength = 32\nseed = 1\nbatch_size = 4\n"
        "[tasks.imdb.recipe]\nlength = 64\nseed = 2\n[backend.hf_tf]\nseed = 3\n"
    )
    profile = load_profile(str(file))
    recipe = profile.recipe_for("hf_tf", "imdb", {"batch_size": 5}, {"batch_size": 6})
    assert (recipe.length, recipe.seed, recipe.batch_size) == (64, 3, 6)
    assert profile.recipe_for("hf_torch", "imdb").seed == 2


def test_overrides_are_read_as_toml_and_judged() -> None:
    assert parse_overrides(["batch_size=8", "precision=bf16", "learning_rate = 1e-4"]) == {
        "batch_size": 8,
        "precision": "bf16",
        "learning_rate": 1e-4,
    }
    for wrong, part in [
        ("batch_size=0", "batch_size = 0"),
        ("batch=8", "unknown field"),
        ("length", "FIELD=VALUE"),
        ("precision=int4", "'fp32', 'tf32'"),
    ]:
        with pytest.raises(UserError, match="--recipe") as caught:
            parse_overrides([wrong])
        assert part in str(caught.value)


def test_a_reduced_precision_is_traced_beside_fp32_only(tmp_path: Path) -> None:
    file = tmp_path / "traced.toml"
    file.write_text(HEAD + '[tasks.imdb]\n[equivalence]\nprecisions = ["bf16"]\n')
    with pytest.raises(UserError, match="equivalence.precisions: fp32 must be among them"):
        load_profile(str(file))
    words = '["bf16", "fp32", "bf16"]'
    file.write_text(HEAD + f"[tasks.imdb]\n[equivalence]\nprecisions = {words}\n")
    assert load_profile(str(file)).equivalence.precisions == ["bf16", "fp32"]


def test_the_old_key_of_named_changes_is_read(tmp_path, capsys):
    path = tmp_path / "old.toml"
    path.write_text(
        'description = "old"\n[tasks.imdb]\n[variants.small]\nbatch_size = 8\n', encoding="utf-8"
    )
    assert load_profile(str(path)).changes == {"small": {"batch_size": 8}}
    load_profile(str(path))
    assert capsys.readouterr().err.splitlines() == [
        "profile old.toml: [variants.NAME] is now [changes.NAME]: please rename it"
    ]
