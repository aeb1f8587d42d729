"""How complete each day of some sources is: counted by entry numbers, by the cadence else."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import F, FilteredRelation, Q

from devices.readings.periods import day_start
from ingestion.gaps.windows import BEGINNING
from ingestion.models import UNREAD, EntryLedger, Gap, GapReason, GapState, PollState
from realtime.way_in import Day, DayState

_DAY = timedelta(days=1)
# A poll that is so late did not only wait for its turn.
OVERDUE = timedelta(minutes=5)


@dataclass(slots=True)
class _Tally:
    """What is known of one day, while it is gathered."""

    begins: datetime
    ends: datetime
    entries: int = 0
    lost: int = 0
    waiting: float = 0.0
    expected: float = 0.0
    unread: bool = False
    filling: bool = False

    @property
    def seconds(self) -> float:
        """How long the day has lasted so far."""
        return max((self.ends - self.begins).total_seconds(), 0.0)

    def seconds_since(self, at: datetime) -> float:
        """How much of it came after an instant."""
        return max((self.ends - max(self.begins, at)).total_seconds(), 0.0)


def days_of(
    sources: Collection[int], zone: ZoneInfo, first: date, last: date, now: datetime
) -> list[Day]:
    """Every calendar day of `zone` from `first` to `last`, oldest first. Two queries."""
    tallies = {day: _tally(day, zone, now) for day in _days(first, last)}
    cadences = _count(tallies, sources, now)
    gaps = Gap.objects.filter(
        source__in=sources,
        state__in=UNREAD,
        # Where missing numbers belong, nobody knows; what is read again is there already.
        reason__in=[GapReason.UNREAD, GapReason.CLEARED],
        since__lt=_at_end(last, zone),
        until__gte=day_start(first, zone),
    )
    for gap in gaps:
        _enter(gap, tallies, cadences)
    return [_day(day, tally) for day, tally in tallies.items()]


def _days(first: date, last: date) -> list[date]:
    return [first + _DAY * n for n in range((last - first).days + 1)]


def _at_end(day: date, zone: ZoneInfo) -> datetime:
    return day_start(day + _DAY, zone)


def _tally(day: date, zone: ZoneInfo, now: datetime) -> _Tally:
    return _Tally(day_start(day, zone), min(_at_end(day, zone), now))


def _count(
    tallies: dict[date, _Tally], sources: Collection[int], now: datetime
) -> dict[int, float | None]:
    """Enter entries read and numbers lost; returns the sources' cadences in seconds.

    Where numbers prove nothing, what the cadence promises is expected.
    """
    within = Q(source__days__day__range=(min(tallies), max(tallies)))
    states = PollState.objects.filter(pk__in=sources).select_related("source__entry_ledger")
    counted = states.annotate(counted=FilteredRelation("source__days", condition=within))
    rows: Any = counted.annotate(  # a row for every day, or one without a day
        day=F("counted__day"), entries=F("counted__entries"), lost=F("counted__lost")
    )
    cadences: dict[int, float | None] = {}
    for state in rows:
        if state.pk not in cadences:
            cadences[state.pk] = state.cadence_s
            _not_asked(state, tallies, now)
        if state.day is None:
            continue
        tally = tallies[state.day]
        tally.entries += state.entries
        tally.lost += state.lost
        ledger: EntryLedger | None = getattr(state.source, "entry_ledger", None)
        if state.cadence_s and ledger is not None and not ledger.proves:
            tally.expected += tally.seconds / state.cadence_s
    return cadences


def _not_asked(state: PollState, tallies: dict[date, _Tally], now: datetime) -> None:
    """What came since the last answer of a source that should have been asked again by now."""
    overdue = state.failures > 0 or state.next_poll_at < now - OVERDUE
    if state.last_success_at is None or not overdue or not state.source.enabled:
        return
    for tally in tallies.values():
        span_s = tally.seconds_since(state.last_success_at)
        if span_s > 0:
            tally.unread = True
            tally.waiting += span_s / state.cadence_s if state.cadence_s else 0.0


def _enter(gap: Gap, tallies: dict[date, _Tally], cadences: dict[int, float | None]) -> None:
    """What a gap says about the days it touches."""
    for tally in tallies.values():
        begins, ends = max(gap.since, tally.begins), min(gap.until, tally.ends)
        if begins > ends:
            continue
        tally.unread = True
        tally.filling |= gap.state == GapState.FILLING
        tally.waiting += _waiting(gap, (ends - begins).total_seconds(), cadences)


def _waiting(gap: Gap, span_s: float, cadences: dict[int, float | None]) -> float:
    """How many entries of so many seconds within the gap are still to be read."""
    if gap.since <= BEGINNING:
        return 0.0  # how far back the source reaches shows when it was read
    whole_s = (gap.until - gap.since).total_seconds()
    if gap.expected is not None and whole_s > 0:
        return max(gap.expected - gap.entries, 0) * span_s / whole_s
    cadence_s = cadences.get(gap.source_id)
    return span_s / cadence_s if cadence_s else 0.0


def _day(day: date, tally: _Tally) -> Day:
    waiting = round(tally.waiting)
    if tally.expected > tally.entries + tally.lost + waiting:
        waiting = 0  # numbers prove nothing: what is not there was perhaps never sent
        percent = _percent(tally.entries, round(tally.expected) - tally.entries)
    else:
        percent = _percent(tally.entries, tally.lost + waiting)
    state = _state(tally, percent)
    return Day(
        day=day,
        state=state,
        entries=tally.entries,
        lost=tally.lost,
        waiting=waiting,
        percent=percent,
        text=_text(tally, state, waiting, percent),
    )


def _state(tally: _Tally, percent: int | None) -> DayState:
    if tally.unread:
        return DayState.FILLING if tally.filling else DayState.OPEN
    if tally.lost:
        return DayState.LOST
    if percent is None:
        return DayState.NOTHING
    return DayState.COMPLETE if percent == 100 else DayState.PARTIAL


def _percent(there: int, missing: int) -> int | None:
    """Rounded down: not complete while anything is missing."""
    whole = there + missing
    return 100 * there // whole if whole > 0 else None


def _text(tally: _Tally, state: DayState, waiting: int, percent: int | None) -> str:
    """The day in words: what is there, what is missing and what becomes of it."""
    entries = "1 entry" if tally.entries == 1 else f"{tally.entries:,} entries"
    if state is DayState.NOTHING:
        return "No entries: the source holds none of this day."
    if state is DayState.COMPLETE:
        return f"Complete: {entries}."
    parts = [f"{entries} read."]
    if state is DayState.PARTIAL:
        parts = [f"{entries}, {percent} % of what the device usually sends."]
    if tally.unread:
        many = f"about {waiting:,} entries" if waiting else "a part of the day"
        doing = "being read now" if tally.filling else "still to be read"
        parts.append(f"{many[0].upper()}{many[1:]} {doing}.")
    if tally.lost:
        parts.append(f"{tally.lost:,} lost at the source: it does not give them any more.")
    return " ".join(parts)
