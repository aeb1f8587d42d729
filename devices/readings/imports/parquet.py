"""Parquet as the export writes it, read with DuckDB a few thousand rows at a time."""

# ruff: noqa: S608 - DuckDB names columns in its SQL; what is put in is quoted

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from shutil import copyfileobj
from typing import Any, BinaryIO

import duckdb

from devices.readings.imports.rows import Content, Heading, Line, Place
from devices.readings.imports.text import UnreadableFile
from devices.readings.instants import EPOCH
from devices.readings.parquet import literal

AT_ONCE = 5_000
"""Rows in memory."""
_MEMORY = "256MB"


class Parquet(Content):
    """A file of typed columns; units and facts stand in its own metadata."""

    unit = "rows"

    def __init__(self, raw: BinaryIO) -> None:
        """Read what the file says of itself. Raises UnreadableFile."""
        with ExitStack() as opened:
            # DuckDB reads files, not streams.
            folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="import-"))
            self._file = Path(folder) / "readings.parquet"
            with self._file.open("wb") as copy:
                raw.seek(0)
                copyfileobj(raw, copy)
            self._connection = opened.enter_context(self._connected())
            self._describe()
            self._opened = opened.pop_all()

    def _describe(self) -> None:
        types = {name: kind for name, kind, *_ in self._asked(f"DESCRIBE SELECT * FROM {_FILE}")}
        ((self.total,),) = self._asked(f"SELECT count(*) FROM {_FILE}")
        facts = dict(
            self._asked("SELECT decode(key), decode(value) FROM parquet_kv_metadata($file)")
        )
        self._columns = ", ".join(_selected(name, kind) for name, kind in types.items())
        self._times = [kind.startswith("TIMESTAMP WITH") for kind in types.values()]
        self.heading = Heading(
            "parquet",
            list(types),
            [facts.get(f"unit:{name}", "") for name in types],
            {name: one for name, one in facts.items() if not name.startswith("unit:")},
        )

    def close(self) -> None:
        """Close the database and delete the copy."""
        self._opened.close()

    def lines(self, place: Place) -> Iterator[Line]:
        """Places are (rows before it)."""
        (number,) = place or (0,)
        while number < self.total:
            rows = self._asked(
                f"SELECT {self._columns} FROM read_parquet($file, file_row_number = true) "
                "WHERE file_row_number >= $since AND file_row_number < $until "
                "ORDER BY file_row_number",
                since=number,
                until=number + AT_ONCE,
            )
            for row in rows:
                number += 1
                yield Line(f"row {number:,}", self._cells(row), (number,), number)

    def _cells(self, row: tuple[Any, ...]) -> list[Any]:
        return [
            EPOCH + timedelta(microseconds=cell) if is_time and cell is not None else cell
            for cell, is_time in zip(row, self._times, strict=True)
        ]

    def _connected(self) -> duckdb.DuckDBPyConnection:
        """A database in memory that may read this one file and nothing else."""
        connection = duckdb.connect(config={"threads": 1, "memory_limit": _MEMORY})
        connection.execute(f"SET allowed_paths = [{literal(str(self._file))}]")
        connection.execute("SET enable_external_access = false")
        return connection

    def _asked(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """All rows of an answer. Raises UnreadableFile."""
        try:
            answer = self._connection.execute(sql, {"file": str(self._file), **parameters})
            rows: list[tuple[Any, ...]] = answer.fetchall()
        except duckdb.Error as error:
            raise UnreadableFile(
                "The Parquet file is damaged, or of a kind that DuckDB does not read. Export it "
                "again."
            ) from error
        return rows


_FILE = "read_parquet($file)"


def _selected(name: str, kind: str) -> str:
    """A column for a SELECT: instants as microseconds, whatever zone DuckDB thinks of."""
    quoted = '"' + name.replace('"', '""') + '"'
    if kind.startswith("TIMESTAMP WITH"):
        return f"epoch_us({quoted})"
    return f"CAST({quoted} AS VARCHAR)" if kind.startswith("TIMESTAMP") else quoted
