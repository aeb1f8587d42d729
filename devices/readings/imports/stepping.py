"""A file read portion by portion, with everything needed to go on after any of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Self

from devices.readings.imports.judging import Target, judge
from devices.readings.imports.rows import Content, Place
from devices.readings.imports.tally import Tally
from devices.readings.samples import Sample

PORTION = 2_000
"""Rows of one step: a fraction of a second of work, and of the database's writer."""


@dataclass
class Position:
    """How far a file was read, and what its rows came to."""

    place: Place = ()
    done: int = 0
    tally: Tally = field(default_factory=Tally)
    ended: bool = False

    @classmethod
    def of(cls, cursor: Mapping[str, Any]) -> Self:
        """As `as_json` gave it; an empty mapping is the beginning."""
        if not cursor:
            return cls()
        return cls(cursor["place"], cursor["done"], Tally.of(cursor["tally"]), cursor["ended"])

    def as_json(self) -> dict[str, Any]:
        """For a job's cursor."""
        return {
            "place": list(self.place),
            "done": self.done,
            "tally": self.tally.as_json(),
            "ended": self.ended,
        }


def next_portion(
    content: Content, position: Position, target: Target, now: datetime
) -> list[Sample]:
    """Judge the next rows and move `position` behind them. Raises UnreadableFile."""
    lines = list(islice(content.lines(position.place), PORTION))
    if lines:
        position.place, position.done = lines[-1].place, lines[-1].done
    position.ended = len(lines) < PORTION
    return judge(lines, target, position.tally, now)
