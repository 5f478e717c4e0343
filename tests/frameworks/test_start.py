"""The start that the harness writes loads whole in every framework, and a pickle turned into
safetensors is the same weights."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from benchmarks.harness.checkpoints.checkpoint import find_checkpoint
from benchmarks.harness.checkpoints.start import make_start
from benchmarks.harness.errors import UserError
from frameworks.contract import Start

pytest.importorskip("transformers")
TINY = ("tiny-bert", "tiny-distilbert", "tiny-gpt2")


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("FTBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture(params=TINY)
def start(request) -> Start:
    return make_start(find_checkpoint(f"random:{request.param}"), ("a", "b", "c"), 3)


def saved(folder: Path) -> dict[str, np.ndarray]:
    return safetensors.numpy.load_file(folder / "model.safetensors")


def test_the_start_loads_strictly_in_pytorch(start):
    pytest.importorskip("torch")
    from transformers import AutoModelForSequenceClassification

    model, report = AutoModelForSequenceClassification.from_pretrained(
        start.folder, output_loading_info=True
    )
    for key in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        assert not report[key], key
    state = {name: value.numpy() for name, value in model.state_dict().items()}
    weights = saved(start.folder)
    assert {name for name in state if not name.endswith((".attn.bias", "position_ids"))} == set(
        weights
    )
    assert all(np.array_equal(state[name], value) for name, value in weights.items())
    assert model.config.id2label == {0: "a", 1: "b", 2: "c"}
    assert model.config.num_labels == 3


def test_the_start_loads_whole_in_tensorflow(start):
    for package in ("tensorflow", "tf_keras"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed here")
    from transformers import TFAutoModelForSequenceClassification

    model, report = TFAutoModelForSequenceClassification.from_pretrained(
        start.folder, output_loading_info=True
    )
    assert not report["missing_keys"] and not report["unexpected_keys"]
    weights = saved(start.folder)
    assert sum(value.size for value in weights.values()) == model.count_params()
    head = "score.weight" if start.architecture == "gpt2" else "classifier.weight"
    found = [w.numpy() for w in model.weights if w.name.split("/")[1] == head.split(".")[0]]
    assert any(
        np.array_equal(value.T if value.shape != weights[head].shape else value, weights[head])
        for value in found
    )


def test_checkpoints_that_transformers_wrote_are_kept_whole(tmp_path, start):
    """A base model and a language model, saved by transformers itself."""
    pytest.importorskip("torch")
    import torch
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForMaskedLM

    language = AutoModelForCausalLM if start.architecture == "gpt2" else AutoModelForMaskedLM
    for kind in (AutoModel, language):
        torch.manual_seed(0)
        model = kind.from_config(AutoConfig.from_pretrained(start.folder))
        folder = tmp_path / kind.__name__
        shutil.copytree(find_checkpoint(f"random:tiny-{start.architecture}").folder, folder)
        model.save_pretrained(folder, safe_serialization=True)
        made = saved(make_start(find_checkpoint(str(folder)), ("a", "b"), 1).folder)
        state = {name: value.numpy() for name, value in model.state_dict().items()}
        base = [
            name
            for name in made
            if not name.startswith(("classifier", "score", "pre_classifier", "bert.pooler"))
        ]
        for name in base:
            short = name.split(".", 1)[1]
            assert np.array_equal(made[name], state.get(name, state.get(short))), name


# Pickles


def pickled(tmp_path: Path, content: object) -> Path:
    import torch

    folder = tmp_path / "pickled"
    shutil.copytree(find_checkpoint("random:tiny-gpt2").folder, folder)
    torch.save(content, folder / "pytorch_model.bin")
    return folder


def test_a_pickle_gives_the_same_weights_where_it_is_allowed(tmp_path):
    torch = pytest.importorskip("torch")
    start = make_start(find_checkpoint("random:tiny-gpt2"), ("a", "b"), 3)
    state = {name: torch.from_numpy(value) for name, value in saved(start.folder).items()}
    state["lm_head.weight"] = state["transformer.wte.weight"]  # tied, as GPT-2's are
    folder = pickled(tmp_path, state)
    with pytest.raises(UserError, match="--allow-pickle"):
        find_checkpoint(str(folder))
    source = find_checkpoint(str(folder), allow_pickle=True)
    made = saved(make_start(source, ("a", "b"), 4).folder)
    for name, value in saved(start.folder).items():
        assert np.array_equal(made[name], value) or name == "score.weight"
    assert not (folder / "model.safetensors").exists()


class Harmful:
    """What a pickle can do: run code when it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return (Path.touch, (self.mark,))


def test_a_harmful_pickle_runs_nothing(tmp_path):
    pytest.importorskip("torch")
    folder = pickled(tmp_path, {"weight": Harmful(tmp_path / "mark")})
    with pytest.raises(UserError, match="cannot read '.*pytorch_model.bin'"):
        find_checkpoint(str(folder), allow_pickle=True)
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("content", [b"", b"no pickle"])
def test_a_damaged_pickle_is_named(tmp_path, content):
    pytest.importorskip("torch")
    folder = pickled(tmp_path, {})
    (folder / "pytorch_model.bin").write_bytes(content)
    with pytest.raises(UserError, match="cannot read '.*pytorch_model.bin'"):
        find_checkpoint(str(folder), allow_pickle=True)
