"""A file's format, by what is in it and never by its name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import BinaryIO

from devices.readings.export.table import STATE_COLUMNS, STATES
from devices.readings.imports.csv_table import CsvTable
from devices.readings.imports.json_lines import JsonLines
from devices.readings.imports.parquet import Parquet
from devices.readings.imports.rows import OFFSET_NAMES, Content, Heading
from devices.readings.imports.text import UnreadableFile
from devices.readings.imports.workbook import Workbook

_STRANGERS = {
    b"\x1f\x8b": "The file is packed with gzip. Unpack it first.",
    b"\xd0\xcf\x11\xe0": "This is a workbook of an old kind (XLS). Save it as XLSX or CSV.",
    b"%PDF": "This is a PDF. Import the file that the site exported.",
}
_TIERS = ("hour", "day", "month")
_STATISTIC = re.compile(r".+[ _](?:average|minimum|maximum|count)(?: \(.*\))?")


@contextmanager
def opened(raw: BinaryIO, encoding: str = "") -> Iterator[Content]:
    """The file, opened, in the encoding that a person chose for a CSV, if any.

    Raises UnreadableFile with what to do instead.
    """
    raw.seek(0)
    head = raw.read(512)
    for mark, text in _STRANGERS.items():
        if head.startswith(mark):
            raise UnreadableFile(text)
    with closing(_of_kind(head, raw, encoding)) as content:
        content.heading = content.heading.fit()
        _refuse_tiers(content.heading)
        yield content


def _of_kind(head: bytes, raw: BinaryIO, encoding: str) -> Content:
    kind = _kind(head)
    if kind is None:
        return CsvTable(raw, encoding)
    if encoding:
        raise UnreadableFile("Only of CSV can an encoding be chosen. Leave it as the file says.")
    return kind(raw)


def _kind(head: bytes) -> type[Workbook | Parquet | JsonLines] | None:
    """What a file is by its first bytes; None: text, which is CSV."""
    if head.startswith(b"PK\x03\x04"):
        return Workbook
    if head.startswith(b"PAR1"):
        return Parquet
    return JsonLines if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") else None


def _refuse_tiers(heading: Heading) -> None:
    """Only readings are taken: all else the site computes from them."""
    tier = heading.facts.get("tier", "")
    if tier == STATES or (not tier and set(heading.names) >= STATE_COLUMNS):
        held = "states"
    elif tier in _TIERS or (not tier and _is_of_buckets(heading.names)):
        held = f"{tier}s" if tier else "hours, days or months"
    else:
        return
    raise UnreadableFile(
        f"This file holds {held}, which the site computes from readings by itself. Export single "
        "readings (tier raw) and import those."
    )


def _is_of_buckets(names: Sequence[str]) -> bool:
    """Whether every column but the time is called as statistics are."""
    titles = [name for name in names[1:] if name.lower() not in OFFSET_NAMES]
    return len(titles) > 1 and all(map(_STATISTIC.fullmatch, titles))
