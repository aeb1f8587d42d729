"""Who is polled next: the due rows of an account in fair order, leased so that nobody doubles.

Order: due time plus the patience of the priority class. Within a class that is the due time alone,
so each class is one short walk along `poll_claim`, however many rows are due or not, and an edited
patience is in force at once (docs/decisions/0010).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection as database
from django.db import models, transaction
from django.db.models import Exists, F, OuterRef, Q

from devices.models import Connection, Priority
from ingestion.models import Gap, GapState, PollState
from ingestion.models.poll_state import BY_HAND
from ingestion.resilience.policy import RetryPolicy

# Slots are booked so far ahead: until the next tick, and a late one costs no slot.
AHEAD_S = 2.0
EXPIRES_S = 20
DEADLINE_S = 30
# Longer than a message may wait, a batch may run and its last request may take together, with
# some time to store: no worker outlives its lease.
LEASE = timedelta(seconds=EXPIRES_S + DEADLINE_S + RetryPolicy().deadline_s + 5)

CLASSES = (BY_HAND, *Priority.values)
# Whoever presses «Poll now» waits in front of the critical class, by as much as a class is apart.
BY_HAND_SLACK_S = -60

_TABLE = PollState._meta.db_table
_DUE = """
SELECT connection_id, source_id, urgency, next_poll_at FROM {table}
WHERE active AND connection_id = {account} AND urgency = {urgency} AND next_poll_at <= %s
    AND (lease_until IS NULL OR lease_until < %s)
ORDER BY next_poll_at, source_id LIMIT {most}
"""
# SQLite walks the classes of one account; PostgreSQL those of all accounts in one statement.
_OF_ONE = "UNION ALL".join(
    f"\nSELECT * FROM ({_DUE.format(table=_TABLE, account='%s', urgency=one, most='%s')}) "
    for one in CLASSES
)
_OF_MANY = """
SELECT found.* FROM unnest(%s::bigint[], %s::bigint[]) AS account (pk, most)
CROSS JOIN unnest(%s::smallint[]) AS class (urgency)
CROSS JOIN LATERAL ({due}) AS found
""".format(
    due=_DUE.format(
        table=_TABLE, account="account.pk", urgency="class.urgency", most="account.most"
    )
)


class Candidate(NamedTuple):
    """A due row; its order is the moment up to which others go first, then its key."""

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


class Work(NamedTuple):
    """What an account has to do."""

    account: Connection
    polls_due: bool
    gaps_due: bool


def accounts_with_work(now: datetime) -> list[Work]:
    """Accounts in use with something due; nothing is counted.

    Asked in two steps: filtered by its own answers, the first statement would ask everything twice.
    """
    due_at = (
        Connection.objects.filter(enabled=True)
        .order_by("pk")
        .values_list(
            "pk",
            Exists(due(now).filter(connection=OuterRef("pk"))),
            Exists(open_gaps(now).filter(source__connection=OuterRef("pk"))),
        )
    )
    found = [(pk, polls, gaps) for pk, polls, gaps in due_at if polls or gaps]
    accounts = Connection.objects.in_bulk([pk for pk, _, _ in found]) if found else {}
    return [Work(accounts[pk], polls, gaps) for pk, polls, gaps in found if pk in accounts]


def candidates(
    room: Mapping[int, int], slack_s: Mapping[int, int], now: datetime
) -> dict[int, list[Candidate]]:
    """The most urgent due rows of each account, as many as it has room for; first come first."""
    slack = {
        one: timedelta(seconds=seconds)
        for one, seconds in {BY_HAND: BY_HAND_SLACK_S, **slack_s}.items()
    }
    found: dict[int, list[Candidate]] = {account: [] for account in room}
    for account, pk, urgency, at in _due_rows(room, now):
        found[account].append(Candidate(_aware(at) + slack[urgency], pk))
    return {account: sorted(rows)[: room[account]] for account, rows in found.items()}


def _due_rows(room: Mapping[int, int], now: datetime) -> Iterator[tuple[int, int, int, Any]]:
    """Account, key, class and due time of the first rows of each class."""
    moment = database.ops.adapt_datetimefield_value(now)
    with database.cursor() as cursor:
        if database.vendor == "postgresql":
            accounts, most = list(room), list(room.values())
            cursor.execute(_OF_MANY, [accounts, most, list(CLASSES), moment, moment])
            yield from cursor.fetchall()
            return
        for account, rows in room.items():
            cursor.execute(_OF_ONE, [account, moment, moment, rows] * len(CLASSES))
            yield from cursor.fetchall()


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
