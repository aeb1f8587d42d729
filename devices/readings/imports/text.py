"""The text of an uploaded table: its encoding, its lines and its records. Pure, constant memory.

Every record knows the byte offset behind it, so that reading can go on there after a break. A
quotation mark that is never closed costs its own line, not the rest of the file.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

LONGEST_RECORD = 32_768
"""Characters of one row, line breaks inside quotation marks included; exports' are below 4,000."""

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "windows-1252")


class UnreadableFile(Exception):
    """The file is no table that can be imported; the text says what to change."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a file writes its characters and ends its lines, and where its text begins (bytes).

    `newline` is a line feed, also where a carriage return stands before it; a carriage return
    alone ends lines only in files of old Macintoshes. In others it is part of a value.
    """

    name: str
    start: int
    newline: str = "\n"

    @property
    def errors(self) -> str:
        """Damaged bytes stay recognisable (`entries.storable`) and keep their length."""
        return "surrogatepass" if self.name.startswith("utf-16") else "surrogateescape"

    def size(self, text: str) -> int:
        """Bytes that the text takes in the file."""
        return len(text) if text.isascii() and self.name == "utf-8" else len(self._encoded(text))

    def _encoded(self, text: str) -> bytes:
        return text.encode(self.name, self.errors)


def encoding_of(raw: BinaryIO, chosen: str = "") -> Encoding:
    """The encoding that a person chose, else what the file's first bytes say, else UTF-8.

    Raises UnreadableFile for what cannot be a text table.
    """
    raw.seek(0)
    head = raw.read(4096)
    if not head.strip(b"\0 \t\r\n"):
        raise UnreadableFile("The file is empty. Export it again.")
    if head[:4] == b"PK\x03\x04":
        raise UnreadableFile(
            "This is a spreadsheet or an archive (XLSX, ODS or ZIP), not a CSV file. Best upload "
            "the CSV as it was exported; else save or unpack it as CSV first."
        )
    newline = "\r" if b"\r" in head and b"\n" not in head else "\n"
    for mark, name in _BOMS:
        if head.startswith(mark):
            return Encoding(name, len(mark), newline)
    if chosen:
        return Encoding(chosen, 0, newline)
    return Encoding(_without_mark(head), 0, newline)


def _without_mark(head: bytes) -> str:
    evens, odds = head[0::2].count(0), head[1::2].count(0)
    if max(evens, odds) > len(head) // 8:
        if min(evens, odds) > len(head) // 8:
            raise UnreadableFile("This is no text file. Upload the CSV as it was exported.")
        return "utf-16-le" if odds > evens else "utf-16-be"
    return "utf-8"


class _Borrowed(io.TextIOWrapper):
    """Text over a stream that belongs to somebody else: forgetting it must not close the file."""

    def close(self) -> None:
        """Nothing: nothing was written, and the stream is not ours."""


class Lines:
    """Physical lines from an offset on, line ends kept; lines can be handed back."""

    def __init__(self, raw: BinaryIO, encoding: Encoding, offset: int) -> None:
        raw.seek(offset)
        self._text = _Borrowed(
            raw, encoding=encoding.name, errors=encoding.errors, newline=encoding.newline
        )
        self._waiting: deque[str] = deque()

    def next(self) -> str:
        """The next line, at most `LONGEST_RECORD` characters of it; empty at the end."""
        if self._waiting:
            return self._waiting.popleft()
        try:
            return self._text.readline(LONGEST_RECORD)
        except UnicodeDecodeError:  # half a character of UTF-16 at the very end
            return ""

    def hand_back(self, lines: list[str]) -> None:
        """Have these lines read again, first of them first."""
        self._waiting.extendleft(reversed(lines))


@dataclass(frozen=True, slots=True)
class Record:
    """One row of the table. `cells` is None when it cannot be read; `raw` is its first line.

    `end` is the byte offset behind it; `whole`: its last line has a line end.
    """

    cells: list[str] | None
    raw: str
    end: int
    whole: bool = True


class _NeverClosed(Exception):
    """A record has become longer than any row: a quotation mark was not closed."""


class _Feed:
    """What csv.reader reads from: lines, remembered until their record is complete."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self.taken: list[str] = []
        self._length = 0

    def forget(self) -> None:
        self.taken, self._length = [], 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._lines.next()
        if not line:
            raise StopIteration
        self.taken.append(line)
        self._length += len(line)
        if self._length >= LONGEST_RECORD:
            raise _NeverClosed
        return line


class Records:
    """The rows of a table from an offset on. Blank lines and rows of bare delimiters are left out.

    Iterating yields `Record`s; `offset` is where the next one begins.
    """

    def __init__(self, raw: BinaryIO, encoding: Encoding, delimiter: str, offset: int) -> None:
        self._encoding = encoding
        self._lines = Lines(raw, encoding, offset)
        self._feed = _Feed(self._lines)
        self._reader = csv.reader(self._feed, delimiter=delimiter, strict=True)
        self.offset = offset
        self.blank = 0
        """Rows without any content so far."""

    def __iter__(self) -> Iterator[Record]:
        """Rows until the end of the file."""
        return self

    def __next__(self) -> Record:
        """The next row with any content."""
        while True:
            record = self._next()
            if record.cells is None or any(cell.strip() for cell in record.cells):
                return record
            self.blank += 1

    def _next(self) -> Record:
        self._feed.forget()
        try:
            cells: list[str] | None = next(self._reader)
        except (csv.Error, _NeverClosed):
            cells = None
            self._lines.hand_back(self._feed.taken[1:])
            del self._feed.taken[1:]
        self.offset += sum(map(self._encoding.size, self._feed.taken))
        first, last = self._feed.taken[0], self._feed.taken[-1]
        return Record(cells, first, self.offset, last.endswith(("\n", "\r")))
