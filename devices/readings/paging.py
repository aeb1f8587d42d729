"""Walking through long histories with a page in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TypeVar

from devices.readings.samples import HistoryRequest, Reading, Run
from devices.readings.store import get_store

PAGE = 5000
"""Readings in memory at once."""
Said = TypeVar("Said", Reading, Run)


def all_readings(metric: int, since: datetime, until: datetime) -> Iterator[Reading]:
    """Every reading of a metric with since <= at < until, ordered by (at, sequence)."""
    return _walk(get_store().history, metric, since, until)


def all_runs(metric: int, since: datetime, until: datetime) -> Iterator[Run]:
    """Every run of a metric that begins in the range, in the same order."""
    return _walk(get_store().runs, metric, since, until)


def _walk(
    page_of: Callable[[HistoryRequest], Sequence[Said]],
    metric: int,
    since: datetime,
    until: datetime,
) -> Iterator[Said]:
    after = None
    while True:
        page = page_of(HistoryRequest(metric, since, until, limit=PAGE, after=after))
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1].at, page[-1].sequence
