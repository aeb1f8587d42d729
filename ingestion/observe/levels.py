"""Service levels: how each account did over the last hour, day and 30 days."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ingestion.observe.counting import HOUR, hour_of
from ingestion.observe.counts import NOTHING, Counts
from ingestion.observe.ledger import DAY, MONTH, by_account, day, month, since_hour, since_minute
from ingestion.observe.outages import Outage, availability, count_within, downtime
from ingestion.observe.snapshot import Account

SPANS = (("1 h", HOUR), ("24 h", DAY), ("30 days", MONTH))


@dataclass(frozen=True, slots=True)
class Level:
    """One account over one window, which ends now.

    `begin`: where the window begins, or later, where the account was first asked.
    `available`: the share of that time without an outage; None before the first request.
    """

    span: str
    begin: datetime
    counts: Counts
    down: timedelta
    outages: int
    available: float | None


@dataclass(frozen=True, slots=True)
class Levels:
    """One account over all windows, and its outages of the longest one, newest first."""

    account: Account
    levels: tuple[Level, ...]
    outages: tuple[Outage, ...]


def levels(accounts: Sequence[Account], now: datetime) -> list[Levels]:
    """Service levels of the accounts. Eight queries; reads a month of histograms."""
    of_day, of_month = day(now), month(now)
    hour = since_minute(now, HOUR)
    counts = {
        "1 h": by_account(one for one in of_day if one.at >= hour),
        "24 h": by_account(of_day),
        "30 days": by_account(of_month),
    }
    return [_levels(one, counts, now) for one in accounts]


def _levels(account: Account, counts: Mapping[str, Mapping[int, Counts]], now: datetime) -> Levels:
    known = account.judged.first_asked_at
    return Levels(
        account=account,
        levels=tuple(
            _level(account, name, begin, known, counts[name].get(account.pk, NOTHING), now)
            for name, begin in _begins(now)
        ),
        outages=tuple(one for one in account.outages if one.within(hour_of(now) - MONTH, now)),
    )


def _begins(now: datetime) -> Iterator[tuple[str, datetime]]:
    for name, span in SPANS:
        yield name, since_hour(now, span) if span == MONTH else since_minute(now, span)


def _level(
    account: Account,
    span: str,
    begin: datetime,
    known: datetime | None,
    counts: Counts,
    now: datetime,
) -> Level:
    since = begin if known is None else max(begin, known)
    return Level(
        span=span,
        begin=since,
        counts=counts,
        down=downtime(account.outages, since, now),
        outages=count_within(account.outages, since, now),
        available=None if known is None else availability(account.outages, since, now),
    )


HEAD = (
    "account", "community", "window", "from_utc", "until_utc", "requests", "answered",
    "success_rate", "p50_ms", "p95_ms", "p99_ms", "outages", "down_s", "availability",
    "outcomes",
)  # fmt: skip
OUTAGES_HEAD = ("account", "community", "from_utc", "until_utc", "down_s", "reason")


def rows(found: Sequence[Levels], now: datetime) -> Iterator[tuple[str, ...]]:
    """The table as text for a CSV file, times in ISO 8601."""
    yield HEAD
    for one in found:
        for level in one.levels:
            counts = level.counts
            yield (
                _safe(one.account.name),
                _safe(one.account.community_name),
                level.span,
                level.begin.isoformat(),
                now.isoformat(),
                str(counts.requests),
                str(counts.answered),
                _share(counts.success_rate),
                *(_ms(counts.percentile_ms(share)) for share in (0.5, 0.95, 0.99)),
                str(level.outages),
                f"{level.down.total_seconds():.0f}",
                _share(level.available),
                " ".join(f"{kind}={number}" for kind, number in counts.by_outcome),
            )


def outage_rows(found: Sequence[Levels], now: datetime) -> Iterator[tuple[str, ...]]:
    """The outages of the last 30 days as text for a CSV file; one that goes on has no end."""
    yield OUTAGES_HEAD
    for one in found:
        for outage in one.outages:
            lasted = (outage.until or now) - outage.since
            yield (
                _safe(one.account.name),
                _safe(one.account.community_name),
                outage.since.isoformat(),
                outage.until.isoformat() if outage.until else "",
                f"{lasted.total_seconds():.0f}",
                _safe(outage.text),
            )


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _safe(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
