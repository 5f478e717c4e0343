"""What is stored is whole or not there, and what cannot be read is named."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from results import store
from results.schema import Measurement
from tests.results import samples

pytestmark = pytest.mark.smoke

A_JOB = samples.measurement("hf_torch", "imdb", "throughput", throughput=samples.throughput(1.0))

# A file system that is full is an OSError in write(); a file size limit is one that a test can
# have without being root.
FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from results import store
from tests.results import samples
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
folder = Path(sys.argv[1])
m = samples.measurement("hf_torch", "imdb", "throughput", throughput=samples.throughput(2.0))
resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))
try:
    if sys.argv[2] == "measurement":
        store.write_measurement(folder, m)
    else:
        info = samples.run_info("b").model_copy(update={"command": "x" * 4000})
        store.create_run(folder, info)
except store.StoreError as error:
    print(error)
    sys.exit(3)
"""


def full_disk(folder: Path, what: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(folder), what],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.returncode == 3, done.stderr
    return done.stdout


def test_what_is_written_is_read_back(make_run: Callable[..., Path]) -> None:
    written = samples.sample_measurements()
    info, read, problems = store.read_run(make_run(written))
    assert info == samples.run_info() and problems == []
    assert read == sorted(written, key=lambda m: m.job.id)


def test_a_diverged_loss_and_an_odd_file_name_survive(make_run: Callable[..., Path]) -> None:
    trained = samples.accuracy("imdb", 0.5, 1.0)
    point = replace(trained.curve[0], loss=math.nan, gradient_norm=math.inf)
    m = samples.measurement(
        "hf_tf",
        "imdb",
        "accuracy",
        reason="caf\udce9 \u00e9",
        accuracy=trained.model_copy(update={"curve": [point]}),
    )
    folder = make_run([m])
    text = (folder / f"{m.job.id}.json").read_text(encoding="utf-8")
    json.loads(text, parse_constant=pytest.fail)  # strict JSON: no bare NaN
    read = store.read_run(folder)[1][0]
    assert read.accuracy and math.isnan(read.accuracy.curve[0].loss)
    assert read.accuracy.curve[0].gradient_norm == math.inf and read.reason == m.reason


def test_a_full_disk_leaves_the_earlier_measurement(make_run: Callable[..., Path]) -> None:
    folder = make_run([A_JOB])
    before = {path: path.read_bytes() for path in folder.iterdir()}
    said = full_disk(folder, "measurement")
    assert said.count("\n") == 1 and A_JOB.job.id in said and "File too large" in said
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_a_full_disk_leaves_no_half_made_run(tmp_path: Path) -> None:
    assert "run.json" in full_disk(tmp_path, "run")
    assert store.runs(tmp_path) == [] and list((tmp_path / "runs").iterdir()) == []


def test_a_real_full_file_system(tmp_path: Path) -> None:
    """A 64 KiB tmpfs, where this process may mount one."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    try:
        folder = store.create_run(tmp_path, samples.run_info())
        with pytest.raises(store.StoreError, match="No space left"):
            for i in range(100):
                store.write_measurement(
                    folder,
                    samples.measurement(
                        "hf_tf",
                        "imdb",
                        "throughput",
                        suffix=f"-{i}",
                        throughput=samples.throughput(1.0),
                    ),
                )
        assert not [path for path in folder.iterdir() if path.suffix == ".tmp"]
        _, read, problems = store.read_run(folder)
        assert read and problems == []
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file is in the way")
    with pytest.raises(store.StoreError, match="cannot make .*runs"):
        store.create_run(tmp_path, samples.run_info())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(store.StoreError, match="Permission denied"):
        store.create_run(tmp_path, samples.run_info())


def test_a_run_is_not_written_over(make_run: Callable[..., Path], tmp_path: Path) -> None:
    make_run([])
    with pytest.raises(store.StoreError, match="already exists"):
        store.create_run(tmp_path, samples.run_info())


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a\nb", "x" * 201, "run", "plan"])
def test_a_job_id_that_is_no_file_name(tmp_path: Path, name: str) -> None:
    job = A_JOB.job.model_copy(update={"id": name})
    with pytest.raises(store.StoreError, match="job id"):
        store.write_measurement(tmp_path, A_JOB.model_copy(update={"job": job}))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"half', "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[" * 200_000, "not JSON"),
        (b"[]", "damaged: the whole file"),
        (b"{}", "schema version None"),
        (b'{"schema_version": 99}', "schema version 99"),
        (b'{"schema_version": 1}', "damaged: job"),
    ],
)
def test_an_unreadable_file_is_named_and_the_rest_is_read(
    make_run: Callable[..., Path], content: bytes, said: str
) -> None:
    folder = make_run([A_JOB])
    (folder / "bad.json").write_bytes(content)
    info, read, problems = store.read_run(folder)
    assert info and [m.job.id for m in read] == [A_JOB.job.id]
    assert len(problems) == 1 and "bad.json" in problems[0] and said in problems[0]
    assert "\n" not in problems[0]


def test_a_copy_of_a_file_is_not_counted_twice(make_run: Callable[..., Path]) -> None:
    folder = make_run([A_JOB])
    (folder / "copy.json").write_bytes((folder / f"{A_JOB.job.id}.json").read_bytes())
    _, read, problems = store.read_run(folder)
    assert len(read) == 1 and "copy.json" in problems[0]


def test_files_that_are_no_measurements_are_left_alone(make_run: Callable[..., Path]) -> None:
    folder = make_run([A_JOB])
    (folder / "plan.json").write_text("{}")
    (folder / ".left.json.1.tmp").write_text("{")
    assert store.read_run(folder)[1:] == ([A_JOB], [])


def test_a_run_without_its_info(tmp_path: Path) -> None:
    info, read, problems = store.read_run(tmp_path)
    assert (info, read) == (None, []) and "run.json" in problems[0]


def test_the_latest_run_is_the_one_that_began_last(tmp_path: Path) -> None:
    assert store.latest_run(tmp_path) is None
    for name, hour in (("z", 1), ("a", 3), ("m", 2)):
        info = samples.run_info(name).model_copy(
            update={"started_at": f"2026-11-20T0{hour}:00:00+00:00"}
        )
        store.create_run(tmp_path, info)
    (tmp_path / "runs" / "no-run").mkdir()
    assert [folder.name for folder in store.runs(tmp_path)] == ["z", "m", "a"]
    latest = store.latest_run(tmp_path)
    assert latest and latest.name == "a"


def test_a_measurement_replaces_the_earlier_one_of_its_job(make_run: Callable[..., Path]) -> None:
    folder = make_run([A_JOB])
    again: Measurement = A_JOB.model_copy(update={"seconds": 99.0})
    store.write_measurement(folder, again)
    assert store.read_run(folder)[1] == [again]
