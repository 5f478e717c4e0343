"""Every setting of a training is read back from the framework's own objects: what is changed behind
the recipe's back is found, and named with both values."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from benchmarks.harness.worker.in_force import differences
from benchmarks.harness.worker.training import Checked, RecipeOverridden
from frameworks.contract import Session, Start
from tests.frameworks.conftest import Eyes, make_spec, needed, new_session

STEPS = 2  # of the four that the schedule has
FIELDS = {"steps": 4, "learning_rate": 1e-3, "padding": "longest", "record": False}


@pytest.fixture(scope="module")
def sessions(start: Start) -> Callable[[str], Session]:
    """One trained session of every backend; a test puts back what it changes."""
    made: dict[str, Session] = {}

    def session(backend: str) -> Session:
        if backend not in made:
            made[backend] = new_session(backend, make_spec(start, accumulation=2, **FIELDS))
            made[backend].train(Eyes(stop_after=STEPS))
        return made[backend]

    return session


def found(session: Session, steps: int = STEPS) -> str:
    return "; ".join(differences(session.spec, session.effective(), steps))


def test_a_clean_training_has_no_difference(
    backend: str, sessions: Callable[[str], Session]
) -> None:
    session = sessions(backend)
    assert found(session) == ""
    in_force = session.effective().in_force
    assert in_force is not None and len(in_force.batches) == 2 * STEPS
    assert {group.weight_decay > 0 for group in in_force.groups} == {True, False}
    assert in_force.dropout and in_force.max_gradient_norm == 1.0


def inner(session: Session) -> object:
    return getattr(session.optimizer, "inner_optimizer", session.optimizer)


@pytest.fixture
def change(monkeypatch: pytest.MonkeyPatch) -> Callable[[Session, str], None]:
    """Changes one setting of a session, until the test ends."""

    def in_torch(session: Session, what: str) -> None:
        import torch

        first, second = session.optimizer.param_groups
        named = dict(session.model.named_parameters())
        if what in ("eps", "lr", "weight_decay"):
            monkeypatch.setitem(first, what, {"eps": 1e-7, "lr": 0.5, "weight_decay": 0.0}[what])
        elif what == "decay everywhere":
            monkeypatch.setitem(second, "weight_decay", 0.01)
        elif what == "dropout":
            monkeypatch.setattr(session.model.dropout, "p", 0.25)
        elif what == "frozen":
            monkeypatch.setattr(named["classifier.weight"], "requires_grad", False)
        elif what == "half weights":
            weight = named["classifier.weight"]
            monkeypatch.setattr(weight, "data", weight.data.half())
        else:
            other = torch.optim.SGD(session.model.parameters(), lr=1e-3)
            monkeypatch.setattr(session.trainer, "optimizer", other)

    def in_tensorflow(session: Session, what: str) -> None:
        optimizer, model = inner(session), session.model
        layers = [layer for layer in model._flatten_layers() if hasattr(layer, "rate")]
        if what == "eps":
            monkeypatch.setattr(optimizer, "epsilon", 1e-7)
        elif what == "lr":
            monkeypatch.setattr(type(optimizer._learning_rate), "__call__", lambda self, step: 0.5)
        elif what == "weight_decay":
            monkeypatch.setattr(optimizer, "weight_decay", None)
        elif what == "decay everywhere":  # what was excluded after the optimizer was built
            monkeypatch.setattr(optimizer, "_exclude_from_weight_decay", [])
            monkeypatch.setattr(optimizer, "_exclude_from_weight_decay_cache", {}, raising=False)
        elif what == "dropout":
            monkeypatch.setattr(layers[-1], "rate", 0.25)
        elif what == "frozen":
            monkeypatch.setattr(model.layers[-1], "trainable", False)
        else:
            other = type(optimizer).__mro__[3].__subclasses__()[0]
            monkeypatch.setattr(model, "optimizer", other.__new__(other))

    def changed(session: Session, what: str) -> None:
        (in_torch if hasattr(session, "trainer") else in_tensorflow)(session, what)

    return changed


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("eps", "epsilon = 1e-08, but the optimizer has 1e-07"),
        ("lr", "learning_rate = 0.001, but step 3 has 0.5"),
        ("weight_decay", "weight_decay = 0.01, but"),
        ("decay everywhere", "weight_decay on biases and LayerNorm = 0.0, but"),
        ("dropout", "dropout = 0.0, but the rate of layer"),
        ("frozen", "trains all weights, but"),
        ("half weights", "but they are in float16, float32"),
        ("another optimizer", 'optimizer = "adamw", but the training runs'),
    ],
)
def test_what_is_changed_behind_the_recipe_is_found(
    backend: str,
    what: str,
    line: str,
    sessions: Callable[[str], Session],
    change: Callable[[Session, str], None],
) -> None:
    if backend != "hf_torch" and what in ("half weights", "another optimizer"):
        pytest.skip("in Keras the type of a variable and a compiled model's optimizer are fixed")
    session = sessions(backend)
    change(session, what)
    assert line in found(session)


def test_batches_of_another_size_fail_the_job_after_the_first_step(
    backend: str, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a loader that halves the batch when memory runs out: the model sees other batches than
    the recipe says."""
    from frameworks.contract import Feed

    session = new_session(backend, make_spec(start, **FIELDS))
    halved = session.spec.recipe.model_copy(update={"batch_size": 2})
    monkeypatch.setattr(
        Feed,
        "endless",
        lambda self, done=0: dataclasses.replace(self, recipe=halved).epoch(0),
    )
    if backend == "hf_torch":
        from frameworks.hf_torch import data, train

        batches = data.training_batches
        monkeypatch.setattr(
            train.data,
            "training_batches",
            lambda feed, epoch: batches(dataclasses.replace(feed, recipe=halved), epoch),
        )
    eyes = Eyes()
    with pytest.raises(RecipeOverridden, match="batch_size = 4, but batch 1 had 2 rows, not 4"):
        session.train(Checked(eyes, session))
    assert eyes.steps == []


