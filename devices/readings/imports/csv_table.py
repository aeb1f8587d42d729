"""CSV as the export writes it, and as spreadsheets save it again."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from devices.readings.formulas import unmarked
from devices.readings.imports.rows import Content, Heading, Line, Place, titled
from devices.readings.imports.text import (
    Encoding,
    Lines,
    Record,
    Records,
    UnreadableFile,
    encoding_of,
)

_DELIMITERS = ",;\t"


class CsvTable(Content):
    """A text table with a first line of titles."""

    unit = "bytes"

    def __init__(self, raw: BinaryIO, encoding: str = "") -> None:
        """Read the first line, in the encoding that was chosen, if any. Raises UnreadableFile."""
        self._raw = raw
        self.total = raw.seek(0, 2)
        self._encoding = encoding_of(raw, encoding)
        self._delimiter = _delimiter(raw, self._encoding)
        records = Records(raw, self._encoding, self._delimiter, self._encoding.start)
        try:
            head = next(records)
        except StopIteration:
            raise UnreadableFile("The file holds no rows. Export it again.") from None
        if head.cells is None:
            raise UnreadableFile(
                "The first line with the titles cannot be read: its quotation marks do not match. "
                "Export the file again."
            )
        while head.cells and not head.cells[-1].strip():
            head.cells.pop()
        self._begins = records.offset
        names = titled(head.cells)
        self.heading = Heading("csv", names, [None] * len(names))

    def lines(self, place: Place) -> Iterator[Line]:
        """Places are (offset, rows before it)."""
        offset, number = place or (self._begins, 1)
        records = Records(self._raw, self._encoding, self._delimiter, offset)
        blank = 0
        for record in records:
            number += 1 + records.blank - blank
            blank = records.blank
            yield self._line(record, number)

    def _line(self, record: Record, number: int) -> Line:
        where, place = f"row {number:,}", (record.end, number)
        width = len(self.heading.names)
        cells = record.cells
        if cells is None or any(cell.strip() for cell in cells[width:]):
            return Line(where, None, place, record.end, record.raw, "no_row")
        if not record.whole and len(cells) < width:
            return Line(where, None, place, record.end, record.raw, "cut_off")
        return Line(where, _fitted(cells, width), place, record.end, record.raw)


def _fitted(cells: Sequence[str], width: int) -> list[Any]:
    values: list[Any] = [unmarked(cell) if cell else None for cell in cells[:width]]
    return values + [None] * (width - len(values))


def _delimiter(raw: BinaryIO, encoding: Encoding) -> str:
    """What separates most titles of the first line that is not blank."""
    lines = Lines(raw, encoding, encoding.start)
    while line := lines.next():
        if line.strip():
            return max(_DELIMITERS, key=lambda mark: _width(line, mark))
    raise UnreadableFile("The file is empty. Export it again.")


def _width(line: str, mark: str) -> int:
    """How many titles a line has; none where it cannot be read."""
    try:
        return len(next(csv.reader([line], delimiter=mark)))
    except csv.Error:
        return 0
