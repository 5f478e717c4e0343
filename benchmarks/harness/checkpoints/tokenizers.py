"""Loads the tokenizer of a checkpoint, with the special tokens that its architecture needs."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.harness.errors import UserError
from frameworks.contract import Architecture

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# The first of these sets that is complete in a folder is its tokenizer.
FILE_SETS = (("tokenizer.json",), ("vocab.txt",), ("vocab.json", "merges.txt"))
# All files that affect or describe tokenization.
FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
)
_NEWLINE = "Ċ"  # how byte-level vocabularies write a line feed


def tokenizer_files(folder: Path) -> list[Path]:
    """The files that determine the tokens. Raises UserError if there are none."""
    for names in FILE_SETS:
        if all((folder / name).is_file() for name in names):
            config = folder / "tokenizer_config.json"
            used = [folder / name for name in names]
            return [*used, config] if names == ("vocab.txt",) and config.is_file() else used
    raise UserError(
        f"checkpoint folder {str(folder)!r} has no tokenizer: none of "
        + ", ".join("+".join(names) for names in FILE_SETS)
    )


def tokenizer_digest(folder: Path) -> bytes:
    digest = hashlib.sha256()
    for path in tokenizer_files(folder):
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.digest()


def load_tokenizer(folder: Path, architecture: Architecture, length: int) -> Tokenizer:
    """Loads a tokenizer that adds the special tokens of the architecture and truncates to `length`
    tokens, the longer text of a pair first.

    BERT, DistilBERT: [CLS] a [SEP] b [SEP]. GPT-2: the bare tokens, a pair joined by a line feed.
    Raises UserError when a file is damaged.
    """
    paths = tokenizer_files(folder)
    make = _byte_level if architecture == "gpt2" else _word_piece
    try:
        tokenizer = make(paths)
    except UserError:
        raise
    except Exception as error:  # the library raises nothing narrower
        raise UserError(f"cannot read the tokenizer {str(paths[0])!r}: {error}") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(length, strategy="longest_first")
    return tokenizer


def _word_piece(paths: list[Path]) -> Tokenizer:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    if paths[0].name == "tokenizer.json":
        return Tokenizer.from_file(str(paths[0]))
    if paths[0].name != "vocab.txt":
        raise UserError(f"{str(paths[0])!r} is not a WordPiece vocabulary")
    config = json.loads(paths[1].read_text("utf-8")) if len(paths) > 1 else {}
    tokenizer = Tokenizer(models.WordPiece.from_file(str(paths[0]), unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(
        lowercase=config.get("do_lower_case", True),
        strip_accents=config.get("strip_accents"),
        handle_chinese_chars=config.get("tokenize_chinese_chars", True),
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(t, tokenizer.token_to_id(t)) for t in ("[CLS]", "[SEP]")],
    )
    return tokenizer


def _byte_level(paths: list[Path]) -> Tokenizer:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    if paths[0].name == "tokenizer.json":
        description = json.loads(paths[0].read_text("utf-8"))
        # A text that contains the end-of-text token literally is split into characters: the model
        # reads the last token before the padding, and the padding is that same token.
        description["added_tokens"] = []
        tokenizer = Tokenizer.from_str(json.dumps(description))
    elif len(paths) == 2 and paths[0].name == "vocab.json":
        tokenizer = Tokenizer(models.BPE.from_file(str(paths[0]), str(paths[1])))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    else:
        raise UserError(f"{str(paths[0])!r} is not a byte-level vocabulary")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A",
        pair=f"$A {_NEWLINE} $B:1",
        special_tokens=[(_NEWLINE, tokenizer.token_to_id(_NEWLINE))],
    )
    return tokenizer
