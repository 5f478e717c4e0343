"""PyTorch and TensorFlow do the same work: every bound here is one that a deliberate fault
breaks."""

from __future__ import annotations

import numpy as np
import pytest

from frameworks.contract import Start
from tests.frameworks.conftest import Eyes, make_examples, make_work, needed, new_session

ARCHITECTURES = ("bert", "distilbert", "gpt2")


@pytest.mark.parametrize("accumulation", [1, 2])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_thirty_steps_agree(
    starts: dict[str, Start], architecture: str, accumulation: int
) -> None:
    """fp32, dropout off, warm-up and decay, clipping at work in a part of the steps, partial
    batches at every epoch's end."""
    for name in ("hf_torch", "hf_tf"):
        needed(name)
    fields = {"steps": 30, "accumulation": accumulation, "learning_rate": 3e-4,
              "weight_decay": 0.1, "warmup_share": 0.2, "padding": "longest"}
    limit = clipping_limit(starts[architecture], fields)
    work = make_work(
        starts[architecture], hash_batches=True, max_gradient_norm=limit, **fields
    )
    torch, tensorflow = (new_session(name, work) for name in ("hf_torch", "hf_tf"))
    examples = make_examples(12, pairs=architecture == "bert", seed=9)
    assert logits_differ(torch, tensorflow, examples) < 1e-5
    for session in (torch, tensorflow):
        session.train(Eyes())
    ours, theirs = torch.curve(), tensorflow.curve()
    assert 0 < sum(norm > limit for norm in ours.gradient_norm) < 30
    assert ours.batch_digests == theirs.batch_digests
    np.testing.assert_allclose(ours.loss, theirs.loss, atol=1e-5)
    np.testing.assert_allclose(ours.gradient_norm, theirs.gradient_norm, rtol=1e-4)
    np.testing.assert_allclose(ours.learning_rate, theirs.learning_rate, rtol=1e-6)
    first, second = torch.weights(), tensorflow.weights()
    assert set(first) == set(second)
    for name, values in first.items():
        assert values.shape == second[name].shape, name
        one, other = (without_key_bias(name, weights[name]) for weights in (first, second))
        assert np.linalg.norm(one - other) <= 1e-4 * np.linalg.norm(one) + 1e-7, name
    assert logits_differ(torch, tensorflow, examples) < 1e-3


def without_key_bias(name: str, values: np.ndarray) -> np.ndarray:
    """Softmax is blind to a key's bias, so its gradient is nothing but rounding, which Adam then
    scales up to full steps: it tells nothing about the work."""
    if name.endswith(("key.bias", "k_lin.bias")):
        return np.zeros(0)
    if name.endswith("c_attn.bias"):  # query, key and value in one
        query, _, value = np.split(values, 3)
        return np.concatenate([query, value])
    return values


def clipping_limit(start: Start, fields: dict[str, object]) -> float:
    """The median gradient norm of the same steps without clipping."""
    session = new_session("hf_torch", make_work(start, max_gradient_norm=0.0, **fields))
    session.train(Eyes())
    return float(np.median(session.curve().gradient_norm))


def logits_differ(one: object, other: object, examples: object) -> float:
    logits = [session.predict(examples, batch_size=5) for session in (one, other)]
    return float(np.abs(logits[0] - logits[1]).max())
