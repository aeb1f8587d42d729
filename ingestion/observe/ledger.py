"""Requests of the last hour, day and month, exact up to this moment.

Put together from whole hours, the minutes around them, and, younger than the mark, the poll log.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, IntegerField, Min, Q, Sum, When

from ingestion.models import ConnectionHour, Lane, PollLog
from ingestion.observe.counting import (
    HOUR,
    MINUTE,
    SETTLED,
    Counted,
    counted,
    counted_until,
    grouped,
    hour_of,
    minute_of,
    stored_hours,
    stored_minutes,
)
from ingestion.observe.counts import Counts, total

DAY = timedelta(hours=24)
MONTH = timedelta(days=30)


def since_minute(now: datetime, span: timedelta) -> datetime:
    """The first minute of the window that ends now and takes whole minutes, this one included."""
    return minute_of(now) - span + MINUTE


def since_hour(now: datetime, span: timedelta) -> datetime:
    """The first hour of the window that ends now and takes whole hours, this one included."""
    return hour_of(now) - span + HOUR


def by_account(parts: Iterable[Counted]) -> dict[int, Counts]:
    """All parts of each account together, both lanes."""
    found: dict[int, list[Counts]] = defaultdict(list)
    for one in parts:
        found[one.connection].append(one.counts)
    return {connection: total(counts) for connection, counts in found.items()}


@dataclass(frozen=True, slots=True)
class _Parts:
    """How a window is put together: hours in [first, last), minutes around them, the rest."""

    begin: datetime
    first: datetime
    last: datetime
    mark: datetime

    @classmethod
    def of(cls, begin: datetime, hours_until: datetime, now: datetime) -> _Parts:
        """Each part ends where the mark stands now: somebody may count on while they are read."""
        mark = min(max(counted_until() or begin, begin), minute_of(now))
        first = hour_of(begin + HOUR - timedelta.resolution)
        return cls(begin, first, max(min(hours_until, hour_of(mark)), first), mark)

    @property
    def hours(self) -> Q:
        """Which hours are taken whole."""
        return Q(hour__gte=self.first, hour__lt=self.last)

    @property
    def minutes(self) -> Q:
        """Which minutes are taken one by one."""
        around = Q(minute__gte=self.begin, minute__lt=self.first) | Q(minute__gte=self.last)
        return around & Q(minute__lt=self.mark)


def day(now: datetime) -> list[Counted]:
    """The last 24 hours, to the minute, with histograms. Four queries."""
    return _since(since_minute(now, DAY), hour_of(since_minute(now, HOUR)), now)


def month(now: datetime) -> list[Counted]:
    """The last 30 days, to the hour, with histograms. Four queries."""
    return _since(since_hour(now, MONTH), hour_of(now), now)


def _since(begin: datetime, hours_until: datetime, now: datetime) -> list[Counted]:
    """Requests since `begin`: hours before `hours_until`, minutes around them, and the rest."""
    parts = _Parts.of(begin, hours_until, now)
    rest = counted(grouped(PollLog.objects.filter(at__gte=parts.mark)))
    return [*stored_hours(parts.hours), *stored_minutes(parts.minutes), *rest]


@dataclass(frozen=True, slots=True)
class Ledger:
    """What the live page shows of the requests of all accounts.

    `minutes`: the last 60. By account: `day` and `month`, of which only requests and answers are
    told; `first_answer_at`, to the minute; `in_window`, requests in the account's budget window.
    """

    minutes: tuple[Counted, ...]
    day: Mapping[int, Counts]
    month: Mapping[int, Counts]
    first_answer_at: Mapping[int, datetime]
    in_window: Mapping[int, int]


def ledger(now: datetime, windows_s: Mapping[int, int]) -> Ledger:
    """The live page's requests. Four queries, however many accounts.

    `windows_s`: seconds of each account's budget window. What was asked in one of more than
    `SETTLED` is counted to the hour: never too little.
    """
    hour = since_minute(now, HOUR)
    parts = _Parts.of(since_minute(now, DAY), hour_of(hour), now)
    rest = list(_rest(parts.mark, windows_s, now))
    stored = list(stored_minutes(parts.minutes))
    sums = list(_hour_sums(parts, windows_s, now))
    single = [*stored, *counted(rest)]
    recent = [*(one for one in stored if one.at >= parts.last), *counted(rest)]
    return Ledger(
        minutes=tuple(one for one in single if one.at >= hour),
        day=by_account([*single, *_told(sums, "day", now)]),
        month=by_account([*recent, *_told(sums, "month", now)]),
        first_answer_at=_first_answers(sums, single),
        in_window=_in_short_windows(windows_s, rest)
        | _in_long_windows(windows_s, [*recent, *_told(sums, "window", now)], now),
    )


def _is_long(window_s: int) -> bool:
    return window_s > SETTLED.total_seconds()


def _rest(
    mark: datetime, windows_s: Mapping[int, int], now: datetime
) -> Iterable[Mapping[str, Any]]:
    """What is not counted yet; `newest` where it lies in its account's short budget window."""
    newest = Q(pk__in=[])
    for seconds in {one for one in windows_s.values() if not _is_long(one)}:
        began = now - timedelta(seconds=seconds)
        newest |= Q(source__connection__rate_window_s=seconds, at__gt=began)
    flag = Case(When(newest, then=1), default=0, output_field=IntegerField())
    return grouped(PollLog.objects.filter(at__gte=mark).annotate(newest=flag), "newest")


