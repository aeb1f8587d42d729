"""How complete each day of some sources is: counted by entry numbers, by the cadence else."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import FilteredRelation, Q

from devices.readings.periods import day_start
from ingestion.gaps.numbers import Range
from ingestion.gaps.windows import BEGINNING
from ingestion.models import UNREAD, GapReason, GapState, PollState
from realtime.way_in import Day, DayState

_DAY = timedelta(days=1)
# A poll that is so late did not only wait for its turn.
OVERDUE = timedelta(minutes=5)


def days_of(
    sources: Collection[int], zone: ZoneInfo, first: date, last: date, now: datetime
) -> list[Day]:
    """Every calendar day of `zone` from `first` to `last`, oldest first. One query."""
    tallies = {
        day: _Tally(day_start(day, zone), min(day_start(day + _DAY, zone), now))
        for day in (first + _DAY * n for n in range((last - first).days + 1))
    }
    for source in _look(sources, first, last, zone):
        _enter(source, tallies, now)
    return [_day(day, tally) for day, tally in tallies.items()]


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
    wanted: bool = False

    def seconds_of(self, since: datetime, until: datetime) -> float:
        """How much of the day lies within [since, until]."""
        return (min(self.ends, until) - max(self.begins, since)).total_seconds()


@dataclass(frozen=True, slots=True)
class _Gap:
    since: datetime
    until: datetime
    entries: int
    expected: int | None
    state: str

    def waiting(self, span_s: float, cadence_s: float | None) -> float:
        """How many entries of so many seconds within the gap are still to be read."""
        if self.since <= BEGINNING:
            return 0.0  # how far back the source reaches shows when it was read
        whole_s = (self.until - self.since).total_seconds()
        if self.expected is not None and whole_s > 0:
            return max(self.expected - self.entries, 0) * span_s / whole_s
        return span_s / cadence_s if cadence_s else 0.0


@dataclass(slots=True)
class _Seen:
    """One source: how it is polled, its days (entries, lost) and what of it is unread.

    `ranges`: those of its entry numbers that were read, as the ledger keeps them.
    """

    cadence_s: float | None
    numbers_prove: bool
    overdue_since: datetime | None
    overdue_from: datetime
    wanted_from: datetime
    ranges: Sequence[Range] = ()
    days: dict[date, tuple[int, int]] = field(default_factory=dict)
    gaps: dict[int, _Gap] = field(default_factory=dict)

    def proves(self, tally: _Tally) -> bool:
        """Whether entry numbers tell that nothing of a day is missing.

        Of days before what is wanted, only where numbers from before to after it were read.
        """
        if not self.numbers_prove or tally.ends > self.wanted_from:
            return self.numbers_prove
        begins, ends = tally.begins.timestamp(), tally.ends.timestamp()
        return any(
            one.first_at is not None
            and one.last_at is not None
            and one.first_at <= begins
            and ends <= one.last_at
            for one in self.ranges
        )


_COLUMNS = (
    "pk", "cadence_s", "source__entry_ledger__proves",
    "source__entry_ledger__ranges", "last_success_at", "next_poll_at",
    "failures", "source__enabled", "source__history_from",
    "counted__day", "counted__entries", "counted__lost",
    "unread__pk", "unread__since", "unread__until", "unread__entries", "unread__expected",
    "unread__state",
)  # fmt: skip


def _look(sources: Collection[int], first: date, last: date, zone: ZoneInfo) -> Sequence[_Seen]:
    """The sources with their days and open gaps: each day beside each gap, of which few are."""
    # Where missing numbers belong, nobody knows; what is read again is there already.
    unread = Q(
        source__gaps__state__in=UNREAD,
        source__gaps__reason__in=[GapReason.UNREAD, GapReason.CLEARED],
        source__gaps__since__lt=day_start(last + _DAY, zone),
        source__gaps__until__gte=day_start(first, zone),
    )
    counted = Q(source__days__day__range=(first, last))
    states = PollState.objects.filter(pk__in=sources).annotate(
        counted=FilteredRelation("source__days", condition=counted),
        unread=FilteredRelation("source__gaps", condition=unread),
    )
    found: dict[int, _Seen] = {}
    for values in states.values_list(*_COLUMNS):
        row: dict[str, Any] = dict(zip(_COLUMNS, values, strict=True))
        seen = found.get(row["pk"])
        if seen is None:
            seen = found[row["pk"]] = _seen(row)
        if row["counted__day"] is not None:
            seen.days[row["counted__day"]] = (row["counted__entries"], row["counted__lost"])
        if row["unread__pk"] is not None:
            parts = ("since", "until", "entries", "expected", "state")
            seen.gaps[row["unread__pk"]] = _Gap(*(row[f"unread__{part}"] for part in parts))
    return list(found.values())


def _seen(row: dict[str, Any]) -> _Seen:
    """A source of a row; `overdue_since` only if it is asked at all."""
    failing = row["failures"] > 0
    return _Seen(
        cadence_s=row["cadence_s"],
        numbers_prove=row["source__entry_ledger__proves"] is not False,
        overdue_since=row["last_success_at"] if row["source__enabled"] else None,
        overdue_from=BEGINNING if failing else row["next_poll_at"] + OVERDUE,
        wanted_from=row["source__history_from"] or BEGINNING,
        ranges=[Range(*one) for one in row["source__entry_ledger__ranges"] or ()],
    )


def _enter(source: _Seen, tallies: dict[date, _Tally], now: datetime) -> None:
    """What a source says about each day."""
    for day, (entries, lost) in source.days.items():
        tallies[day].entries += entries
        tallies[day].lost += lost
    for tally in tallies.values():
        tally.wanted |= source.wanted_from < tally.ends
        for gap in source.gaps.values():
            span_s = tally.seconds_of(gap.since, gap.until)
            if span_s >= 0:
                tally.unread = True
                tally.filling |= gap.state == GapState.FILLING
                tally.waiting += gap.waiting(span_s, source.cadence_s)
        _not_asked(source, tally, now)
    for day in source.days:
        if source.cadence_s and not source.proves(tallies[day]):
            span_s = tallies[day].seconds_of(BEGINNING, now)
            tallies[day].expected += max(span_s, 0.0) / source.cadence_s


def _not_asked(source: _Seen, tally: _Tally, now: datetime) -> None:
    """What came since the last answer of a source that should have been asked again by now."""
    if source.overdue_since is None or now < source.overdue_from:
        return
    span_s = tally.seconds_of(source.overdue_since, now)
    if span_s > 0:
        tally.unread = True
        tally.waiting += span_s / source.cadence_s if source.cadence_s else 0.0


def _day(day: date, tally: _Tally) -> Day:
    waiting = round(tally.waiting)
    missing = tally.lost + waiting
    # Numbers that prove nothing: what is not there was perhaps never sent.
    unsure = tally.expected > tally.entries + missing
    whole = round(tally.expected) if unsure else tally.entries + missing
    # Rounded down: not complete while anything is missing, or may be.
    percent = min(100 * tally.entries // whole, 99 if tally.unread else 100) if whole else None
    state = _state(tally, percent)
    text = _text(tally, state, waiting, percent)
    return Day(day, state, tally.entries, tally.lost, waiting, percent, text)


def _state(tally: _Tally, percent: int | None) -> DayState:
    if tally.unread:
        return DayState.FILLING if tally.filling else DayState.OPEN
    if tally.lost:
        return DayState.LOST
    if percent is None:
        return DayState.NOTHING
    return DayState.COMPLETE if percent == 100 else DayState.PARTIAL


def _text(tally: _Tally, state: DayState, waiting: int, percent: int | None) -> str:
    """The day in words: what is there, what is missing and what becomes of it."""
    entries = "1 entry" if tally.entries == 1 else f"{tally.entries:,} entries"
    if state is DayState.NOTHING and not tally.wanted:
        return "Not read: it lies before the time from which history is fetched."
    if state is DayState.NOTHING:
        return "No entries: the source holds none of this day."
    if state is DayState.COMPLETE:
        return f"Complete: {entries}."
    parts = [f"{entries} read."]
    if state is DayState.PARTIAL:
        parts = [f"{entries}, {percent} % of what the device usually sends."]
    if tally.unread:
        many = f"About {waiting:,} entries" if waiting else "A part of the day"
        parts.append(f"{many} {'being read now' if tally.filling else 'still to be read'}.")
    if tally.lost:
        parts.append(f"{tally.lost:,} lost at the source: it does not give them any more.")
    return " ".join(parts)
