"""The generated texts: no short cut works, a reader of the rule is always right, and the same
seed gives the same texts everywhere."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict

import numpy as np
import pytest

from benchmarks.harness.data import generated


def words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


def bigrams(text: str) -> list[str]:
    found = ["^", *words(text), "$"]
    return found + [f"{a} {b}" for a, b in zip(found, found[1:], strict=False)]


def reader_accuracy(features, train, train_labels, test, test_labels) -> float:
    """Accuracy of a softmax regression on feature counts, trained by gradient descent."""
    index = {name: i for i, name in enumerate(sorted({f for t in train for f in features(t)}))}

    def matrix(texts: list[str]) -> np.ndarray:
        counts = np.zeros((len(texts), len(index) + 1))
        counts[:, -1] = 1
        for row, text in enumerate(texts):
            for name in features(text):
                if name in index:
                    counts[row, index[name]] += 1
        return counts

    x, classes = matrix(train), int(train_labels.max()) + 1
    scale = np.maximum(x.std(axis=0), 0.05)
    scale[-1] = 1
    targets, weights = np.eye(classes)[train_labels], np.zeros((x.shape[1], classes))
    for _ in range(300):
        scores = (x / scale) @ weights
        chances = np.exp(scores - scores.max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)
        gradient = (x / scale).T @ (chances - targets) / len(x) + 1e-3 * weights
        weights -= 0.2 * gradient
    guesses = ((matrix(test) / scale) @ weights).argmax(axis=1)
    return float((guesses == test_labels).mean())


def test_the_regression_finds_what_is_there_to_be_found():
    """Otherwise its failure on the generated texts would say nothing."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 600)
    texts = [f"a {('red', 'green', 'blue')[label]} thing" for label in labels]
    assert reader_accuracy(words, texts[:300], labels[:300], texts[300:], labels[300:]) == 1


# Reviews

VERDICT_FORMS = [  # what is held in the end, in each form of verdict
    r"\bthe \w+ was (?P<lost>[\w ]+), but the \w+ was (?P<kept>[\w ]+) and that decides it",
    r"\balthough the \w+ was (?P<lost>[\w ]+), the \w+ was (?P<kept>[\w ]+) and that decides it",
    r"is that the \w+ was (?P<kept>[\w ]+), even though the \w+ was (?P<lost>[\w ]+)",
    r"critics called it (?P<lost>[\w ]+), but i found it (?P<kept>[\w ]+)",
    r"i found it (?P<kept>[\w ]+), whatever critics called (?P<lost>[\w ]+)",
    r"my friends said it was (?P<lost>[\w ]+), yet for me it was (?P<kept>[\w ]+)",
    r"for me it was (?P<kept>[\w ]+), while my friends said it was (?P<lost>[\w ]+)",
    r"^the \w+ was (?P<kept>[\w ]+)$",
    r"^i found it (?P<kept>[\w ]+)$",
    r"^all in all it was (?P<kept>[\w ]+)$",
]


def read_review(text: str) -> int:
    """The rule: what is held in the end counts, and a negation turns it round."""
    judged = set()
    for sentence in re.split(r"\.(?:\s|<br /><br />|$)", text.lower()):
        for form in VERDICT_FORMS:
            found = re.search(form, sentence)
            if found:
                *negations, word = found["kept"].split()
                judged.add(int((word in generated.GOOD) != bool(negations)))
                break
    assert len(judged) == 1, text  # all verdicts of a review agree
    return judged.pop()


def test_reviews_follow_the_rule():
    texts, labels = generated.reviews(600, 7, "train")
    assert [read_review(text) for text in texts] == labels.tolist()
    assert Counter(labels.tolist()) == {0: 300, 1: 300}


def test_a_bag_of_words_judges_reviews_much_worse_than_the_rule():
    train, train_labels = generated.reviews(1600, 7, "train")
    test, test_labels = generated.reviews(800, 7, "test")
    accuracy = reader_accuracy(words, train, train_labels, test, test_labels)
    assert accuracy < 0.75


def test_no_single_word_predicts_the_label():
    texts, labels = generated.reviews(4000, 7, "train")
    by_word: dict[str, list[int]] = defaultdict(list)
    for text, label in zip(texts, labels, strict=True):
        for word in set(words(text)):
            by_word[word].append(int(label))
    shares = {word: np.mean(found) for word, found in by_word.items() if len(found) >= 100}
    assert len(shares) > 50
    assert max(abs(share - 0.5) for share in shares.values()) < 0.25


