"""Loads the tokenizer of a checkpoint, with the special tokens that its architecture needs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.harness.checkpoints.config import pad_id, read_config, read_json
from benchmarks.harness.data.readers.content import refuse_other_files
from benchmarks.harness.errors import UserError, first_line
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
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
)
_NEWLINE = "Ċ"  # how byte-level vocabularies write a line feed
_SPECIAL = {"unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "pad": "[PAD]", "mask": "[MASK]"}
# Classes whose vocabulary files are read here; tokenizer.json describes itself.
_CLASSES: dict[str, tuple[str, ...]] = {
    "vocab.txt": ("BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer"),
    "vocab.json": ("GPT2Tokenizer",),
}
# Settings of tokenizer_config.json that are not supported, with the value that is.
_ONLY = {"do_basic_tokenize": True, "add_bos_token": False, "add_eos_token": False}

Settings = Mapping[str, Any]


def tokenizer_files(folder: Path) -> list[Path]:
    """The files that hold the vocabulary. Raises UserError if there are none."""
    for names in FILE_SETS:
        if all((folder / name).is_file() for name in names):
            paths = [folder / name for name in names]
            for path in paths:
                with path.open("rb") as file:
                    refuse_other_files(file.read(200), f"tokenizer file {str(path)!r}")
            return paths
    raise UserError(
        f"checkpoint folder {str(folder)!r} has no tokenizer: copy its files there, one of "
        + ", ".join("+".join(names) for names in FILE_SETS)
    )


def tokenizer_digest(folder: Path) -> bytes:
    """sha256 of all files that affect tokenization."""
    digest = hashlib.sha256()
    for path in (folder / name for name in FILES):
        if path.is_file():
            digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.digest()


def load_tokenizer(folder: Path, architecture: Architecture, length: int) -> Tokenizer:
    """Loads a tokenizer that adds the special tokens of the architecture and truncates to `length`
    tokens, the longer text of a pair first.

    BERT, DistilBERT: [CLS] a [SEP] b [SEP]. GPT-2: the bare tokens, a pair joined by a line feed.
    Raises UserError when a file is damaged, or asks for something that is not supported.
    """
    paths = tokenizer_files(folder)
    settings = _read_settings(folder, paths[0].name)
    make = _byte_level if architecture == "gpt2" else _word_piece
    try:
        tokenizer = make(folder, paths, settings)
        if architecture != "gpt2":
            _ensure_special_tokens(tokenizer, settings)
    except UserError:
        raise
    except Exception as error:  # the library raises nothing narrower
        raise UserError(
            f"cannot read the tokenizer {str(paths[0])!r}: {first_line(error)}"
        ) from error
    tokenizer.no_padding()
    side = settings.get("truncation_side")
    if side not in (None, "left", "right"):
        raise UserError(
            f"{str(folder / 'tokenizer_config.json')!r} has truncation_side = {side!r}: it must be "
            "'left' or 'right'"
        )
    tokenizer.enable_truncation(length, strategy="longest_first", direction=side or "right")
    return tokenizer


def _read_settings(folder: Path, vocabulary: str) -> Settings:
    """tokenizer_config.json and special_tokens_map.json. Raises UserError for what they ask that
    is not supported."""
    settings: dict[str, Any] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        if (folder / name).is_file():
            content = read_json(folder / name, folder.name)
            if not isinstance(content, dict):
                raise UserError(f"{str(folder / name)!r} is not a JSON object")
            settings |= content
    where = f"{str(folder / 'tokenizer_config.json')!r}"
    kind = str(settings.get("tokenizer_class") or "").removesuffix("Fast")
    known = _CLASSES.get(vocabulary, ())
    if known and kind not in ("", "PreTrainedTokenizer", "TokenizersBackend", *known):
        raise UserError(
            f"{where} names the tokenizer class {kind!r}, whose {vocabulary} is not supported "
            f"(only {', '.join(known)}): save the tokenizer as tokenizer.json"
        )
    if known and settings.get("auto_map"):
        raise UserError(
            f"{where} names a tokenizer with code of its own (auto_map), which is never run: save the "
            "tokenizer as tokenizer.json"
        )
    for field, value in _ONLY.items():
        if settings.get(field) not in (None, value):
            raise UserError(
                f"{where} has {field} = {settings[field]!r}, which is not supported: use another "
                "checkpoint"
            )
    return settings


def _special(settings: Settings, kind: str) -> str:
    """A special token, which files write as a text or as an object with its content."""
    token = settings.get(f"{kind}_token")
    if isinstance(token, dict):
        token = token.get("content")
    return token if isinstance(token, str) else _SPECIAL[kind]


def _ensure_special_tokens(tokenizer: Tokenizer, settings: Settings) -> None:
    """Adds [CLS] and [SEP] where the tokenizer's own files do not."""
    from tokenizers import processors

    if tokenizer.num_special_tokens_to_add(False) and tokenizer.num_special_tokens_to_add(True):
        return
    cls, sep = _special(settings, "cls"), _special(settings, "sep")
    for token in (cls, sep):
        if tokenizer.token_to_id(token) is None:
            raise UserError(
                f"the tokenizer adds no special tokens and its vocabulary has no {token!r}, which "
                "BERT and DistilBERT need: use the tokenizer files that belong to the model"
            )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=[f"{cls}:0", "$A:0", f"{sep}:0"],
        pair=[f"{cls}:0", "$A:0", f"{sep}:0", "$B:1", f"{sep}:1"],
        special_tokens=[(t, tokenizer.token_to_id(t)) for t in (cls, sep)],
    )


