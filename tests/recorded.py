"""An independent reader of recorded feeds: what must become of every row, by rules written anew.

Shares no code with the site or its simulator, so that an error in one is not hidden by another.
Every labelled field counts as a plain number with a decimal point and no unit.
"""

from __future__ import annotations

import csv
import json
import math
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

NOT_FIELDS = {"created_at", "entry_id", "latitude", "longitude", "elevation", "status"}
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)\s*(Z|UTC|[+-]\d\d:?\d\d)", re.ASCII
)


@dataclass
class Expected:
    """What a file must come to. Readings: (time, entry number, field) -> value."""

    rows: int = 0
    readings: dict[tuple[datetime, int, str], float] = field(default_factory=dict)
    refused_rows: int = 0
    refused_values: int = 0

    @property
    def rejections(self) -> int:
        return self.refused_rows + self.refused_values


def read(file: Path) -> tuple[list[str], list[dict[str, Any]]]:
    """Field names in order (field1 …) and rows with created_at, entry_id and those fields."""
    if file.suffix == ".json":
        content = json.loads(file.read_text(encoding="utf-8"))
        rows = content if isinstance(content, list) else content["feeds"]
        labels = (
            {name for row in rows for name in row}
            if isinstance(content, list)
            else content["channel"]
        )
        return [name for name in (f"field{n}" for n in range(1, 9)) if name in labels], rows
    with file.open(encoding="utf-8", newline="") as lines:
        header = lines.readline()
        lines.seek(0)
        mark = ";" if ";" in header and "," not in header else ","
        table = list(csv.reader(lines, delimiter=mark))
    names: dict[int, str] = {}
    fields: list[str] = []
    for column, title in enumerate(table[0]):
        name = title.strip().strip(";")
        if name not in NOT_FIELDS:
            fields.append(f"field{len(fields) + 1}")
            name = fields[-1]
        names[column] = name
    rows = [
        {names[column]: cell for column, cell in enumerate(cells) if column in names}
        for cells in table[1:]
        if cells
    ]
    return fields, rows


def expect(file: Path, now: datetime) -> Expected:
    """Read a recorded feed by the rules above; `now` decides what lies in the future."""
    fields, rows = read(file)
    expected = Expected(rows=len(rows))
    for row in rows:
        at = instant(row.get("created_at"))
        number = str(row.get("entry_id") or "").strip()
        if at is None or at > now + timedelta(minutes=10) or not number.lstrip("-").isdigit():
            expected.refused_rows += 1
            continue
        values = {name: row.get(name) for name in fields}
        filled = {name: v for name, v in values.items() if v is not None and str(v).strip()}
        others = [row.get(name) for name in ("latitude", "longitude", "elevation", "status")]
        if not filled:
            expected.refused_rows += not any(str(one or "").strip() for one in others)
            continue
        for name, value in filled.items():
            text = str(value).strip()
            if NUMBER.fullmatch(text) and math.isfinite(float(text)):
                expected.readings[at, int(number), name] = float(text)
            else:
                expected.refused_values += 1
    return expected


def instant(text: Any) -> datetime | None:
    """The instant, when the text names one beyond doubt."""
    match = ISO.fullmatch(str(text or "").strip())
    if match is None:
        return None
    zone = match[7].replace(":", "")
    parts = [int(match[n]) for n in range(1, 7)]
    shift = timedelta()
    if zone not in ("Z", "UTC"):
        shift = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:5])) * (
            -1 if zone[0] == "-" else 1
        )
    return datetime(*parts, tzinfo=UTC) - shift  # type: ignore[arg-type,misc]
