"""How far an export has come: told now and then while its rows pass. Pure."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from devices.readings.export.table import Table

ROWS_BETWEEN = 1_000
"""So many rows pass before the clock is looked at."""


@dataclass(frozen=True, slots=True)
class Reached:
    """So many rows are through; the times (aware) of the first and of the last of them."""

    rows: int
    first: datetime
    last: datetime


def telling(table: Table, tell: Callable[[Reached], None], every_s: float) -> Table:
    """The same table, of whose rows `tell` hears every so many seconds while they pass."""
    return replace(table, rows=_passing(table.rows, tell, every_s))


def _passing(
    rows: Iterator[tuple[Any, ...]], tell: Callable[[Reached], None], every_s: float
) -> Iterator[tuple[Any, ...]]:
    told = time.monotonic()
    first: datetime | None = None
    for number, row in enumerate(rows, start=1):
        first = first or row[0]
        if number % ROWS_BETWEEN == 0 and time.monotonic() - told > every_s:
            told = time.monotonic()
            tell(Reached(number, first, row[0]))
        yield row
