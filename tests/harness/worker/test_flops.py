import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.harness.worker import flops

BERT_BASE = {
    "model_type": "bert",
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
}
TINY_BERT = {"model_type": "bert", "hidden_size": 4, "intermediate_size": 8, "num_hidden_layers": 2}


def test_bert_base_has_its_published_number_of_weights():
    # 109,482,240 of bert-base-uncased with its pooler, less 23,837,184 of the embeddings and
    # less the LayerNorms of 12 layers (2 x 2 x 768 each).
    shape = flops.shape(BERT_BASE, label_count=2)
    pooler = 768 * 768 + 768
    assert shape.body_weights + pooler == 109_482_240 - 23_837_184 - 12 * 2 * 2 * 768


def test_distilbert_is_half_of_bert():
    config = {"model_type": "distilbert", "dim": 768, "hidden_dim": 3072, "n_layers": 6}
    distilled, full = flops.shape(config, 2), flops.shape(BERT_BASE, 2)
    assert 2 * distilled.body_weights == full.body_weights
    assert distilled.head_weights == full.head_weights


def test_gpt2_has_its_published_number_of_weights():
    # 124,439,808 of gpt2, less its embeddings (50,257 + 1,024 rows of 768), less 25 LayerNorms.
    config = {"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_inner": None}
    shape = flops.shape(config, label_count=3)
    assert shape.body_weights == 124_439_808 - (50_257 + 1_024) * 768 - 25 * 2 * 768
    assert shape.head_weights == 3 * 768


def test_a_tiny_bert_by_hand():
    # A layer: 4 matrices of 4 x 4 with 4 biases, 4 x 8 and 8 x 4 with 8 + 4 biases: 156.
    # The head: 4 x 4 + 4 of the pooler, 4 x 3 + 3 of the classifier: 35, once in 10 tokens.
    # Attention: 12 x 2 layers x 4 hidden x 10 tokens.
    assert flops.transformer(TINY_BERT, length=10, label_count=3) == pytest.approx(
        6 * (2 * 156 + 35 / 10) + 12 * 2 * 4 * 10
    )


def test_minilm_at_128_tokens():
    config = {
        "model_type": "bert",
        "hidden_size": 384,
        "intermediate_size": 1536,
        "num_hidden_layers": 6,
    }
    per_token = flops.transformer(config, length=128, label_count=2)
    assert per_token == pytest.approx(6 * 10_636_416 + 12 * 6 * 384 * 128, rel=1e-3)


@given(st.integers(1, 2048))
def test_longer_sequences_never_need_less_in_all(length):
    one = flops.transformer(TINY_BERT, length, 2) * length
    assert flops.transformer(TINY_BERT, length + 1, 2) * (length + 1) > one


def test_lstm_by_hand():
    # Four gates of 3 x 2 inputs, 2 x 2 recurrent weights and 2 biases: 48 one way.
    assert flops.lstm_weights(3, 2) == 48
    assert flops.lstm_weights(3, 2, bidirectional=True) == 96
    assert flops.recurrent(96) == 576


def test_unknown_architecture_is_an_error():
    with pytest.raises(ValueError, match="'t5'"):
        flops.transformer({"model_type": "t5"}, 8, 2)
