"""When a provider was down: periods, and how much of a window they take. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Outage:
    """A provider did not answer in [since, until); `until` is None while it still does not."""

    since: datetime
    until: datetime | None
    text: str = ""

    def within(self, begin: datetime, end: datetime) -> tuple[datetime, datetime] | None:
        """The part inside [begin, end); None when there is none."""
        since, until = max(self.since, begin), min(self.until or end, end)
        return (since, until) if since < until else None


def downtime(outages: Iterable[Outage], begin: datetime, end: datetime) -> timedelta:
    """How long the provider was down in [begin, end); what overlaps counts once."""
    parts = sorted(part for one in outages if (part := one.within(begin, end)))
    down, reached = timedelta(0), begin
    for since, until in parts:
        down += max(until - max(since, reached), timedelta(0))
        reached = max(reached, until)
    return down


def count_within(outages: Iterable[Outage], begin: datetime, end: datetime) -> int:
    """How many outages touch [begin, end)."""
    return sum(one.within(begin, end) is not None for one in outages)


def availability(outages: Iterable[Outage], begin: datetime, end: datetime) -> float | None:
    """The share of [begin, end) without an outage; None for a window without length."""
    if begin >= end:
        return None
    return 1 - downtime(outages, begin, end) / (end - begin)
