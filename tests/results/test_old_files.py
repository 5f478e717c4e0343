"""Files of schema version 1 are read: old names are mapped to today's."""

from __future__ import annotations

import pytest

from results.schema import Certificate, Checkpoint, JobKey, comparison
from tests.results.test_equivalence import certificate

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


def test_a_certificate_points_to_its_likely_cause() -> None:
    old = certificate().model_dump()
    old["points_to"] = "the schedule"
    del old["likely_cause"]
    assert Certificate.model_validate(old).likely_cause == "the schedule"
