"""The first line of an exported table: what separates its cells, and what each column holds. Pure.

A column named as ThingSpeak names it is what it says. A renamed one is proposed a field (the one
that the channel labels so, else the one at its place) and read only after a person has agreed.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from devices.masking import shown
from devices.readings.imports.text import Encoding, Lines, UnreadableFile, encoding_of
from ingestion.sources.thingspeak import FIELDS

TIME, CLOCK, NUMBER, IGNORED = "created_at", "clock", "entry_id", ""
OTHERS = ("latitude", "longitude", "elevation", "status")
ROLES = (TIME, NUMBER, *FIELDS, *OTHERS)

DELIMITERS = (",", ";", "\t", "|")
_SAMPLE_LINES = 40
_TIMES = {
    "created_at",
    "created at",
    "createdat",
    "timestamp",
    "datetime",
    "date time",
    "date/time",
}
_NUMBERS = {"entry_id", "entry id", "entryid"}
_FIELD = re.compile(r"field[ _]?([1-8])")
_SEPARATOR_LINE = re.compile(r"\"?sep=(.)\"?\s*")


@dataclass(frozen=True, slots=True)
class Header:
    """How the table is to be read: `start` is the byte offset of its first row.

    `roles` has one word per column: «created_at», «entry_id», «field1» … «status», «clock» (the
    time of day beside a date) or «» for a column that ThingSpeak does not know.
    """

    encoding: Encoding
    delimiter: str
    names: tuple[str, ...]
    roles: tuple[str, ...]
    start: int

    @property
    def renamed(self) -> tuple[int, ...]:
        """Places of the columns that somebody has to say something about."""
        return tuple(place for place, role in enumerate(self.roles) if role == IGNORED)


@dataclass(frozen=True, slots=True)
class Proposed:
    """Which field a renamed column probably is, and why: «label» or «place»; «» for no idea."""

    field: str
    why: str


def read_header(raw: BinaryIO, encoding: str = "") -> Header:
    """Read the beginning of a file. Raises UnreadableFile with what to change."""
    found = encoding_of(raw, encoding)
    lines = Lines(raw, found, found.start)
    start, first, delimiter = _first_line(lines, found)
    sample = [line for _ in range(_SAMPLE_LINES) if (line := lines.next())]
    delimiter = delimiter or _delimiter(first, sample)
    names = _names(first, delimiter)
    roles = _roles(names)
    if TIME not in roles:
        raise UnreadableFile(
            "The first line names no column “created_at”: this is no export of a channel, or its "
            f"header was removed or renamed. The columns are: {shown(', '.join(names))}. Name the "
            "column with the times “created_at”."
        )
    if len(names) - roles.count(IGNORED) < 2 and not roles.count(IGNORED):
        raise UnreadableFile("The file has times, but no column with values.")
    return Header(found, delimiter, names, roles, start)


def propose(header: Header, labels: Mapping[str, str]) -> dict[int, Proposed]:
    """What the renamed columns probably are; `labels` are the channel's own names of its fields."""
    by_label = {label.strip().casefold(): field for field, label in labels.items()}
    taken = set(header.roles)
    data = [place for place, role in enumerate(header.roles) if role in ("", *FIELDS)]
    proposed: dict[int, Proposed] = {}
    for place in header.renamed:
        field = by_label.get(header.names[place].casefold(), "")
        if field and field not in taken:
            proposed[place] = Proposed(field, "label")
            taken.add(field)
    for place in header.renamed:
        if place in proposed:
            continue
        order = data.index(place)
        field = FIELDS[order] if order < len(FIELDS) else ""
        fits = bool(field) and field not in taken and bool(header.names[place])
        proposed[place] = Proposed(field, "place") if fits else Proposed("", "")
        taken.add(proposed[place].field)
    return proposed


def assigned(header: Header, columns: Mapping[int, str]) -> tuple[str, ...]:
    """Roles with what a person said about renamed columns. Raises UnreadableFile."""
    roles = list(header.roles)
    for place, role in columns.items():
        if not 0 <= place < len(roles) or role not in ("", *FIELDS, NUMBER, *OTHERS):
            raise UnreadableFile(f"There is no column {place + 1}, or nothing called “{role}”.")
        if roles[place] == IGNORED:
            roles[place] = role
    double = [role for role, count in Counter(roles).items() if role and count > 1]
    if double:
        raise UnreadableFile(f"Two columns are said to be {double[0]}. Choose one of them.")
    return tuple(roles)


def _first_line(lines: Lines, encoding: Encoding) -> tuple[int, str, str]:
    """Offset behind the header, the header, and the delimiter when a line before it names one."""
    offset, delimiter = encoding.start, ""
    while line := lines.next():
        offset += encoding.size(line)
        announced = _SEPARATOR_LINE.fullmatch(line)
        if announced and announced[1] in DELIMITERS:
            delimiter = announced[1]
        elif line.strip(' \t\r\n,;|"'):
            return offset, line, delimiter
    raise UnreadableFile("The file holds no header and no rows. Export the channel again.")


def _delimiter(first: str, sample: Sequence[str]) -> str:
    """What splits header and rows alike; else what splits most rows into most cells.

    Spreadsheets save the rows with semicolons under a header that kept its commas.
    """

    def score(mark: str) -> tuple[bool, int, int]:
        counts = Counter(len(cells) for cells in _cells("".join(sample), mark) if cells)
        usual = counts.most_common(1)[0][0] if counts else 0
        names = [cell.strip().casefold() for cell in next(iter(_cells(first, mark)), [])]
        alike = len(names) > 1 and usual in (0, len(names)) and not _TIMES.isdisjoint(names)
        return alike, usual, len(names)

    return max(DELIMITERS, key=score)


def _cells(text: str, mark: str) -> list[list[str]]:
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=mark))
    except csv.Error:
        return []


def _names(first: str, delimiter: str) -> tuple[str, ...]:
    cells = next(iter(_cells(first, delimiter)), [])
    filled = [cell for cell in cells if cell.strip()]
    if len(filled) == 1:
        others = [mark for mark in DELIMITERS if mark != delimiter and mark in filled[0]]
        cells = next(iter(_cells(filled[0], others[0])), []) if others else cells
    names = [shown(cell.strip()) for cell in cells]
    while names and not names[-1]:
        names.pop()
    return tuple(names)


def _roles(names: Sequence[str]) -> tuple[str, ...]:
    words = [name.casefold() for name in names]
    roles = [_role(word) for word in words]
    if TIME not in roles:
        _from_date_and_time(words, roles)
    for place, role in enumerate(roles):
        if role and role in roles[:place]:
            roles[place] = IGNORED  # the second of two equal names: somebody has to say
    return tuple(roles)


def _role(word: str) -> str:
    if word in _TIMES:
        return TIME
    if word in _NUMBERS:
        return NUMBER
    field = _FIELD.fullmatch(word)
    if field:
        return f"field{field[1]}"
    return word if word in OTHERS else IGNORED


def _from_date_and_time(words: Sequence[str], roles: list[str]) -> None:
    """«date,time» beside each other, or «time» or «date» alone, when nothing is «created_at»."""
    for place, word in enumerate(words):
        if word == "date" and words[place + 1 : place + 2] == ["time"]:
            roles[place : place + 2] = [TIME, CLOCK]
            return
    for alone in ("time", "date"):
        if words.count(alone) == 1:
            roles[words.index(alone)] = TIME
            return
