"""Traces and certificates end to end: real workers on a tiny model, `ftbench certify` both ways,
and pytest with an environment that adds its trace to another's run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from results.store import latest_run, read_certificates, read_run
from tests.benchmarks.conftest import finish, ftbench, here, refused, start

PROFILE = """
description = "tiny, for tests"
checkpoint = "random:tiny-bert"
data = "embedded"
backends = ["hf_torch", "hf_tf", "keras_rnn"]
questions = ["equivalence"]
job_seconds = 300
[recipe]
length = 16
padding = "longest"
learning_rate = 1e-3
precision = "fp32"
[tasks.mnli]
train_examples = 100
evaluation_examples = 32
[equivalence]
steps = 8
accumulations = [2]
batch_size = 4
"""


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    file = tmp_path / "tiny.toml"
    file.write_text(PROFILE)
    return file


def one_changed(folder: Path, name: str) -> Path:
    """A copy of a trace in which the losses are others from step 5 on."""
    copy = folder / "other"
    copy.mkdir()
    content = json.loads((folder / f"{name}.json").read_text())
    losses = content["payload"]["loss"]
    content["payload"]["loss"] = losses[:4] + [loss + 1e-3 for loss in losses[4:]]
    (copy / f"{name}.json").write_text(json.dumps(content))
    (copy / f"{name}.npz").write_bytes((folder / f"{name}.npz").read_bytes())
    return copy / f"{name}.json"


def test_certify_records_traces_and_compares_them(tmp_path: Path, profile: Path) -> None:
    backends = here("hf_torch", "hf_tf")
    code, output, errors = ftbench("certify", "--profile", profile, "--results", tmp_path)
    folder = latest_run(tmp_path)
    assert folder is not None
    _, measurements, problems = read_run(folder)
    certificates, damaged = read_certificates(folder)
    assert problems == damaged == []
    traces = {m.job.backend: m.trace for m in measurements if m.trace}
    assert sorted(traces) == sorted(backends)
    for trace in traces.values():
        assert len(trace.loss) == trace.steps == 8 and trace.steps_per_epoch == 4
        assert trace.examples == [8, 8, 8, 6] * 2 and len(trace.batches) == 16
    if len(backends) == 2:
        assert code == 0, output + errors
        (certificate,) = certificates
        assert certificate.holds and certificate.verdict in output
        assert (
            certificate.verdict.removeprefix("same work: ")[:20]
            in (folder / "report.md").read_text()
        )
    else:
        assert code == 1 and "not proven" in errors
    file = folder / f"equivalence-mnli-{backends[0]}-accumulation_2.json"
    code, output, errors = ftbench("certify", file, file)
    assert code == 0 and "same work: proven to 1e-5 over 8 steps" in output, errors
    code, output, errors = ftbench("certify", file, one_changed(folder, file.stem))
    assert code == 1 and "not the same work: loss differs from step 5 on by 0.001" in output


@pytest.mark.once
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["one.json"], "compares two trace files, but 1 is named"),
        (["one.json", "two.json"], "trace one.json cannot be read"),
        (
            ["one.json", "two.json", "--task", "imdb", "--allow-pickle"],
            "--task, --allow-pickle: trace files are only compared",
        ),
        (["--question", "memory"], "--question: `ftbench certify` only answers equivalence"),
    ],
)
def test_bad_input_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert message in refused(capsys, "certify", *arguments)


@pytest.mark.once
def test_a_run_fails_where_a_certificate_does_not_hold(
    tmp_path: Path, logistic: str, profile: Path
) -> None:
    """Another environment's trace is in the run already, and it is not of the same work."""
    backend, other = logistic, f"{logistic}_twin"
    text = profile.read_text().replace("accumulations = [2]", "accumulations = [1]")
    profile.write_text(text.replace('"hf_torch", "hf_tf", "keras_rnn"', f'"{backend}"'))
    command = (
        "-m",
        "pytest",
        "benchmarks/test_equivalence.py",
        "--benchmark-only",
        "-p",
        "no:cacheprovider",
        "--profile",
        profile,
        "--results",
        tmp_path,
    )
    code, output, errors = finish(start(*command))
    assert code == 0 and "same work: not proven" in output, output + errors
    folder = latest_run(tmp_path)
    assert folder is not None
    name = f"equivalence-mnli-{backend}-accumulation_1"
    foreign = json.loads(one_changed(folder, name).read_text())
    foreign["job"] |= {"backend": other, "id": name.replace(backend, other)}
    (folder / f"{foreign['job']['id']}.json").write_text(json.dumps(foreign))
    code, output, errors = ftbench("run", "--resume", "last", "--results", tmp_path)
    assert code == 1 and "loss differs from step 5 on" in errors, output + errors
