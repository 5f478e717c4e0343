"""What changed between two sets of runs, the table of all figures, and what may be published."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from benchmarks.harness.cli.compare import changes_between, read_bounds
from benchmarks.harness.cli.main import main
from benchmarks.harness.errors import UserError
from results import contribution, store
from results.analysis.over_runs.changes import Change
from results.analysis.over_runs.history import history
from results.export import COLUMNS, rows, write_table
from results.report import changes_of, changes_text
from results.report.load import read_runs
from results.report.view import View
from results.schema import Measurement
from tests.results import sample_limits, samples
from tests.results.report.test_equivalence import certificate
from tests.results.samples import measurement

pytestmark = pytest.mark.once
MakeRun = Callable[..., Path]
TITLES = {"hf_torch": "PyTorch", "hf_tf": "TensorFlow", "keras_rnn": "Keras LSTM"}


def run_of(make_run: MakeRun, name: str, day: int, speed: float, peak: int = 1000) -> Path:
    """One backend: its speed, memory and accuracy."""
    info = samples.run_info(name).model_copy(
        update={"started_at": f"2026-11-{day:02}T10:00:00+00:00"}
    )
    return make_run(
        [
            measurement("hf_torch", "imdb", "throughput", throughput=samples.throughput(speed)),
            measurement("hf_torch", "imdb", "memory", memory=samples.memory(peak * 1024**2)),
            measurement("hf_torch", "imdb", "accuracy", accuracy=samples.accuracy("imdb", 0.9, 1)),
        ],
        info,
    )


def found(make_run: MakeRun, speed: float, peak: int = 1000) -> dict[str, Change]:
    before, after = run_of(make_run, "a", 20, 1.0), run_of(make_run, "b", 21, speed, peak)
    return {change.figure: change for change in changes_of([before], [after])}


def test_a_slower_run_is_worse_beyond_the_noise(make_run: MakeRun) -> None:
    speed = found(make_run, 0.8)["speed"]
    assert speed.change == pytest.approx(-0.2, abs=0.01) and speed.verdict == "worse"
    assert speed.interval and speed.interval.low < -0.2 < speed.interval.high
    assert speed.breaks({"speed": 0.05}) and not speed.breaks({"speed": 0.3})
    assert not speed.breaks({"memory": 0.0})


def test_the_same_run_is_within_the_noise_and_breaks_nothing(make_run: MakeRun) -> None:
    changes = found(make_run, 1.0)
    assert changes["speed"].verdict == changes["accuracy"].verdict == "within the noise"
    assert not any(c.breaks({"speed": 0, "memory": 0, "accuracy": 0}) for c in changes.values())


def test_more_memory_is_a_loss_without_an_interval(make_run: MakeRun) -> None:
    memory = found(make_run, 1.0, peak=1100)["memory"]
    assert memory.verdict is None and memory.loss == pytest.approx(0.1)
    assert memory.breaks({"memory": 0.03})
    text = changes_text([memory], TITLES)
    assert "+10.0 %" in text and "one measurement each" in text
    assert "not raced together" in text


def test_accuracy_is_paired_where_predictions_were_kept(make_run: MakeRun) -> None:
    """Two trainings that disagree on 30 of 2,500 examples."""
    labels = np.arange(2500) % 2
    folders = []
    for name, wrong in (("a", 0), ("b", 30)):
        folder = run_of(make_run, name, 20, 1.0)
        logits = np.eye(2)[labels]
        logits[:wrong] = logits[:wrong, ::-1]
        np.savez(folder / "p.npz", test_logits=logits, test_labels=labels)
        m = measurement(
            "hf_torch",
            "imdb",
            "accuracy",
            accuracy=samples.accuracy("imdb", 1 - wrong / 2500, 1, predictions_file="p.npz"),
        )
        store.write_measurement(folder, m)
        folders.append(folder)
    change = next(c for c in changes_of(folders[:1], folders[1:]) if c.figure == "accuracy")
    assert change.paired and change.verdict == "worse" and change.change == pytest.approx(-0.012)


def test_other_work_is_not_compared(make_run: MakeRun) -> None:
    other = make_run([measurement("hf_torch", "mnli", "memory", memory=samples.memory(2**30))])
    assert changes_of([run_of(make_run, "a", 20, 1.0)], [other]) == []
    assert "nothing to compare" in changes_text([], TITLES)


def test_files_of_pytest_benchmark(tmp_path: Path) -> None:
    for name, seconds in (("old", 1.0), ("new", 1.5)):
        data = [seconds * (1 + i / 1000) for i in range(8)]
        one = {"fullname": "test_x", "stats": {"median": seconds, "data": data}}
        (tmp_path / f"{name}.json").write_text(json.dumps({"benchmarks": [one]}))
    old, new = str(tmp_path / "old.json"), str(tmp_path / "new.json")
    (change,) = changes_between(tmp_path, old, new)
    assert change.verdict == "worse" and change.change == pytest.approx(-1 / 3, abs=0.01)
    assert main(["compare", old, new, "--fail-on", "slower:5%"]) == 1
    assert main(["compare", old, new, "--fail-on", "slower:50%"]) == 0
    (tmp_path / "none.json").write_text('{"benchmarks": []}')
    nothing = ["compare", old, str(tmp_path / "none.json")]
    assert main(nothing) == 0
    assert main([*nothing, "--fail-on", "slower:5%"]) == 2  # a check that checks nothing
    (tmp_path / "no.json").write_text("[]")
    with pytest.raises(UserError, match="not a file of pytest-benchmark"):
        changes_between(tmp_path, old, str(tmp_path / "no.json"))
    with pytest.raises(UserError, match="old.json is a file of pytest-benchmark and last is not"):
        changes_between(tmp_path, old, "last")


def test_sides_are_runs_folders_or_commits(make_run: MakeRun, tmp_path: Path) -> None:
    info = samples.run_info("committed").model_copy(
        update={"ftbench_version": "0.2.0 at 0123456789ab"}
    )
    memory = measurement("hf_torch", "imdb", "memory", memory=samples.memory(2**30))
    folder = make_run([memory], info)
    for name in ("0123456", "committed", str(folder), str(folder.parent)):
        assert changes_between(tmp_path, name, "committed")[0].change == 0, name
    with pytest.raises(UserError, match="commit abcdef0"):
        changes_between(tmp_path, "abcdef0", "committed")


def test_bounds_are_read_or_refused() -> None:
    assert read_bounds("slower:5%, accuracy:1.5pt") == {"speed": 0.05, "accuracy": 0.015}
    for wrong in (
        "slower",
        "slower:5",
        "faster:5%",
        "accuracy:1%",
        "slower:-1%",
        "slower:1%,slower:2%",
        "",
    ):
        with pytest.raises(UserError, match="--fail-on"):
            read_bounds(wrong)


def test_history_finds_the_change_and_not_the_noise(make_run: MakeRun) -> None:
    folders = [
        run_of(make_run, f"r{i}", 1 + i, speed) for i, speed in enumerate((1.0, 1.001, 0.7, 0.7))
    ]
    view = View.merged_by_machine(read_runs(folders), TITLES)
    series = history(view.merged[0])["training, steps/s"][0]
    assert [m.run for m in series.moments] == ["r0", "r1", "r2", "r3"]
    assert [m.changed for m in series.moments] == [None, False, True, False]


def test_the_table_has_every_figure_in_every_format(make_run: MakeRun, tmp_path: Path) -> None:
    failed = measurement("hf_tf", "imdb", "memory", suffix="-f", status="failed", reason="a\nb")
    folder = make_run([*samples.sample_measurements(("imdb",)), failed])
    store.write_certificate(folder, "made-up", certificate())
    sample_limits.write_predictions(folder, [sample_limits.prediction()])
    table = rows([folder])
    assert all(tuple(row) == COLUMNS for row in table)
    (none,) = [row for row in table if row["status"] == "failed"]
    assert none["value"] is None and none["reason"] == "a\nb"
    (bound,) = [row for row in table if row["figure"] == "loss_bound"]
    assert bound["value"] == 1e-5 and bound["backend"] == "hf_torch and hf_tf"
    predicted = {row["part"] for row in table if row["figure"] == "predicted_batch"}
    assert predicted == {"T4", "A100-40", "H100"}
    for kind in ("csv", "json", "parquet"):
        write_table(table, tmp_path / kind, kind)
    with (tmp_path / "csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    assert len(read) == len(table) and read[0]["backend"] == table[0]["backend"]
    assert json.loads((tmp_path / "json").read_text()) == table
    assert parquet.read_table(tmp_path / "parquet").to_pylist() == table
    text = (Path(__file__).parents[3] / "docs" / "export.md").read_text("utf-8")
    assert not [name for name in COLUMNS if f"`{name}`" not in text], "every column is documented"


def test_a_diverged_figure_is_exported(make_run: MakeRun, tmp_path: Path) -> None:
    a = samples.accuracy("imdb", 0.5, 1.0)
    bad = a.scores["test"].model_copy(update={"loss": float("nan")})
    m = measurement(
        "hf_tf", "imdb", "accuracy", accuracy=a.model_copy(update={"scores": {"test": bad}})
    )
    table = rows([make_run([m])])
    for kind in ("csv", "json", "parquet"):
        write_table(table, tmp_path / kind, kind)
    assert "nan" in (tmp_path / "json").read_text()


def publishable(make_run: MakeRun) -> Path:
    info = samples.run_info().model_copy(update={"ftbench_version": "0.2.0 at 0123456789ab"})
    return make_run(samples.sample_measurements(("imdb",)), info)


def test_a_sound_run_is_copied_without_what_is_private(make_run: MakeRun, tmp_path: Path) -> None:
    folder = publishable(make_run)
    tail = measurement(
        "hf_tf",
        "imdb",
        "memory",
        suffix="-x",
        status="failed",
        reason="no",
        stderr_tail=["File /home/someone/x.py"],
    )
    store.write_measurement(folder, tail)
    (folder / store.PLAN_FILE).write_text('{"path": "/home/someone"}')
    (folder / "jobs").mkdir(exist_ok=True)  # as every run has it
    (folder / "jobs" / "memory-imdb-hf_tf-x.json").write_text('{"path": "/home/someone"}')
    assert contribution.problems(folder, named=["somehost"]) == []
    files = contribution.contribute(folder, tmp_path / "published" / "m" / "run")
    names = {file.name for file in files}
    assert store.RUN_FILE in names and store.PLAN_FILE not in names
    assert not [f for f in files if b"/home/someone" in f.read_bytes()]
    assert contribution.problems(tmp_path / "published" / "m" / "run") == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"reason": "no file /home/jane/data"}, "contains '/home/jane/data', which is private"),
        (
            {"versions": {"torch": "built on jane-laptop"}},
            "contains 'jane-laptop', which is private",
        ),
        ({"data": None}, "fingerprint of its data is missing"),
        ({"device": samples.GPU}, "but the run on"),
    ],
    ids=["path", "host", "data", "device"],
)
def test_what_keeps_a_run_from_being_published(
    make_run: MakeRun, changes: dict[str, object], said: str
) -> None:
    folder = publishable(make_run)
    m = samples.sample_measurements(("imdb",))[0]
    store.write_measurement(folder, Measurement.model_validate(m.model_copy(update=changes)))
    found = contribution.problems(folder, named=["jane-laptop"])
    assert found and all(said in line for line in found), found


def test_an_unknown_commit_and_a_damaged_file_are_named(make_run: MakeRun) -> None:
    folder = make_run(samples.sample_measurements(("imdb",)))
    (folder / "torn.json").write_text("{")
    found = contribution.problems(folder)
    assert any("names no commit" in line for line in found)
    assert any("torn.json" in line for line in found)


def test_the_command_checks_and_refuses(make_run: MakeRun, tmp_path: Path) -> None:
    folder = publishable(make_run)
    options = ["contribute", str(folder), "--published", str(tmp_path / "p")]
    assert main([*options, "--check"]) == 0 and not (tmp_path / "p").exists()
    assert main(options) == 2  # no machine
    assert main([*options, "--machine", "My Box"]) == 2
    assert main([*options, "--machine", "box", "--name", "../elsewhere"]) == 2
    assert not (tmp_path / "p").exists()
    assert main([*options, "--machine", "box"]) == 0
    assert main([*options, "--machine", "box"]) == 2  # it exists
