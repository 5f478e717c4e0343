"""Parquet files."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.harness.data.readers.rows import Rows, require_columns
from benchmarks.harness.errors import UserError, first_line


def read_parquet(content: bytes, where: str, columns: Sequence[str]) -> Rows:
    import pyarrow  # slow to import, and needed only here
    import pyarrow.parquet

    if not content:
        raise UserError(f"{where} is empty: copy it again")
    if not content.startswith(b"PAR1"):
        raise UserError(
            f"{where} is not a parquet file: rename it to the type that it has, such as .csv"
        )
    try:
        with pyarrow.parquet.ParquetFile(pyarrow.BufferReader(content)) as file:
            require_columns(columns, file.schema_arrow.names, where)
            table = file.read(columns=list(columns))
        return Rows(table.to_pydict(), where)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise UserError(
            f"cannot read {where} as parquet ({first_line(error)}): copy it again"
        ) from None
