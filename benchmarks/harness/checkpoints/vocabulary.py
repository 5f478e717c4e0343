"""A small built-in vocabulary, so that random weights need no download.

It has every printable ASCII character and the words of the generated texts, and is always the
same. It is for speed and memory only: other texts are split into single characters.
"""

from __future__ import annotations

import json
import re
import string
from pathlib import Path

from benchmarks.harness.data import generated
from frameworks.contract import Architecture

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_SAMPLE = 600  # generated texts that contain all words of the generator
_SPACE = "Ġ"  # how byte-level vocabularies write a space


def write_vocabulary(folder: Path, architecture: Architecture) -> None:
    """WordPiece (vocab.txt) for BERT and DistilBERT, byte-level BPE (vocab.json and merges.txt)
    for GPT-2."""
    if architecture == "gpt2":
        tokens, merges = _byte_level()
        ids = {token: i for i, token in enumerate(tokens)}
        (folder / "vocab.json").write_text(json.dumps(ids, ensure_ascii=False), "utf-8")
        (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]), "utf-8")
    else:
        (folder / "vocab.txt").write_text("\n".join([*_word_pieces(), ""]), "utf-8")
        (folder / "tokenizer_config.json").write_text('{"do_lower_case": true}\n', "utf-8")


def _words() -> list[str]:
    first, second, _ = generated.pairs(_SAMPLE, 0, "vocabulary")
    texts = generated.reviews(_SAMPLE, 0, "vocabulary")[0] + first + second
    return sorted(set(re.findall(r"[A-Za-z]+", " ".join(texts))))


def _word_pieces() -> list[str]:
    characters = string.digits + string.ascii_lowercase + string.punctuation
    words = sorted({word.lower() for word in _words() if len(word) > 1})
    return [*SPECIAL, *characters, *(f"##{c}" for c in characters), *words]


def _byte_level() -> tuple[list[str], list[str]]:
    tokens, merges = _byte_characters(), []
    known = set(tokens)
    for word in _words():
        # A word after a space grows from the left, one letter a merge.
        prefix = _SPACE
        for letter in word:
            if prefix + letter not in known:
                known.add(prefix + letter)
                tokens.append(prefix + letter)
                merges.append(f"{prefix} {letter}")
            prefix += letter
    return tokens, merges


def _byte_characters() -> list[str]:
    """The character that byte-level vocabularies write for each of the 256 bytes: its own where
    it is printable in Latin-1, else the next free one from 256 on."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]
