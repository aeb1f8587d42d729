"""A table as a workbook: a sheet that says what it is, and sheets of rows, in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import xlsxwriter
from xlsxwriter.exceptions import FileCreateError
from xlsxwriter.worksheet import Worksheet

from devices.readings.export.table import Column, Table

SHEET_ROWS = 1_048_576
"""Rows that a spreadsheet's sheet can have; what is more goes to the next sheet."""
ABOUT, OFFSET = "About", "UTC offset"


def workbook(table: Table, file: Path) -> None:
    """Write it. Spreadsheets know no zones: beside each local time stands its offset.

    Raises OSError when it cannot be written.
    """
    options = {"constant_memory": True, "tmpdir": str(file.parent)}
    book = xlsxwriter.Workbook(file, options)
    try:
        with book:
            _fill(book, table)
    except FileCreateError as error:
        _let_go(book)
        # The library hides what the system said, which callers of every format wait for.
        (said,) = error.args
        raise said from error


def _let_go(book: Any) -> None:
    """Close the files of rows, which the library leaves open when it fails."""
    for sheet in book.worksheets():
        with suppress(OSError):  # what is still to be written finds no room either
            sheet.row_data_fh.close()


def _fill(book: Any, table: Table) -> None:
    about = book.add_worksheet(ABOUT)
    about.set_column(0, 1, 28)
    for place, (name, value) in enumerate(table.facts.items()):
        about.write_string(place, 0, name)
        about.write_string(place, 1, value)
    _Sheets(book, table.columns).fill(table)


class _Exact(float):
    """A number that is written with all its digits: the library's sixteen are one too few."""

    def __format__(self, form: str) -> str:
        return repr(float(self)).removesuffix(".0").upper()


class _Sheet(Worksheet):  # type: ignore[misc]  # untyped library
    """A sheet without formatted texts: what looks like one is an ordinary text."""

    def _xml_rich_inline_string(self, string: str, attributes: Any = ()) -> None:
        self._xml_inline_string(string, True, attributes)


class _Sheets:
    """The sheets of rows, one after the other."""

    def __init__(self, book: Any, columns: Sequence[Column]) -> None:
        self._book, self._columns = book, columns
        self._moment = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        self._head = book.add_format({"bold": True})
        self._writers: dict[type, Callable[[Any, int, int, Any], Any]] = {
            bool: lambda sheet, line, place, value: sheet.write_boolean(line, place, value),
            str: lambda sheet, line, place, value: sheet.write_string(line, place, value),
            int: lambda sheet, line, place, value: sheet.write_number(line, place, _Exact(value)),
            float: lambda sheet, line, place, value: sheet.write_number(line, place, _Exact(value)),
            datetime: self._write_time,
        }

    def fill(self, table: Table) -> None:
        """All rows of the table."""
        number, line = 1, 1
        sheet = self._sheet(number)
        for at, *cells in table.rows:
            if line == SHEET_ROWS:
                number, line = number + 1, 1
                sheet = self._sheet(number)
            for place, value in enumerate((at, _offset(at), *cells)):
                if value is not None:
                    self._writers[type(value)](sheet, line, place, value)
            line += 1

    def _sheet(self, number: int) -> Any:
        name = "Readings" if number == 1 else f"Readings {number}"
        sheet = self._book.add_worksheet(name, worksheet_class=_Sheet)
        titles = [one.title for one in self._columns]
        titles.insert(1, OFFSET)
        sheet.freeze_panes(1, 1)
        sheet.set_column(0, 0, 20)
        sheet.set_column(1, 1, 10)
        sheet.set_column(2, len(titles), 18)
        for place, title in enumerate(titles):
            sheet.write_string(0, place, title, self._head)
        return sheet

    def _write_time(self, sheet: Any, line: int, place: int, value: datetime) -> None:
        sheet.write_datetime(line, place, value.replace(tzinfo=None), self._moment)


def _offset(at: datetime) -> str:
    digits = f"{at:%z}"
    return f"{digits[:3]}:{digits[3:]}"
