"""A saved model, loaded as its users load it, gives the logits of the session that was scored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from frameworks import contract
from frameworks.contract import Start
from tests.frameworks.conftest import Eyes, make_examples, make_spec, new_session


def test_a_saved_model_gives_the_same_logits(backend: str, start: Start, tmp_path: Path) -> None:
    spec = make_spec(start, steps=3)
    session = new_session(backend, spec)
    session.train(Eyes())
    examples = make_examples(5, pairs=True, seed=1)
    logits = session.predict(examples, batch_size=5)
    session.save(tmp_path)
    batch = examples.collate(np.arange(5), spec.recipe)
    batch = {name: values for name, values in batch.items() if name != "labels"}
    loaded = keras_logits if backend == "keras_rnn" else transformers_logits
    assert np.allclose(loaded(tmp_path, batch), logits, atol=1e-4)


def transformers_logits(folder: Path, batch: contract.Batch) -> np.ndarray:
    torch = pytest.importorskip("torch")
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        return model(**{k: torch.tensor(v).long() for k, v in batch.items()}).logits.numpy()


def keras_logits(folder: Path, batch: contract.Batch) -> np.ndarray:
    import keras

    model = keras.saving.load_model(folder / "model.keras", compile=False)
    names = {tensor.name for tensor in model.inputs}
    return np.asarray(model({k: v for k, v in batch.items() if k in names}, training=False))