def _word_piece(folder: Path, paths: list[Path], settings: Settings) -> Tokenizer:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    if paths[0].name == "tokenizer.json":
        tokenizer = Tokenizer.from_file(str(paths[0]))
        _override_normalizer(tokenizer, settings)
        return tokenizer
    if paths[0].name != "vocab.txt":
        raise UserError(
            f"{str(paths[0])!r} is not the vocabulary of a BERT or DistilBERT: add its vocab.txt or "
            "tokenizer.json"
        )
    unknown = _special(settings, "unk")
    tokenizer = Tokenizer(models.WordPiece.from_file(str(paths[0]), unk_token=unknown))
    if tokenizer.token_to_id(unknown) is None:
        raise UserError(
            f"{str(paths[0])!r} has no unknown token {unknown!r}: add it, or name the right one as "
            "unk_token in tokenizer_config.json"
        )
    tokenizer.normalizer = normalizers.BertNormalizer()
    _override_normalizer(tokenizer, settings)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    names = [_special(settings, kind) for kind in _SPECIAL]
    tokenizer.add_special_tokens([t for t in names if tokenizer.token_to_id(t) is not None])
    _add_tokens(tokenizer, folder, settings)
    return tokenizer


# Settings of tokenizer_config.json, and what BertNormalizer calls them.
_NORMALIZER = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}


def _override_normalizer(tokenizer: Tokenizer, settings: Settings) -> None:
    """What tokenizer_config.json says about letters counts, as in transformers, also where
    tokenizer.json says something else."""
    from tokenizers import normalizers

    # Not by to_str, which writes to the terminal about a vocabulary that has a word twice.
    current = tokenizer.normalizer
    state = {} if current is None else json.loads(current.__getstate__())
    if state.pop("type", None) != "BertNormalizer":
        return
    for setting, name in _NORMALIZER.items():
        value = settings.get(setting)
        if value is not None and not isinstance(value, bool):
            raise UserError(
                f"tokenizer_config.json has {setting} = {value!r}: it must be true, false or null"
            )
        if value is not None:
            state[name] = value
    tokenizer.normalizer = normalizers.BertNormalizer(**state)


def _add_tokens(tokenizer: Tokenizer, folder: Path, settings: Settings) -> None:
    """Tokens that were added to a vocabulary later, from added_tokens.json or from
    tokenizer_config.json, under the same ids."""
    added: dict[str, int] = {}
    path = folder / "added_tokens.json"
    if path.is_file():
        content = read_json(path, folder.name)
        if not isinstance(content, dict):
            raise UserError(f"{str(path)!r} is not a JSON object of tokens and their ids")
        added |= {str(token): int(i) for token, i in content.items()}
    decoder = settings.get("added_tokens_decoder")
    if isinstance(decoder, dict):
        added |= {str(token["content"]): int(i) for i, token in decoder.items()}
    for token, number in sorted(added.items(), key=lambda item: item[1]):
        tokenizer.add_tokens([token])
        if tokenizer.token_to_id(token) != number:
            raise UserError(
                f"the added token {token!r} of {str(folder)!r} has the id {number}, but the "
                f"vocabulary gives it {tokenizer.token_to_id(token)}: use the vocabulary that "
                "belongs to the model"
            )


def _byte_level(folder: Path, paths: list[Path], settings: Settings) -> Tokenizer:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    if paths[0].name == "tokenizer.json":
        description = json.loads(paths[0].read_text("utf-8"))
        # A text that contains the padding token literally is split into characters: the model
        # reads the last token before the padding.
        padding = pad_id("gpt2", read_config(folder, folder.name), folder.name)
        added = description.get("added_tokens") or []
        description["added_tokens"] = [token for token in added if token["id"] != padding]
        tokenizer = Tokenizer.from_str(json.dumps(description))
    elif len(paths) == 2 and paths[0].name == "vocab.json":
        tokenizer = Tokenizer(models.BPE.from_file(str(paths[0]), str(paths[1])))
        spaced = bool(settings.get("add_prefix_space"))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=spaced)
        _add_tokens(tokenizer, folder, {})
    else:
        raise UserError(f"{str(paths[0])!r} is not a byte-level vocabulary")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A",
        pair=f"$A {_NEWLINE} $B:1",
        special_tokens=[(_NEWLINE, tokenizer.token_to_id(_NEWLINE))],
    )
    return tokenizer
