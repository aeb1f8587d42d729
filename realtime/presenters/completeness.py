"""A device's last four weeks as a strip of days: how much of each is there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from devices.phrases import plural
from realtime.way_in import Day, DayState, way_in

DAYS = 28
HEIGHT = 32
"""Height of a full day in the strip's own units."""


@dataclass(frozen=True, slots=True)
class DayMark:
    """One day of the strip; `height` and `top` draw its share from the ground up."""

    day: date
    state: DayState
    percent: int | None
    height: int
    text: str

    @property
    def top(self) -> int:
        """Where the bar begins, counted from above."""
        return HEIGHT - self.height


@dataclass(frozen=True, slots=True)
class Completeness:
    """The strip, and its days together in a sentence."""

    percent: int | None
    days: Sequence[DayMark]
    text: str


def completeness(sources: Collection[int], zone: str, now: datetime) -> Completeness | None:
    """The strip of these sources; None where nothing was ever counted."""
    return of_days(way_in().completeness(sources, ZoneInfo(zone), DAYS, now))


def of_days(days: Sequence[Day]) -> Completeness | None:
    """The strip of these days; None where nothing was ever counted."""
    if all(day.state is DayState.NOTHING for day in days):
        return None
    return Completeness(percent_of(days), [_mark(day) for day in days], _summary(days))


def percent_of(days: Iterable[Day]) -> int | None:
    """Share of the days' entries that is there, 0 to 100; None while nothing is known."""
    there = missing = 0
    for day in days:
        there += day.entries
        missing += day.lost + day.waiting
    return 100 * there // (there + missing) if there + missing else None


def _mark(day: Day) -> DayMark:
    percent = day.percent or 0
    # A day that holds anything, and one that lacks anything, must show.
    height = min(max(HEIGHT * percent // 100, 3), HEIGHT - 3) if 0 < percent < 100 else HEIGHT
    return DayMark(day.day, day.state, day.percent, height if percent else 0, day.text)


def _summary(days: Sequence[Day]) -> str:
    """What is missing in these days together."""
    lost, waiting = sum(day.lost for day in days), sum(day.waiting for day in days)
    unread = any(day.state in (DayState.OPEN, DayState.FILLING) for day in days)
    parts = []
    if waiting:
        parts.append(f"about {plural(waiting, 'entry', 'entries')} still to be read")
    elif unread:
        parts.append("some entries still to be read")
    if lost:
        parts.append(f"{lost:,} lost at the source")
    if parts:
        text = ", ".join(parts) + "."
        return text[0].upper() + text[1:]
    if any(day.state is DayState.PARTIAL for day in days):
        return "Fewer entries than the device usually sends."
    return "Every entry that the source numbered was read."
