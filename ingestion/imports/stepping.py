"""A file read portion by portion, with everything needed to go on after any of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, BinaryIO, Self

from ingestion.imports.csv_export import Export, Options, Row
from ingestion.imports.portion import Target, judge
from ingestion.imports.tally import Tally
from ingestion.pipeline import Delivery

PORTION = 2000
"""Rows of one step: a fraction of a second of work, and of the database's writer."""


@dataclass
class Place:
    """How far a file was read: byte offset, rows before it, and what they came to."""

    offset: int = 0
    row: int = 0
    tally: Tally = field(default_factory=Tally)
    ended: bool = False

    @classmethod
    def of(cls, cursor: Mapping[str, Any]) -> Self:
        """As `as_json` gave it; an empty mapping is the beginning."""
        if not cursor:
            return cls()
        return cls(cursor["offset"], cursor["row"], Tally.of(cursor["tally"]), cursor["ended"])

    def as_json(self) -> dict[str, Any]:
        """For a job's cursor."""
        return {
            "offset": self.offset,
            "row": self.row,
            "tally": self.tally.as_json(),
            "ended": self.ended,
        }


def next_portion(
    raw: BinaryIO, options: Options, place: Place, target: Target, now: datetime
) -> Delivery:
    """Judge the next rows and move `place` behind them. Raises UnreadableFile."""
    rows = _rows(Export(raw, options), place)
    if rows:
        place.offset, place.row = rows[-1].end, rows[-1].number
    place.ended = len(rows) < PORTION
    return judge(rows, target, place.tally, now)


def _rows(export: Export, place: Place) -> Sequence[Row]:
    return list(islice(export.rows(place.offset, place.row), PORTION))
