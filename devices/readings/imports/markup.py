"""The small parts of a workbook: its sheets, and the texts that cells share. Pure."""

from __future__ import annotations

import re
from typing import Any
from xml.parsers import expat

from devices.readings.imports.text import UnreadableFile

PORTION = 1 << 16
DAMAGED = "The workbook is damaged. Save it again as XLSX, or export the readings again."
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")


def plain(text: str) -> str:
    """A text of a workbook, whose control characters are written as `_x000D_`."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text


def local(name: str) -> str:
    """A name without what stands before its colon."""
    return name.rpartition(":")[2]


def safe_parser() -> Any:
    """A parser that refuses what no workbook holds: definitions of its own words."""

    def refuse(*_: object) -> None:
        raise UnreadableFile(DAMAGED)

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.buffer_text = True
    return parser


def elements(data: bytes) -> list[tuple[str, dict[str, str]]]:
    """Names and attributes of all elements, in order. Raises expat.ExpatError."""
    found: list[tuple[str, dict[str, str]]] = []
    parser = safe_parser()
    parser.StartElementHandler = lambda name, attributes: found.append(
        (local(name), {local(key): value for key, value in attributes.items()})
    )
    parser.Parse(data, True)
    return found


def shared_texts(data: bytes) -> list[str]:
    """The texts that cells point to, by their number. Raises expat.ExpatError."""
    texts = _SharedTexts()
    for start in range(0, len(data), PORTION):
        texts.parser.Parse(data[start : start + PORTION])
    texts.parser.Parse(b"", True)
    return texts.found


class _SharedTexts:
    """Texts with the pieces they consist of, without how they are pronounced."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._pieces: list[str] = []
        self._phonetic = False
        self.parser = safe_parser()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = local(tag)
        if name == "rPh":
            self._phonetic = True
        elif name == "t" and not self._phonetic:
            self.parser.CharacterDataHandler = self._pieces.append

    def _end(self, tag: str) -> None:
        name = local(tag)
        if name == "t":
            self.parser.CharacterDataHandler = None
        elif name == "rPh":
            self._phonetic = False
        elif name == "si":
            self.found.append(plain("".join(self._pieces)))
            self._pieces.clear()