def test_most_twins_have_the_same_words():
    texts, labels = generated.reviews(2000, 7, "train")
    assert all(a != b for a, b in zip(labels[::2], labels[1::2], strict=True))
    same = [
        Counter(words(a)) == Counter(words(b)) for a, b in zip(texts[::2], texts[1::2], strict=True)
    ]
    assert 0.55 < np.mean(same) < 0.65


def test_review_lengths_follow_the_real_ones():
    lengths = np.array([len(text) for text in generated.reviews(4000, 7, "train")[0]])
    real = lengths / generated.LENGTH_SCALE
    for share, characters in ((0.25, 702), (0.5, 979), (0.75, 1614)):
        assert np.quantile(real, share) == pytest.approx(characters, rel=0.15)
    assert real.mean() == pytest.approx(1325, rel=0.1)
    assert real.std() == pytest.approx(1003, rel=0.15)


# Pairs


def read_pair(first: str, second: str) -> int:
    """The rule: the first text says it, leaves it open, or says its opposite."""
    said = set(words(first))
    (told,) = [word for _, words_ in generated.FACTS for word in words_ if word in words(second)]
    (opposite,) = [
        word for _, words_ in generated.FACTS for word in words_ if told in words_ and word != told
    ]
    assert second.split()[0] in first  # both are about the same person
    return 0 if told in said else 2 if opposite in said else 1


@pytest.mark.parametrize("matched", [True, False])
def test_pairs_follow_the_rule(matched):
    first, second, labels = generated.pairs(900, 7, "x", matched=matched)
    assert [read_pair(a, b) for a, b in zip(first, second, strict=True)] == labels.tolist()
    assert Counter(labels.tolist()) == {0: 300, 1: 300, 2: 300}


@pytest.mark.parametrize("matched", [True, False])
def test_every_text_of_a_pair_stands_equally_often_under_every_label(matched):
    """So whatever a reader of one text answers, it is right exactly once in three."""
    *sides, labels = generated.pairs(9 * 200, 7, "x", matched=matched)
    for texts in sides:
        counts: dict[str, Counter[int]] = defaultdict(Counter)
        for text, label in zip(texts, labels.tolist(), strict=True):
            counts[text][label] += 1
        assert all(len(set(found[label] for label in range(3))) == 1 for found in counts.values())


@pytest.mark.parametrize("side", [0, 1])
def test_readers_of_one_text_of_a_pair_learn_nothing(side):
    train = generated.pairs(900, 7, "train")
    test = generated.pairs(900, 7, "matched")
    accuracy = reader_accuracy(bigrams, train[side], train[2], test[side], test[2])
    assert accuracy == pytest.approx(1 / 3, abs=1e-9)


# Both


def test_the_manner_of_the_mismatched_set_is_another():
    matched, mismatched = (generated.pairs(90, 7, "x", matched=m)[0] for m in (True, False))
    openings = [
        {" ".join(re.sub("|".join(generated.NAMES), "N", text).split()[:2]) for text in texts}
        for texts in (matched, mismatched)
    ]
    assert not openings[0] & openings[1]


@pytest.mark.parametrize("count", [1, 2, 10, 50])
def test_fewer_examples_are_the_first_of_more(count):
    assert generated.reviews(count, 3, "a")[0] == generated.reviews(60, 3, "a")[0][:count]
    assert generated.pairs(count, 3, "a")[1] == generated.pairs(60, 3, "a")[1][:count]


def test_seeds_and_streams_give_other_texts():
    base = set(generated.reviews(200, 3, "train")[0])
    assert len(base & set(generated.reviews(200, 4, "train")[0])) < 10
    assert len(base & set(generated.reviews(200, 3, "test")[0])) < 10


def test_texts_of_a_seed_are_fixed():
    """Committed figures name texts by seed: a change here makes them others' figures."""
    texts, labels = generated.reviews(200, 42, "train")
    first, second, pair_labels = generated.pairs(200, 42, "train")
    digest = hashlib.sha256("\n".join([*texts, *first, *second]).encode())
    digest.update(labels.tobytes() + pair_labels.tobytes())
    assert digest.hexdigest() == "98e0b617223a0a1107ec5b77c612caad6e3117733dd70a015250339e17444994"
