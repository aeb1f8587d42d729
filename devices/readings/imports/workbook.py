"""A workbook as the export writes it, and as spreadsheets save it again."""

from __future__ import annotations

import posixpath
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO
from xml.parsers import expat

from devices.readings.export.workbook import ABOUT
from devices.readings.imports.markup import DAMAGED, elements, shared_texts
from devices.readings.imports.rows import Content, Heading, Line, Place, titled
from devices.readings.imports.sheet import SheetRow, rows_of
from devices.readings.imports.text import UnreadableFile

LARGEST_SHEET = 4 * 2**30
"""Bytes of a sheet, unpacked."""
LARGEST_PART = 64 * 2**20
"""Bytes of what is held in memory: names of the sheets, texts that cells share."""
_MOST_ABOUT = 100


class Workbook(Content):
    """Sheets of rows under one heading; a sheet «About» says what they are."""

    unit = "bytes"

    def __init__(self, raw: BinaryIO) -> None:
        """Read the heading. Raises UnreadableFile."""
        with _whole():
            self._book = zipfile.ZipFile(raw)
            sheets = self._sheets()
            self._shared = self._shared_texts()
            about = sheets.pop(ABOUT, None)
            facts = {} if about is None else self._facts(about)
            self._names = list(sheets)
            self._parts = list(sheets.values())
            self.total = sum(self._book.getinfo(part).file_size for part in self._parts)
            heads = [self._head(part) for part in self._parts]
        titles = self._same(heads)
        self.heading = Heading("xlsx", titles, [None] * len(titles), facts)

    def lines(self, place: Place) -> Iterator[Line]:
        """Places are (sheet, byte where the last row begins)."""
        first, begins = place or (0, 0)
        for sheet in range(first, len(self._parts)):
            with _whole(), self._book.open(self._parts[sheet]) as stream:
                rows = rows_of(stream, self._shared, begins)
                next(rows, None)  # the titles, or the row that was read last
                for row in rows:
                    yield self._line(sheet, row)
            begins = 0

    def _line(self, sheet: int, row: SheetRow) -> Line:
        where = f"row {row.number:,}"
        if len(self._names) > 1:
            where = f"sheet {self._names[sheet]}, {where}"
        width = len(self.heading.names)
        place = (sheet, row.begins)
        before = sum(self._book.getinfo(part).file_size for part in self._parts[:sheet])
        done = before + row.begins
        if any(column >= width for column in row.cells):
            return Line(where, None, place, done, _shown(row), "no_row")
        return Line(where, [row.cells.get(column) for column in range(width)], place, done)

    def _head(self, part: str) -> list[str]:
        """The titles of a sheet; none in an empty one."""
        with self._book.open(part) as stream:
            row = next(rows_of(stream, self._shared), None)
        if row is None:
            return []
        return titled([str(row.cells.get(place, "")) for place in range(max(row.cells) + 1)])

    def _same(self, heads: list[list[str]]) -> list[str]:
        """The titles that all sheets with rows share. Raises UnreadableFile."""
        full = [place for place, head in enumerate(heads) if head]
        if not full:
            raise UnreadableFile("The workbook holds no rows. Export it again.")
        titles = heads[full[0]]
        other = next((place for place in full if heads[place] != titles), None)
        if other is not None:
            raise UnreadableFile(
                f"The sheet “{self._names[other]}” has other columns than "
                f"“{self._names[full[0]]}”. Keep only sheets of readings, and the sheet {ABOUT}."
            )
        self._names = [self._names[place] for place in full]
        self._parts = [self._parts[place] for place in full]
        return titles

    def _facts(self, part: str) -> dict[str, str]:
        facts = {}
        with self._book.open(part) as stream:
            for row, _ in zip(rows_of(stream, self._shared), range(_MOST_ABOUT), strict=False):
                name, value = row.cells.get(0), row.cells.get(1)
                if isinstance(name, str) and isinstance(value, str):
                    facts[name] = value
        return facts

    # --- what a workbook consists of ----------------------------------------------------------

    def _sheets(self) -> dict[str, str]:
        """The part of each sheet by its name, in their order. Raises UnreadableFile."""
        links = elements(self._bytes("xl/_rels/workbook.xml.rels"))
        targets = {one.get("Id"): _part(one.get("Target", "")) for _, one in links}
        sheets = {}
        for name, one in elements(self._bytes("xl/workbook.xml")):
            if name == "workbookPr" and one.get("date1904") in ("1", "true"):
                raise UnreadableFile(
                    "The workbook counts its days from 1904. Switch that off in the spreadsheet's "
                    "options, look whether the times are right, and save it again."
                )
            part = targets.get(one.get("id"), "") if name == "sheet" else ""
            if part.startswith("xl/worksheets/"):
                sheets[one.get("name", "")] = part
        if any(self._book.getinfo(part).file_size > LARGEST_SHEET for part in sheets.values()):
            raise UnreadableFile("A sheet is too large. Export a shorter range.")
        return sheets

    def _bytes(self, part: str) -> bytes:
        if self._book.getinfo(part).file_size > LARGEST_PART:
            raise UnreadableFile(
                "The workbook holds too many different texts to be read. Save its rows as CSV."
            )
        return self._book.read(part)

    def _shared_texts(self) -> list[str]:
        """Texts that cells point to, as most spreadsheets keep them."""
        part = "xl/sharedStrings.xml"
        return shared_texts(self._bytes(part)) if part in self._book.namelist() else []


def _part(target: str) -> str:
    """The name of a part from a link to it: relative to `xl/`, or from the top."""
    return target[1:] if target.startswith("/") else posixpath.normpath(f"xl/{target}")


@contextmanager
def _whole() -> Iterator[None]:
    """Whatever a damaged archive or document does becomes one sentence."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, expat.ExpatError) as error:
        raise UnreadableFile(DAMAGED) from error
    except (NotImplementedError, RuntimeError) as error:  # another packer, or a password
        raise UnreadableFile(
            "The workbook is protected or packed in an unusual way. Save it as an ordinary XLSX."
        ) from error


def _shown(row: SheetRow) -> str:
    return ", ".join(str(cell) for cell in row.cells.values())
