"""One sheet of a workbook, row by row from any byte on, in constant memory. Pure.

Libraries for reading workbooks either hold a whole sheet in memory or read from its beginning: an
import goes on in the middle. The format is plain: XML in which each row stands for itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Any
from xml.parsers import expat

from devices.readings.imports.markup import DAMAGED, PORTION, local, plain, safe_parser
from devices.readings.imports.rows import Damage
from devices.readings.imports.text import UnreadableFile

LONGEST_CELL = 32_767
"""Characters of a cell, as spreadsheets have it."""
MOST_COLUMNS = 1_000
_REFERENCE = re.compile(r"([A-Z]{1,3})([0-9]+)")


@dataclass(slots=True)
class SheetRow:
    """Cells by column (0 is A); `begins` is the byte of the sheet where the row begins."""

    number: int
    begins: int
    cells: dict[int, Any] = field(default_factory=dict)


def rows_of(stream: IO[bytes], shared: Sequence[str], begins: int = 0) -> Iterator[SheetRow]:
    """The rows of a sheet from the row that begins at this byte on (0: all).

    Raises UnreadableFile when it is no sheet.
    """
    if not begins:
        yield from _Rows(shared).read(stream, b"", 0)
        return
    head = _head(stream)
    stream.seek(begins)
    yield from _Rows(shared).read(stream, head, begins)


def _head(stream: IO[bytes]) -> bytes:
    """Everything before the first row."""
    finder = _Rows(())
    head = b""
    while portion := stream.read(PORTION):
        head += portion
        finder.feed(portion)
        if finder.first is not None:
            return head[: finder.first]
    raise UnreadableFile(DAMAGED)


class _Rows:
    """The parser of a sheet."""

    def __init__(self, shared: Sequence[str]) -> None:
        self._shared = shared
        self._parser = safe_parser()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._shift = 0
        self._ready: list[SheetRow] = []
        self._row: SheetRow | None = None
        self._column, self._kind, self._text = -1, "n", ""
        self._number = 0
        self._phonetic = False
        self.first: int | None = None

    def read(self, stream: IO[bytes], head: bytes, begins: int) -> Iterator[SheetRow]:
        """Rows of the stream, as if `head` stood before it."""
        self._shift = begins - len(head)
        self.feed(head)
        while portion := stream.read(PORTION):
            self.feed(portion)
            yield from self._ready
            self._ready.clear()
        try:
            self._parser.Parse(b"", True)
        except expat.ExpatError:
            raise UnreadableFile(DAMAGED) from None

    def feed(self, portion: bytes) -> None:
        """Raises UnreadableFile."""
        try:
            self._parser.Parse(portion)
        except expat.ExpatError:
            raise UnreadableFile(DAMAGED) from None

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = local(tag)
        if name == "row":
            self._begin_row(attributes)
        elif name == "c" and self._row is not None:
            self._begin_cell(attributes)
        elif name in ("v", "t") and not self._phonetic:
            self._parser.CharacterDataHandler = self._take
        elif name == "rPh":
            self._phonetic = True

    def _begin_row(self, attributes: dict[str, str]) -> None:
        begins = self._parser.CurrentByteIndex + self._shift
        if self.first is None:
            self.first = begins
        written = attributes.get("r", "")
        self._number = int(written) if _is_count(written) else self._number + 1
        self._row = SheetRow(self._number, begins)
        self._column = -1

    def _begin_cell(self, attributes: dict[str, str]) -> None:
        found = _REFERENCE.fullmatch(attributes.get("r", ""))
        self._column = _column(found[1]) if found else self._column + 1
        self._kind, self._text = attributes.get("t", "n"), ""

    def _take(self, text: str) -> None:
        self._text += text
        if len(self._text) > 8 * LONGEST_CELL:
            raise UnreadableFile(DAMAGED)

    def _end(self, tag: str) -> None:
        name = local(tag)
        if name in ("v", "t"):
            self._parser.CharacterDataHandler = None
        elif name == "rPh":
            self._phonetic = False
        elif name == "c" and self._row is not None:
            self._end_cell(self._row)
        elif name == "row" and self._row is not None:
            if self._row.cells:
                self._ready.append(self._row)
            self._row = None

    def _end_cell(self, row: SheetRow) -> None:
        value = self._value()
        if value is None:
            return
        if self._column >= MOST_COLUMNS:
            raise UnreadableFile(
                f"The sheet has more than {MOST_COLUMNS:,} columns. Save the readings alone."
            )
        row.cells[self._column] = value

    def _value(self) -> Any:
        text, kind = self._text, self._kind
        if kind == "inlineStr":
            return plain(text)
        if not text:
            return None
        reader = _KINDS.get(kind, _number)
        if kind == "s":
            return self._shared_text(text)
        return reader(text)

    def _shared_text(self, text: str) -> str:
        if not _is_count(text) or int(text) >= len(self._shared):
            raise UnreadableFile(DAMAGED)
        return self._shared[int(text)]


def _is_count(text: str) -> bool:
    """Whether this is a number of rows or texts that a workbook can have."""
    return text.isdecimal() and len(text) < 10


def _number(text: str) -> float | int | Damage:
    try:
        return int(text) if text.removeprefix("-").isdecimal() and text != "-0" else float(text)
    except ValueError:
        return Damage(text)


_KINDS = {
    "b": lambda text: text == "1",
    "str": plain,
    "d": plain,
    "e": Damage,
    "n": _number,
}


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1
