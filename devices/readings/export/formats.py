"""The formats: each turns a table into bytes, a portion at a time, in constant memory."""

# ruff: noqa: S608 - DuckDB's COPY takes no parameters; what is put in is quoted

from __future__ import annotations

import csv
import io
import json
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import xlsxwriter

from devices.readings.export.table import Kind, Table

PORTION = 1 << 16
SHEET_ROWS = 1_048_576
"""Rows that a spreadsheet's sheet can have; what is more goes to the next sheet."""
_ROWS_AT_ONCE = 500
_FORMULA = re.compile(r"[=@\t\r]|[+-][^0-9]")
_DUCKDB_TYPES = {
    Kind.TIME: "TIMESTAMP WITH TIME ZONE",
    Kind.NUMBER: "DOUBLE",
    Kind.WHOLE: "BIGINT",
    Kind.FLAG: "BOOLEAN",
    Kind.TEXT: "VARCHAR",
}


class FormatUnavailable(Exception):
    """This installation cannot write the format; the message says what to install."""


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
    if isinstance(value, str) and _FORMULA.match(value):
        return "'" + value
    return value


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
    """A workbook: readings, and what they are. Times without offset: spreadsheets know none."""
    with tempfile.TemporaryDirectory(prefix="export-") as folder:
        file = Path(folder) / "readings.xlsx"
        options = {"constant_memory": True, "tmpdir": folder, "strings_to_formulas": False}
        with xlsxwriter.Workbook(file, options) as book:
            moment = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
            head = book.add_format({"bold": True})
            about = book.add_worksheet("About")
            about.set_column(0, 1, 28)
            for place, (name, value) in enumerate(table.facts.items()):
                about.write_string(place, 0, name)
                about.write_string(place, 1, value)
            _sheets(book, table, head, moment)
        yield from _portions(file)


def _sheets(book: Any, table: Table, head: Any, moment: Any) -> None:
    number, line = 1, 1
    sheet = _sheet(book, table.columns, head, number)
    for row in table.rows:
        if line == SHEET_ROWS:
            number, line = number + 1, 1
            sheet = _sheet(book, table.columns, head, number)
        for place, value in enumerate(row):
            if isinstance(value, datetime):
                sheet.write_datetime(line, place, value.replace(tzinfo=None), moment)
            elif value is not None:
                sheet.write(line, place, value)
        line += 1


def _sheet(book: Any, columns: Any, head: Any, number: int) -> Any:
    sheet = book.add_worksheet("Readings" if number == 1 else f"Readings {number}")
    sheet.freeze_panes(1, 1)
    sheet.set_column(0, 0, 20)
    sheet.set_column(1, max(len(columns) - 1, 1), 18)
    for place, column in enumerate(columns):
        sheet.write_string(0, place, column.title, head)
    return sheet


def _parquet(table: Table) -> Iterator[bytes]:
    """Typed columns, compressed; units and facts in the file's own metadata."""
    duckdb = _duckdb()
    with tempfile.TemporaryDirectory(prefix="export-") as folder:
        staged, file = Path(folder) / "rows.json", Path(folder) / "rows.parquet"
        with staged.open("wb") as lines:
            lines.writelines(_rows_as_lines(table))
        facts = dict(table.facts) | {f"unit:{c.name}": c.unit for c in table.columns if c.unit}
        types = {column.name: _DUCKDB_TYPES[column.kind] for column in table.columns}
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(
                f"COPY (SELECT * FROM read_json({_literal(str(staged))}, "
                f"format = 'newline_delimited', columns = {_struct(types)})) "
                f"TO {_literal(str(file))} (FORMAT parquet, COMPRESSION zstd, "
                f"KV_METADATA {_struct(facts)})"
            )
        yield from _portions(file)


def _duckdb() -> ModuleType:
    """DuckDB, which not every installation has. Raises FormatUnavailable."""
    try:
        return import_module("duckdb")
    except ImportError as error:
        raise FormatUnavailable(
            "Parquet is written with DuckDB, which is not installed here. Install it into the "
            "site's environment (pip install duckdb), or choose another format."
        ) from error


def _literal(text: str) -> str:
    """Text as DuckDB writes it: its COPY takes no parameters."""
    return "'" + text.replace("'", "''") + "'"


def _struct(pairs: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{_literal(k)}: {_literal(v)}" for k, v in pairs.items()) + "}"


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