@pytest.mark.once
def test_the_check_is_no_part_of_the_first_steps_time(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    session = new_session("hf_torch", make_spec(start, **FIELDS))
    effective = session.effective
    monkeypatch.setattr(session, "effective", lambda: [time.sleep(0.3), effective()][1])
    eyes = Eyes(stop_after=1)
    began = time.perf_counter()
    session.train(Checked(eyes, session))
    assert eyes.first_seconds[1] >= 0.3
    assert sum(eyes.first_seconds) < time.perf_counter() - began


def in_checkpoint(start: Start, folder: Path, half: bool = False, **config: object) -> Start:
    """The start with further settings in its config.json, as checkpoints carry them along."""
    shutil.copytree(start.folder, folder)
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | config))
    if half:
        weights = load_file(folder / "model.safetensors")
        halves = {name: values.astype("float16") for name, values in weights.items()}
        save_file(halves, folder / "model.safetensors", metadata={"format": "pt"})
    return dataclasses.replace(start, folder=folder)


@pytest.mark.parametrize(
    ("config", "fields"),
    [
        ({"gradient_checkpointing": True}, {}),
        ({"gradient_checkpointing": False, "use_cache": True}, {"gradient_checkpointing": True}),
        ({"torch_dtype": "float16", "half": True}, {}),
        ({"attn_implementation": "eager"}, {"attention": "sdpa"}),
        ({"_attn_implementation": "sdpa"}, {"attention": "eager"}),
        ({"hidden_dropout_prob": 0.3, "classifier_dropout": 0.2}, {"dropout": None}),
        ({"hidden_dropout_prob": 0.3, "classifier_dropout": 0.2}, {"dropout": 0.1}),
        ({"problem_type": "multi_label_classification"}, {}),
    ],
    ids=str,
)
def test_settings_that_a_checkpoint_carries_do_not_override_the_recipe(
    start: Start, tmp_path: Path, config: dict[str, object], fields: dict[str, object]
) -> None:
    needed("hf_torch")
    session = new_session(
        "hf_torch", make_spec(in_checkpoint(start, tmp_path / "x", **config), **FIELDS | fields)
    )
    session.train_bare(Eyes(stop_after=1))
    assert found(session, 1) == ""


def test_an_attention_that_falls_back_is_seen_in_what_was_computed(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed("hf_torch")
    import torch

    def written_out(query, key, value, attn_mask=None, **_):
        scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        if attn_mask is not None:
            away = attn_mask if attn_mask.dtype != torch.bool else ~attn_mask * -1e9
            scores = scores + away
        return scores.softmax(-1) @ value

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", written_out)
    session = new_session("hf_torch", make_spec(start, attention="sdpa", **FIELDS))
    session.train_bare(Eyes(stop_after=1))
    assert session.effective().attention == "eager"
    assert "attention = \"sdpa\", but the model ran 'eager'" in found(session, 1)
