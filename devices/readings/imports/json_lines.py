"""JSON lines as the export writes them: the first says what the columns are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from devices.readings.imports.rows import Content, Heading, Line, Place
from devices.readings.imports.text import UnreadableFile

LONGEST = 2**20
"""Bytes of one line."""
_MARK = b"\xef\xbb\xbf"


class JsonLines(Content):
    """One object a row; missing values are left out."""

    unit = "bytes"

    def __init__(self, raw: BinaryIO) -> None:
        """Read the first line. Raises UnreadableFile."""
        self._raw = raw
        self.total = raw.seek(0, 2)
        raw.seek(0)
        first = _document(raw.readline(LONGEST).removeprefix(_MARK))
        self._begins = raw.tell()
        try:
            columns = [(one["name"], one["unit"]) for one in first["columns"]]
            texts = [text for column in columns for text in column]
        except (KeyError, TypeError):
            raise UnreadableFile(
                "The first line does not say what the columns are. Export the readings as JSON "
                "lines again and keep the first line, or use CSV."
            ) from None
        if not all(isinstance(text, str) for text in texts):
            raise UnreadableFile("The first line is damaged. Export the readings again.")
        facts = {name: one for name, one in first.items() if isinstance(one, str)}
        self.heading = Heading(
            "jsonl", [name for name, _ in columns], [unit for _, unit in columns], facts
        )
        self._places = {name: place for place, (name, _) in enumerate(columns)}

    def lines(self, place: Place) -> Iterator[Line]:
        """Places are (offset, lines before it)."""
        offset, number = place or (self._begins, 1)
        self._raw.seek(offset)
        while text := self._raw.readline(LONGEST):
            offset, number = offset + len(text), number + 1
            if text.strip():
                yield self._line(text, number, offset)

    def _line(self, text: bytes, number: int, offset: int) -> Line:
        where, place = f"line {number:,}", (offset, number)
        raw = text[:1000].decode(errors="replace").strip()
        try:
            row = _document(text)
        except UnreadableFile:
            fault = "no_row" if text.endswith(b"\n") else "cut_off"
            return Line(where, None, place, offset, raw, fault)
        if not self._places.keys() >= row.keys():
            return Line(where, None, place, offset, raw, "unknown_column")
        cells: list[Any] = [None] * len(self._places)
        for name, value in row.items():
            cells[self._places[name]] = value
        return Line(where, cells, place, offset, raw)


def _document(text: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise UnreadableFile("A line is no JSON. Export the readings again.") from None
    if not isinstance(found, dict):
        raise UnreadableFile("A line is no JSON object. Export the readings again.")
    return found
