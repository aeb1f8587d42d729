"""Files to import, as text, and what reading them gives."""

from __future__ import annotations

import io
from collections import Counter
from typing import Any
from zoneinfo import ZoneInfo

from ingestion.imports.csv_export import Export, Options, Row

HEAD = "created_at,entry_id,field1,field2"


def export(text: str | bytes, **choices: Any) -> Export:
    """A file that was exported, opened with what a person chose for it."""
    raw = io.BytesIO(text.encode() if isinstance(text, str) else text)
    zone = choices.pop("zone", None)
    return Export(raw, Options(zone=ZoneInfo(zone) if zone else None, **choices))


def rows_of(*lines: str, head: str = HEAD, **choices: Any) -> list[Row]:
    """The rows of a file of these lines."""
    return list(export("\n".join([head, *lines, ""]), **choices).rows())


def reasons(rows: list[Row]) -> Counter[str]:
    """Why things were refused, counted."""
    return Counter(str(one.reason) for row in rows for one in row.refusals)


def times(rows: list[Row]) -> list[str | None]:
    """The rows' instants, to the second; None for refused ones."""
    return [f"{row.entry.at:%Y-%m-%d %H:%M:%S}" if row.entry else None for row in rows]
