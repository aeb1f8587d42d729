"""Who is polled next: the due rows of an account in fair order, leased so that nobody doubles.

Order: due time plus the patience of the priority class. Within a class that is the due time alone,
so each class is one short walk along `poll_claim`, however many rows are due or not, and an edited
patience is in force at once (docs/decisions/0009).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection as database
from django.db import models, transaction
from django.db.models import Exists, F, OuterRef, Q

from devices.models import Connection, Priority
from ingestion.models import Gap, GapState, PollState
from ingestion.models.poll_state import BY_HAND
from ingestion.resilience.policy import RetryPolicy

EXPIRES_S = 20
DEADLINE_S = 30
# Longer than a message may wait, a batch may run and its last request may take together, with
# some time to store: no worker outlives its lease.
LEASE = timedelta(seconds=EXPIRES_S + DEADLINE_S + RetryPolicy().deadline_s + 5)

CLASSES = (BY_HAND, *Priority.values)
# Whoever presses «Poll now» waits in front of the critical class, by as much as a class is apart.
BY_HAND_SLACK_S = -60

_ONE_CLASS = """
SELECT * FROM (
    SELECT source_id, urgency, next_poll_at FROM {table}
    WHERE active AND connection_id = %s AND urgency = {urgency} AND next_poll_at <= %s
        AND (lease_until IS NULL OR lease_until < %s)
    ORDER BY next_poll_at, source_id LIMIT %s
) AS class_{place}
"""
_CANDIDATES = "UNION ALL".join(
    _ONE_CLASS.format(table=PollState._meta.db_table, urgency=urgency, place=place)
    for place, urgency in enumerate(CLASSES)
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A due row, and the moment it is ordered by."""

    order: datetime
    pk: int


def free(now: datetime) -> Q:
    """Rows that nobody holds."""
    return Q(lease_until__isnull=True) | Q(lease_until__lt=now)


def due(now: datetime) -> models.QuerySet[PollState]:
    """Poll states that may be claimed now; one probe of the index per class."""
    return PollState.objects.filter(
        free(now), active=True, urgency__in=CLASSES, next_poll_at__lte=now
    )


def open_gaps(now: datetime) -> models.QuerySet[Gap]:
    """Gaps to fill; those of a source that fails wait until one of its polls succeeds."""
    return Gap.objects.filter(
        free(now),
        source__poll_state__failures=0,
        next_try_at__lte=now,
        state__in=[GapState.OPEN, GapState.FILLING],
        source__enabled=True,
        source__device__enabled=True,
    )


def accounts_with_work(now: datetime) -> models.QuerySet[Connection]:
    """Accounts in use with something due, annotated `polls_due` and `gaps_due`; nothing counted."""
    return (
        Connection.objects.filter(enabled=True)
        .annotate(
            polls_due=Exists(due(now).filter(connection=OuterRef("pk"))),
            gaps_due=Exists(open_gaps(now).filter(source__connection=OuterRef("pk"))),
        )
        .filter(Q(polls_due=True) | Q(gaps_due=True))
        .order_by("pk")
    )


def due_by(account: Connection, until: datetime, now: datetime) -> bool:
    """Whether a poll of the account is due by `until`."""
    soon = PollState.objects.filter(
        free(now), active=True, urgency__in=CLASSES, next_poll_at__lte=until, connection=account
    )
    return soon.exists()


def candidates(
    account: Connection, most: int, slack_s: Mapping[int, int], now: datetime
) -> list[Candidate]:
    """The account's `most` urgent due rows, first come first. One query."""
    moment = database.ops.adapt_datetimefield_value(now)
    with database.cursor() as cursor:
        cursor.execute(_CANDIDATES, [account.pk, moment, moment, most] * len(CLASSES))
        rows = cursor.fetchall()
    slack = {BY_HAND: BY_HAND_SLACK_S, **slack_s}
    found = [Candidate(_aware(at) + timedelta(seconds=slack[one]), pk) for pk, one, at in rows]
    return sorted(found, key=lambda one: (one.order, one.pk))[:most]


def _aware(stored: datetime | str) -> datetime:
    """A time as the database gave it; SQLite gives text, in UTC."""
    if isinstance(stored, str):
        return datetime.fromisoformat(stored).replace(tzinfo=UTC)
    return stored


def lease(keys: Sequence[int], now: datetime) -> dict[int, int]:
    """Lease those of the rows that may still be polled; returns their new fencing tokens.

    Looks at the configuration itself, not at what the row repeats of it.
    """
    rows = due(now).filter(
        pk__in=keys,
        source__enabled=True,
        source__device__enabled=True,
        source__connection=F("connection"),
    )
    return lease_rows(rows, now)


def lease_rows(
    rows: models.QuerySet[PollState] | models.QuerySet[Gap], now: datetime, most: int | None = None
) -> dict[int, int]:
    """Lease rows (the first `most`) that nobody else is leasing; returns their new tokens."""
    with transaction.atomic():
        # PostgreSQL skips rows another dispatcher holds; SQLite has one writer at a time.
        locked = rows.select_for_update(skip_locked=True, of=("self",))
        found = list(locked.values_list("pk", "claim_token")[:most])
        rows.model._default_manager.filter(pk__in=[pk for pk, _ in found]).update(
            lease_until=now + LEASE, claim_token=F("claim_token") + 1
        )
    return {pk: token + 1 for pk, token in found}
