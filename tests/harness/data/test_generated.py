"""The generated texts: short cuts go only so far, a reader of the rule is right wherever the text
decides, and the same seed gives the same texts everywhere."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict

import numpy as np
import pytest

from benchmarks.harness.data import generated
from benchmarks.harness.data.generated import pair_texts, review_texts


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


UNDECIDED_FORMS = [  # a good and a bad opinion side by side
    r"^the \w+ was (?P<one>[\w ]+) and the \w+ was (?P<other>[\w ]+), so i cannot decide$",
    r"^i found it (?P<one>[\w ]+) and (?P<other>[\w ]+) at the same time$",
    r"^some called it (?P<one>[\w ]+), others called it (?P<other>[\w ]+), and all of them were",
]


def sentences(text: str) -> list[str]:
    return re.split(r"\.(?:\s|<br /><br />|$)", text.lower())


def is_good(opinion: str) -> bool:
    *negations, word = opinion.split()
    return (word in review_texts.GOOD) != bool(negations)


def read_review(text: str) -> int | None:
    """The rule: the verdict counts, and a negation reverses it. None where both opinions stand side
    by side."""
    judged: set[int | None] = set()
    for sentence in sentences(text):
        for form in UNDECIDED_FORMS:
            if found := re.search(form, sentence):
                assert is_good(found["one"]) != is_good(found["other"]), sentence
                judged.add(None)
                break
        else:
            for form in VERDICT_FORMS:
                if found := re.search(form, sentence):
                    judged.add(int(is_good(found["kept"])))
                    break
    assert len(judged) == 1, text  # all verdicts of a review agree
    return judged.pop()


def first_opinion_is_good(text: str) -> bool:
    found = (re.search(form, sentences(text)[0]) for form in UNDECIDED_FORMS)
    return is_good(next(match["one"] for match in found if match))


def test_reviews_follow_the_rule():
    texts, labels = generated.reviews(640, 7, "train")
    read = [read_review(text) for text in texts]
    decided = [
        (found, label) for found, label in zip(read, labels, strict=True) if found is not None
    ]
    assert all(found == label for found, label in decided)
    assert len(decided) == 640 * 7 / 8
    assert Counter(labels.tolist()) == {0: 320, 1: 320}


def test_nothing_in_an_undecided_review_tells_its_label():
    texts, labels = generated.reviews(16000, 7, "train")
    undecided = [i for i, text in enumerate(texts) if read_review(text) is None]
    assert len(undecided) == 2000 and labels[undecided].sum() == 1000
    agree = [first_opinion_is_good(texts[i]) == bool(labels[i]) for i in undecided]
    assert np.mean(agree) == pytest.approx(0.5, abs=0.05)


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
    real = lengths / review_texts.LENGTH_SCALE
    for share, characters in ((0.25, 702), (0.5, 979), (0.75, 1614)):
        assert np.quantile(real, share) == pytest.approx(characters, rel=0.15)
    assert real.mean() == pytest.approx(1325, rel=0.1)
    assert real.std() == pytest.approx(1003, rel=0.15)


# Pairs


def read_pair(first: str, second: str) -> int | None:
    """The rule: the first text says it, does not mention it, or says its opposite. None where the
    first text is vague."""
    if any(vague in first for vague in pair_texts.VAGUE):
        return None
    if any(beside in second for beside in pair_texts.BESIDE):
        return 1
    said = set(words(first))
    (stated,) = [word for _, words_ in pair_texts.FACTS for word in words_ if word in words(second)]
    (opposite,) = [
        word
        for _, words_ in pair_texts.FACTS
        for word in words_
        if stated in words_ and word != stated
    ]
    if "not" in words(second):
        stated, opposite = opposite, stated
    somebody = {"somebody", "person"} & set(words(second))
    assert somebody or second.split()[0] in first  # both are about the same person
    return 0 if stated in said else 2 if opposite in said else 1


def gives_itself_away(second: str) -> bool:
    return bool({"somebody", "person", "not"} & set(words(second))) or any(
        beside in second for beside in pair_texts.BESIDE
    )


@pytest.mark.parametrize("matched", [True, False])
def test_pairs_follow_the_rule(matched):
    first, second, labels = generated.pairs(720, 7, "x", matched=matched)
    read = [read_pair(a, b) for a, b in zip(first, second, strict=True)]
    decided = [
        (found, label) for found, label in zip(read, labels, strict=True) if found is not None
    ]
    assert all(found == label for found, label in decided)
    assert len(decided) == 720 * 7 / 8
    assert Counter(labels.tolist()) == {0: 240, 1: 240, 2: 240}


def test_nothing_in_an_undecided_pair_tells_its_label():
    first, second, labels = generated.pairs(9 * 8 * 200, 7, "x")
    undecided = [i for i, text in enumerate(first) if read_pair(text, second[i]) is None]
    clear = [re.sub(f"({'|'.join(pair_texts.VAGUE)}) ", "", first[i]) for i in undecided]
    read = np.array([read_pair(a, second[i]) for a, i in zip(clear, undecided, strict=True)])
    assert len(undecided) == 9 * 200
    for label in range(3):
        found = Counter(labels[undecided][read == label].tolist())
        assert all(count == pytest.approx(200, abs=60) for count in found.values()), found


@pytest.mark.parametrize("matched", [True, False])
def test_every_text_of_a_pair_stands_equally_often_under_every_label(matched):
    """So whatever a reader of the first text answers, it is right exactly once in three, and so is
    a reader of the second text where that does not give itself away."""
    *sides, labels = generated.pairs(9 * 200, 7, "x", matched=matched)
    for texts, left_out in zip(sides, (lambda text: False, gives_itself_away), strict=True):
        counts: dict[str, Counter[int]] = defaultdict(Counter)
        for text, label in zip(texts, labels.tolist(), strict=True):
            if not left_out(text):
                counts[text][label] += 1
        assert all(len(set(found[label] for label in range(3))) == 1 for found in counts.values())
    crossed = [not gives_itself_away(text) for text in sides[1]]
    assert 0.6 < np.mean(crossed) < 0.7


def test_a_reader_of_the_first_text_of_a_pair_learns_nothing():
    train = generated.pairs(900, 7, "train")
    test = generated.pairs(900, 7, "matched")
    accuracy = reader_accuracy(bigrams, train[0], train[2], test[0], test[2])
    assert accuracy == pytest.approx(1 / 3, abs=1e-9)


def test_a_reader_of_the_second_text_of_a_pair_is_much_worse_than_the_rule():
    train = generated.pairs(1800, 7, "train")
    test = generated.pairs(1800, 7, "matched")
    accuracy = reader_accuracy(bigrams, train[1], train[2], test[1], test[2])
    assert 0.5 < accuracy < 0.6


def test_a_reader_of_the_second_text_learns_nothing_where_it_does_not_give_itself_away():
    sets = [generated.pairs(1800, 7, name) for name in ("train", "matched")]
    crossed = [
        [
            (text, label)
            for text, label in zip(second, labels, strict=True)
            if not gives_itself_away(text)
        ]
        for _, second, labels in sets
    ]
    (train, train_labels), (test, test_labels) = (zip(*rows, strict=True) for rows in crossed)
    accuracy = reader_accuracy(bigrams, train, np.array(train_labels), test, np.array(test_labels))
    assert accuracy == pytest.approx(1 / 3, abs=1e-9)


# Both


def test_the_manner_of_the_mismatched_set_is_another():
    matched, mismatched = (generated.pairs(90, 7, "x", matched=m)[0] for m in (True, False))
    openings = [
        {" ".join(re.sub("|".join(pair_texts.NAMES), "N", text).split()[:2]) for text in texts}
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
    assert digest.hexdigest() == "46ca12da4dd6ffc9ad697db3031201c88b6d51966e24c2529c39d7f7ec9ecf67"
