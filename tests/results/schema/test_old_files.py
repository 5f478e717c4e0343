"""Files of schema version 1 are read: old names are mapped to today's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from results import store
from results.report import as_markdown
from results.schema import (
    Accuracy,
    Certificate,
    Checkpoint,
    JobKey,
    Measurement,
    Throughput,
    comparison,
)
from tests.results import sample_limits, samples
from tests.results.report.test_equivalence import certificate

KEY = {"backend": "hf_torch", "task": "imdb", "question": "throughput"}


@pytest.mark.parametrize(
    ("old", "role"), [("framework", "framework"), ("bare", "control"), ("again", "repeat")]
)
def test_a_variant_is_a_role(old: str, role: str) -> None:
    suffix = "" if old == "framework" else f"-{old}"
    key = JobKey.model_validate(
        {**KEY, "id": f"throughput-imdb-hf_torch{suffix}-length_64", "variant": old, "shape": None}
    )
    assert (key.role, key.change) == (role, None)
    assert comparison(key) == "throughput-imdb-length_64"
    new = f"throughput-imdb-hf_torch{'' if role == 'framework' else '-' + role}-length_64"
    assert comparison(key.model_copy(update={"id": new})) == "throughput-imdb-length_64"


def test_a_shape_is_a_change() -> None:
    key = JobKey.model_validate({**KEY, "id": "throughput-imdb-hf_torch-bf16", "shape": "bf16"})
    assert key.change == "bf16" and comparison(key) == "throughput-imdb-hf_torch"


def test_unknown_old_values_are_refused() -> None:
    with pytest.raises(ValueError, match="role"):
        JobKey.model_validate({**KEY, "id": "x", "variant": "other"})


def test_a_tokenizer_in_a_name_is_a_field() -> None:
    old = {
        "name": "none (tokenizer of a(b))",
        "architecture": "lstm",
        "sha256": "",
        "random": False,
    }
    read = Checkpoint.model_validate(old)
    assert (read.name, read.tokenizer_only) == ("a(b)", True)
    assert Checkpoint.model_validate({**old, "name": "minilm"}).tokenizer_only is False
    assert Checkpoint.model_validate(read.model_dump()) == read


def test_a_race_of_one_launch_did_not_name_it() -> None:
    old = samples.throughput(1.0, launches=1).model_dump()
    (launch,) = old.pop("launches")
    for window in (*old["windows"], *old["warmup"], *old["evaluation_windows"]):
        del window["launch"], window["superseded"]
    read = Throughput.model_validate(
        old | {name: launch[name] for name in ("build_seconds", "first_step_seconds")}
    )
    assert read == samples.throughput(1.0, launches=1)
    assert (read.build_seconds, read.first_step_seconds) == (3.2, 2.5)
    assert Throughput.model_validate(read.model_dump()) == read


@pytest.mark.parametrize("run", ["speed", "levers", "tuned-pytorch-mnli"])
def test_published_races_of_one_launch_are_read(run: str) -> None:
    folder = Path(__file__).parents[3] / "results" / "published" / "xeon-2-cores" / run
    _, measurements, problems = store.read_run(folder)
    timed = [m.throughput for m in measurements if m.job.question == "throughput" and m.payload]
    assert problems == [] and timed and all(len(one.launches) == 1 for one in timed if one)


def test_a_certificate_points_to_its_likely_cause() -> None:
    old = certificate().model_dump() | {"schema_version": 1}
    old["points_to"] = "the schedule"
    del old["likely_cause"]
    assert Certificate.model_validate(old).likely_cause == "the schedule"


def as_version_1(m: Measurement) -> dict[str, Any]:
    raw = m.model_dump(mode="json") | {"schema_version": 1}
    raw["job"]["variant"] = raw["job"].pop("role")
    raw["job"]["shape"] = raw["job"].pop("change")
    raw |= dict.fromkeys(("throughput", "memory", "batch_limit", "accuracy", "trace"))
    payload = raw.pop("payload")
    question = payload.pop("question")
    return raw | {"trace" if question == "equivalence" else question: payload}


def test_each_payload_of_version_1_is_read() -> None:
    for m in [*samples.sample_measurements(), sample_limits.limit_measurement()]:
        if m.payload:
            assert Measurement.model_validate(as_version_1(m)) == m
            assert Measurement.model_validate_json(m.model_dump_json()) == m


def test_a_file_with_two_payloads_is_damaged() -> None:
    first, second = samples.sample_measurements()[:2]
    raw = as_version_1(first)
    raw["memory"] = samples.memory(5).model_dump(mode="json")
    with pytest.raises(ValueError, match="more than one payload"):
        Measurement.model_validate(raw)


def test_a_payload_that_is_not_there_is_named() -> None:
    m = samples.measurement("hf_tf", "imdb", "memory", memory=samples.memory(5))
    assert m.memory and m.accuracy is None
    with pytest.raises(ValueError, match="memory-imdb-hf_tf has no Accuracy"):
        m.require(Accuracy)


def test_the_report_says_once_that_results_are_old(
    make_run: Callable[..., Path], tmp_path: Path
) -> None:
    m = samples.measurement("hf_tf", "imdb", "memory", memory=samples.memory(5 * 2**30))
    folder = make_run([m])
    new = as_markdown([folder])
    (folder / f"{m.job.id}.json").write_text(json.dumps(as_version_1(m)), "utf-8")
    info = json.loads((folder / store.RUN_FILE).read_text("utf-8"))
    (folder / store.RUN_FILE).write_text(json.dumps(info | {"schema_version": 1}), "utf-8")
    old = as_markdown([folder])
    assert "earlier version" not in new and old.count("earlier version") == 1
    assert "5.00" in old
