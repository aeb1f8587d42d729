"""Counting requests from the poll log, which is the truth of each of them.

Nothing of it lies on the way of a poll. Once in a while (`count_up`) the minutes that are settled
are counted from the poll log, each exactly once, and the hours they belong to are added up anew.
What is younger is read from the poll log itself. A minute is settled `SETTLED` after its end: the
lease of a poll ends long before, so that no row of that minute can still be on its way.

One row (`CountedUntil`) says how far that is. Whoever counts holds its lock: several may try, also
after days of standing still, and each request is counted once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import log
from typing import Any

from django.db import transaction
from django.db.models import (
    Case,
    Count,
    F,
    FloatField,
    IntegerField,
    Q,
    QuerySet,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Cast, Ceil, Greatest, Ln, TruncMinute

from ingestion.models import ConnectionHour, ConnectionMinute, CountedUntil, PollLog
from ingestion.observe.counts import ANSWERED, SENT_WITHOUT_STATUS, Counts, total
from ingestion.observe.latency import GAMMA, LEAST_MS

SETTLED = timedelta(minutes=5)
"""Longer than claim, batch and commit can take together (`dispatch.LEASE`, the task's limit)."""
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
# So much of the poll log in one transaction, when there is much to make up for.
PORTION = timedelta(hours=3)
KEEP_MINUTES = timedelta(days=2)
KEEP_HOURS = timedelta(days=400)

SENT = Q(status__isnull=False) | Q(outcome__in=sorted(SENT_WITHOUT_STATUS))
"""Rows of the poll log that are requests: something was sent."""
# Written out, so that it is the arithmetic of `latency.bucket_of`.
_BUCKET = Case(
    When(
        status__isnull=False,
        then=Cast(
            Ceil(Ln(Greatest(F("duration_ms"), Value(LEAST_MS))) / Value(log(GAMMA))),
            IntegerField(),
        ),
    ),
    output_field=FloatField(null=True),
)


@dataclass(frozen=True, slots=True)
class Counted:
    """What an account's requests of one lane, in one minute or hour, came to."""

    connection: int
    lane: str
    at: datetime
    counts: Counts


def minute_of(at: datetime) -> datetime:
    """The minute that holds the instant."""
    return at.replace(second=0, microsecond=0)


def hour_of(at: datetime) -> datetime:
    """The hour (UTC) that holds the instant."""
    return at.replace(minute=0, second=0, microsecond=0)


def count_up(now: datetime) -> bool:
    """Count the settled minutes that are not counted yet, at most a portion.

    Says whether there is more to count at once. Idempotent; safe beside others that do the same.
    """
    settled = minute_of(now - SETTLED)
    with transaction.atomic():
        mark = _locked_mark(settled)
        since = min(mark.until, settled)  # the clock may have run ahead and was put right
        until = min(settled, since + PORTION)
        if since == until == mark.until:
            return False
        ConnectionMinute.objects.filter(minute__gte=since).delete()
        ConnectionMinute.objects.bulk_create(
            [
                ConnectionMinute(minute=one.at, **_columns(one))
                for one in from_poll_log(since, until)
            ],
            batch_size=500,
        )
        _add_up_hours(hour_of(since), max(mark.until, until))
        CountedUntil.objects.filter(pk=mark.pk).update(until=until)
    return until < settled


def counted_until() -> datetime | None:
    """Up to when requests are counted; None before the first count. One query."""
    return CountedUntil.objects.values_list("until", flat=True).first()


def _locked_mark(settled: datetime) -> CountedUntil:
    """The mark, ours until the transaction ends. At first: the whole poll log is to be counted.

    Successes are forgotten first (`housekeeping`): what is older than they would look worse than
    it was, and is left out.
    """
    if not CountedUntil.objects.exists():
        kept = PollLog.objects.filter(at__gte=settled - KEEP_MINUTES + HOUR)
        oldest = kept.order_by("at").values_list("at", flat=True).first()
        begin = min(minute_of(oldest), settled) if oldest else settled
        CountedUntil.objects.get_or_create(pk=1, defaults={"until": begin})
    return CountedUntil.objects.select_for_update().get(pk=1)


def _add_up_hours(since: datetime, until: datetime) -> None:
    """Make the hours from their minutes, in [since, until)."""
    ConnectionHour.objects.filter(hour__gte=since).delete()
    parts: dict[tuple[int, str, datetime], list[Counted]] = defaultdict(list)
    for one in stored_minutes(Q(minute__gte=since, minute__lt=until)):
        parts[one.connection, one.lane, hour_of(one.at)].append(one)
    ConnectionHour.objects.bulk_create(
        [
            ConnectionHour(
                hour=hour,
                answered_at=min((one.at for one in minutes if one.counts.answered), default=None),
                **_columns(Counted(connection, lane, hour, total(one.counts for one in minutes))),
            )
            for (connection, lane, hour), minutes in parts.items()
        ],
        batch_size=500,
    )


def _columns(one: Counted) -> dict[str, Any]:
    counts = one.counts
    return {
        "connection_id": one.connection,
        "lane": one.lane,
        "requests": counts.requests,
        "answered": counts.answered,
        "entries": counts.entries,
        "readings": counts.readings,
        "rejected": counts.rejected,
        "outcomes": dict(counts.outcomes),
        "latency": {str(bucket): number for bucket, number in counts.latency.items()},
    }


def from_poll_log(since: datetime, until: datetime) -> list[Counted]:
    """Requests that began in [since, until), by minute, from the poll log. One query."""
    return counted(grouped(PollLog.objects.filter(at__gte=since, at__lt=until)))


def grouped(rows: QuerySet[PollLog], *more: str) -> Iterable[Mapping[str, Any]]:
    """Those of the rows that are requests, counted by minute (and `more` columns). One query."""
    found: Iterable[Mapping[str, Any]] = (
        rows.filter(SENT)
        .annotate(minute=TruncMinute("at"), bucket=_BUCKET, connection=F("source__connection"))
        .values("connection", "lane", "minute", "outcome", "bucket", *more)
        .annotate(n=Count("pk"), e=Sum("entries"), r=Sum("readings"), x=Sum("refused"))
        .order_by()
    )
    return found


def counted(rows: Iterable[Mapping[str, Any]]) -> list[Counted]:
    """What `grouped` found, by account, lane and minute."""
    parts: dict[tuple[int, str, datetime], list[Counts]] = defaultdict(list)
    for row in rows:
        parts[row["connection"], row["lane"], row["minute"]].append(_part(row))
    return [Counted(*key, total(counts)) for key, counts in parts.items()]


def _part(row: Mapping[str, Any]) -> Counts:
    number, bucket = row["n"], row["bucket"]
    return Counts(
        requests=number,
        answered=number if row["outcome"] in ANSWERED else 0,
        entries=row["e"],
        readings=row["r"],
        rejected=row["x"],
        outcomes={row["outcome"]: number},
        latency={} if bucket is None else {int(bucket): number},
    )


def stored_minutes(where: Q) -> Iterator[Counted]:
    """Counted minutes. One query."""
    return _stored(ConnectionMinute.objects.filter(where), "minute")


def stored_hours(where: Q) -> Iterator[Counted]:
    """Counted hours; the newest one may be counted in part. One query."""
    return _stored(ConnectionHour.objects.filter(where), "hour")


def _stored(rows: QuerySet[Any], time: str) -> Iterator[Counted]:
    names = ("requests", "answered", "entries", "readings", "rejected", "outcomes", "latency")
    for row in rows.values("connection", "lane", time, *names):
        numbers = {name: row[name] for name in names}
        numbers["latency"] = {int(bucket): number for bucket, number in row["latency"].items()}
        yield Counted(row["connection"], row["lane"], row[time], Counts(**numbers))


def prune_counts(now: datetime) -> int:
    """Forget minutes and hours that have outlived their use; returns how many rows went.

    The minutes of an hour that is still being counted stay, also after a long standstill.
    """
    bound = min(now - KEEP_MINUTES, hour_of(counted_until() or now))
    minutes, _ = ConnectionMinute.objects.filter(minute__lt=bound).delete()
    hours, _ = ConnectionHour.objects.filter(hour__lt=now - KEEP_HOURS).delete()
    return minutes + hours
