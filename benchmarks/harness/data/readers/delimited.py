"""CSV and TSV: every value stays as written."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence

from benchmarks.harness.data.readers.content import decode
from benchmarks.harness.data.readers.rows import Rows, first_few, require_columns, visible
from benchmarks.harness.errors import UserError

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_EXCEL_LINE = re.compile(
    r'sep=([^\s"\\]|\t)\r?\n', re.IGNORECASE
)  # Excel's own way to name a separator

Records = list[tuple[int, list[str]]]  # the line on which a record begins, and its fields


def read_csv(content: bytes, where: str, columns: Sequence[str]) -> Rows:
    return _read(content, where, columns, tuple(SEPARATORS))


def read_tsv(content: bytes, where: str, columns: Sequence[str]) -> Rows:
    return _read(content, where, columns, ("\t", ",", ";", "|"))


def _read(content: bytes, where: str, columns: Sequence[str], separators: Sequence[str]) -> Rows:
    text = decode(content, where)
    if not visible(text):
        raise UserError(f"{where} is empty: its first line must name the columns")
    excel = _EXCEL_LINE.match(text)
    if excel:
        text, separators = "\n" + text[excel.end() :], (excel[1],)
    separator = _find_separator(text, columns, separators)
    notes: list[str] = []
    if separator != ",":
        notes.append(f"fields are separated by {SEPARATORS.get(separator, repr(separator))}")
    records = (
        _literal(text, where, notes) if separator == "\t" else _records(text, separator, where)
    )
    header = records[0][1]
    if not set(columns) <= set(header) and set(columns) <= set(_names(text, separator)):
        records = _records(text, separator, where, skip_spaces=True)
        header = _names(text, separator)
        notes.append("spaces around the names of columns and after separators are left out")
    _check_columns(text, columns, header, where)
    header, rows, dropped = _without_empty_ends(header, records[1:])
    if dropped:
        notes.append(f"empty fields at the end of {dropped:,} rows are left out")
    _check_widths(header, rows, where)
    notes += _line_notes(text, records, where)
    at = {name: header.index(name) for name in columns}
    return Rows(
        {name: [fields[i] for _, fields in rows] for name, i in at.items()},
        where,
        lines=[line for line, _ in rows],
        notes=tuple(notes),
    )


def _check_columns(text: str, columns: Sequence[str], header: Sequence[str], where: str) -> None:
    if not set(columns) <= set(header):
        for mark, kind in (("PAR1", "parquet"), ("{", "JSON"), ("[", "JSON")):
            if text.startswith(mark):
                raise UserError(
                    f"{where} is not CSV or TSV but looks like {kind}: rename it to .{kind.lower()}"
                )
    require_columns(columns, header, where, "the first line must name the columns")


def _literal(text: str, where: str, notes: list[str]) -> Records:
    """The records of a file with tabs. Many of these do not quote: a quotation mark is then part of
    the text."""
    try:
        records = _records(text, "\t", where)
        if not _spans_lines(records):
            return records
    except UserError:
        pass
    plain = _unquoted(text)
    if len({len(fields) for _, fields in plain}) == 1:
        notes.append("quotation marks are read as part of the text")
        return plain
    return _records(text, "\t", where)


def _names(text: str, separator: str) -> list[str]:
    """The names in the first line, without the spaces and invisible characters around them."""
    header = next(line for line in io.StringIO(text, newline="") if line.strip())
    try:
        fields = next(csv.reader([header], delimiter=separator, skipinitialspace=True))
    except csv.Error:
        fields = [header]
    return [visible(name) for name in fields]


def _without_empty_ends(header: list[str], rows: Records) -> tuple[list[str], Records, int]:
    """Separators at the end of lines, as spreadsheets write them, make fields that hold nothing."""
    width = len(header)
    while width > 1 and not header[width - 1]:
        width -= 1
    if any("".join(fields[width:]).strip() for _, fields in rows):
        return header, rows, 0
    long = sum(len(fields) > width for _, fields in rows)
    return header[:width], [(line, fields[:width]) for line, fields in rows], long


def _find_separator(text: str, columns: Sequence[str], separators: Sequence[str]) -> str:
    """The separator under which the first line has the wanted columns, else the one under which
    it has most."""
    header = next(line for line in io.StringIO(text, newline="") if line.strip())
    headers = {}
    for separator in separators:
        try:
            headers[separator] = next(csv.reader([header], delimiter=separator))
        except csv.Error:
            headers[separator] = [header]
    fitting = [s for s in separators if set(columns) <= set(headers[s])] or [
        s for s in separators if set(columns) <= set(_names(text, s))
    ]
    return max(fitting or separators, key=lambda s: len(headers[s]))


def _records(text: str, separator: str, where: str, *, skip_spaces: bool = False) -> Records:
    csv.field_size_limit(max(len(text), 2**17))
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=separator,
        strict=True,
        skipinitialspace=skip_spaces,
    )
    found: Records = []
    begins = 1
    try:
        for fields in reader:
            if fields:  # a blank line has none
                found.append((begins, fields))
            begins = reader.line_num + 1
    except csv.Error as error:
        if "unexpected end" in str(error):
            reason = "has a quotation mark that is never closed"
        else:
            reason = "has a character between a closing quotation mark and the next separator"
        raise UserError(
            f"{where}: the row that begins on line {begins} {reason}: put the field in quotation "
            'marks and double those inside it ("")'
        ) from None
    return found


def _unquoted(text: str) -> Records:
    lines = enumerate(io.StringIO(text, newline=None), 1)
    return [(i, line.rstrip("\n").split("\t")) for i, line in lines if line.strip("\n")]


def _spans_lines(records: Records) -> bool:
    return any("\n" in field or "\r" in field for _, fields in records for field in fields)


def _check_widths(header: Sequence[str], rows: Records, where: str) -> None:
    wrong = [(line, len(fields)) for line, fields in rows if len(fields) != len(header)]
    if wrong:
        shown = first_few([f"line {line} has {count}" for line, count in wrong])
        many = f"{len(wrong):,} rows do" if len(wrong) > 1 else "1 row does"
        raise UserError(
            f"{where}: the first line has {len(header)} fields, but {many} not ({shown}): put fields that "
            "contain the separator in quotation marks, and complete or remove the other rows"
        )


def _line_notes(text: str, records: Records, where: str) -> list[str]:
    """What of the file is not one row on one line."""
    notes = []
    long = [
        (line, line + sum(len(field.splitlines()) - 1 for field in fields if field))
        for line, fields in records
        if any("\n" in field or "\r" in field for field in fields)
    ]
    if long:
        first, last = long[0]
        are = "rows run" if len(long) > 1 else "row runs"
        notes.append(
            f"{len(long):,} {are} over several lines, the first from line {first} to {last}: "
            "check its quotation marks if that is not meant"
        )
    blank = sum(not line.strip("\r\n") for line in io.StringIO(text.rstrip("\r\n"), newline=""))
    if blank and not long:
        notes.append(f"{blank:,} blank line{'s' * (blank > 1)} skipped")
    return notes
