"""The formats: each turns a table into bytes, a portion at a time, in constant memory."""

# ruff: noqa: S608 - DuckDB's COPY takes no parameters; what is put in is quoted

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from devices.readings.export.table import Kind, Table
from devices.readings.export.workbook import workbook
from devices.readings.formulas import marked
from devices.readings.parquet import literal, struct

PORTION = 1 << 16
_ROWS_AT_ONCE = 500
_DUCKDB_TYPES = {
    Kind.TIME: "TIMESTAMP WITH TIME ZONE",
    Kind.NUMBER: "DOUBLE",
    Kind.WHOLE: "BIGINT",
    Kind.FLAG: "BOOLEAN",
    Kind.TEXT: "VARCHAR",
}


@dataclass(frozen=True, slots=True)
class Format:
    """How a table becomes a file."""

    name: str
    title: str
    suffix: str
    content_type: str
    write: Callable[[Table], Iterator[bytes]]


def _csv(table: Table) -> Iterator[bytes]:
    """RFC 4180, UTF-8, times with their offset; a missing value is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(column.title for column in table.columns)
    for number, row in enumerate(table.rows, start=1):
        writer.writerow(map(_cell, row))
        if number % _ROWS_AT_ONCE == 0:
            yield _taken(text)
    yield _taken(text)


def _cell(value: Any) -> Any:
    """Text that a spreadsheet would take for a formula is kept from being one."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bool):
        return "true" if value else "false"
    return marked(value) if isinstance(value, str) else value


def _taken(text: io.StringIO) -> bytes:
    content = text.getvalue().encode()
    text.seek(0)
    text.truncate()
    return content


def _json_lines(table: Table) -> Iterator[bytes]:
    """One object a row; the first says what the columns are. Missing values are left out."""
    described = [
        {"name": one.name, "title": one.title, "unit": one.unit, "kind": one.kind}
        for one in table.columns
    ]
    yield _line({**table.facts, "columns": described})
    yield from _rows_as_lines(table)


def _rows_as_lines(table: Table) -> Iterator[bytes]:
    names = [column.name for column in table.columns]
    lines = []
    for row in table.rows:
        pairs = zip(names, row, strict=True)
        lines.append(_line({name: value for name, value in pairs if value is not None}))
        if len(lines) == _ROWS_AT_ONCE:
            yield b"".join(lines)
            lines.clear()
    yield b"".join(lines)


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, default=datetime.isoformat).encode() + b"\n"


def _xlsx(table: Table) -> Iterator[bytes]:
    """A workbook: what it is, and readings."""
    with tempfile.TemporaryDirectory(prefix="export-") as folder:
        file = Path(folder) / "readings.xlsx"
        workbook(table, file)
        yield from _portions(file)


def _parquet(table: Table) -> Iterator[bytes]:
    """Typed columns, compressed; units and facts in the file's own metadata."""
    with tempfile.TemporaryDirectory(prefix="export-") as folder:
        staged, file = Path(folder) / "rows.json", Path(folder) / "rows.parquet"
        with staged.open("wb") as lines:
            lines.writelines(_rows_as_lines(table))
        facts = dict(table.facts) | {f"unit:{c.name}": c.unit for c in table.columns if c.unit}
        types = {column.name: _DUCKDB_TYPES[column.kind] for column in table.columns}
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(
                f"COPY (SELECT * FROM read_json({literal(str(staged))}, "
                f"format = 'newline_delimited', columns = {struct(types)})) "
                f"TO {literal(str(file))} (FORMAT parquet, COMPRESSION zstd, "
                f"KV_METADATA {struct(facts)})"
            )
        yield from _portions(file)


def _portions(file: Path) -> Iterator[bytes]:
    with file.open("rb") as content:
        while portion := content.read(PORTION):
            yield portion


FORMATS = {
    one.name: one
    for one in (
        Format("csv", "CSV", "csv", "text/csv; charset=utf-8", _csv),
        Format(
            "xlsx",
            "Excel",
            "xlsx",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            _xlsx,
        ),
        Format("jsonl", "JSON lines", "jsonl", "application/x-ndjson", _json_lines),
        Format("parquet", "Parquet", "parquet", "application/vnd.apache.parquet", _parquet),
    )
}
