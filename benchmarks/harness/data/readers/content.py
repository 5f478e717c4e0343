"""The bytes and the text of a data file: compression, encoding, and what is not data at all."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path

from benchmarks.harness.errors import UserError

LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_GZIP = b"\x1f\x8b"
# What other files begin with, and what to do about them.
_OTHER_FILES = {
    b"PK\x03\x04": "a zip archive or an Excel workbook: unpack it, or save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook: save the sheet as CSV",
    b"BZh": "compressed with bzip2: decompress it",
    b"\xfd7zXZ": "compressed with xz: decompress it",
    b"\x28\xb5\x2f\xfd": "compressed with zstd: decompress it",
    b"%PDF": "a PDF: export the table as CSV",
}
_HTML = re.compile(rb"\s*<(!doctype html|html)\b", re.IGNORECASE)
# The same for data files only: weights and vocabularies may begin like these.
_OTHER_DATA = {
    b"ARROW1": "an Arrow file: save it as parquet or CSV",
    b"\x80\x04": "a Python pickle: save it as parquet or CSV",
    _GZIP: "compressed with gzip twice: decompress it once",
}
_TAR = (257, b"ustar")  # where a tar archive says that it is one
_MARKUP = re.compile(rb"(\xef\xbb\xbf)?\s*<([a-z]|!doctype|!--|\?xml)", re.IGNORECASE)
_UTF_16_OR_32 = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}


def read_content(path: Path) -> bytes:
    """The bytes of a file, decompressed if it is gzip, whatever its name says."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"data file {str(path)!r} does not exist: check the path") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(
            f"cannot read data file {str(path)!r} ({reason}): check its path and permissions"
        ) from None
    if content.startswith(_GZIP):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise UserError(
                f"data file {str(path)!r} is a damaged gzip file ({error}): copy it again"
            ) from None
    _refuse_other_data(content, f"data file {str(path)!r}")
    return content


def _refuse_other_data(content: bytes, what: str) -> None:
    refuse_other_files(content, what)
    for start, kind in _OTHER_DATA.items():
        if content.startswith(start):
            raise UserError(f"{what} is {kind}")
    place, mark = _TAR
    if content[place : place + len(mark)] == mark:
        raise UserError(f"{what} is a tar archive: unpack it")
    if _MARKUP.match(content[:200]):
        raise UserError(f"{what} is a web page or XML, not data: download the file itself")


def refuse_other_files(content: bytes, what: str) -> None:
    """Raises UserError for a Git LFS pointer, an archive, a web page, or nothing."""
    if content.startswith(LFS_POINTER):
        raise UserError(f"{what} is a Git LFS pointer, not the file itself: run `git lfs pull`")
    for start, kind in _OTHER_FILES.items():
        if content.startswith(start):
            raise UserError(f"{what} is {kind}")
    if _HTML.match(content[:200]):
        raise UserError(f"{what} is a web page, not data: download the file itself")


def decode(content: bytes, where: str) -> str:
    """Text of a UTF-8 file, with or without a byte order mark."""
    for mark, name in _UTF_16_OR_32.items():
        if content.startswith(mark):
            raise _not_utf_8(where, f"it begins with the byte order mark of {name}", name)
    if b"\x00" in content:
        line = content[: content.index(b"\x00")].count(b"\n") + 1
        if content.count(b"\x00") > len(content) / 4:
            order = "BE" if content[:1] == b"\x00" else "LE"
            raise _not_utf_8(where, "it looks like UTF-16", f"UTF-16{order}")
        raise UserError(
            f"{where} is not a text file: it has a NUL byte on line {line}: save it as UTF-8 text"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        found = f"byte 0x{content[error.start]:02x} on line {line}"
        raise _not_utf_8(where, found, None) from None


def _not_utf_8(where: str, reason: str, encoding: str | None) -> UserError:
    choice = "" if encoding else ", with the encoding that it was saved in (often WINDOWS-1252)"
    return UserError(
        f"{where} is not UTF-8 ({reason}): save it as UTF-8, for example with "
        f"`iconv -f {encoding or 'ENCODING'} -t UTF-8`{choice}"
    )
