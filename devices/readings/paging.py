"""Walking through long histories with a page in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from devices.readings.samples import HistoryRequest, Reading
from devices.readings.store import get_store

PAGE = 5000
"""Readings in memory at once."""


def all_readings(metric: int, since: datetime, until: datetime) -> Iterator[Reading]:
    """Every reading of a metric with since <= at < until, ordered by (at, sequence)."""
    after = None
    while True:
        page = get_store().history(HistoryRequest(metric, since, until, limit=PAGE, after=after))
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1].at, page[-1].sequence