def _hour_sums(
    parts: _Parts, windows_s: Mapping[int, int], now: datetime
) -> Iterable[Mapping[str, Any]]:
    long = Q(pk__in=[])
    for seconds in {one for one in windows_s.values() if _is_long(one)}:
        began = hour_of(now - timedelta(seconds=seconds))
        long |= Q(connection__rate_window_s=seconds, hour__gte=began)
    before = Q(hour__lt=parts.last)
    spans = {
        "day": parts.hours,
        "month": before & Q(hour__gte=since_hour(now, MONTH)),
        "window": before & long,
    }
    sums: dict[str, Any] = {"first": Min("answered_at")}
    for name, span in spans.items():
        sums[f"{name}_n"] = Sum("requests", filter=span, default=0)
        sums[f"{name}_ok"] = Sum("answered", filter=span, default=0)
    found: Iterable[Mapping[str, Any]] = (
        ConnectionHour.objects.order_by().values("connection").annotate(**sums)
    )
    return found


def _told(sums: Iterable[Mapping[str, Any]], span: str, at: datetime) -> Iterator[Counted]:
    for row in sums:
        counts = Counts(requests=row[f"{span}_n"], answered=row[f"{span}_ok"])
        yield Counted(row["connection"], Lane.LIVE, at, counts)


def _first_answers(
    sums: Iterable[Mapping[str, Any]], single: Iterable[Counted]
) -> dict[int, datetime]:
    found: dict[int, datetime] = {row["connection"]: row["first"] for row in sums if row["first"]}
    for one in single:
        if one.counts.answered:
            found[one.connection] = min(found.get(one.connection, one.at), one.at)
    return found


def _in_short_windows(
    windows_s: Mapping[int, int], rest: Iterable[Mapping[str, Any]]
) -> dict[int, int]:
    found = dict.fromkeys(windows_s, 0)
    for row in rest:
        if row["newest"] and row["connection"] in found:
            found[row["connection"]] += row["n"]
    return found


def _in_long_windows(
    windows_s: Mapping[int, int], parts: Iterable[Counted], now: datetime
) -> dict[int, int]:
    found = {account: 0 for account, seconds in windows_s.items() if _is_long(seconds)}
    for one in parts:
        if one.connection in found:
            began = hour_of(now - timedelta(seconds=windows_s[one.connection]))
            found[one.connection] += one.counts.requests if one.at >= began else 0
    return found
