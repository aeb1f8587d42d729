"""Who is polled next: the due rows of an account in fair order, leased so that nobody doubles.

Order: due time plus the patience of the priority class. Within a class that is the due time alone,
so each class is one short walk along `poll_claim`, however many rows are due or not, and an edited
patience is in force at once (docs/decisions/0010).
"""

# ruff: noqa: S608 - SQL is put together from constants of this module; values are parameters

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain
from typing import NamedTuple

from django.db import connection as database
from django.db import models, transaction
from django.db.models import Exists, F, OuterRef, Q

from devices.models import Connection, Device, Priority, Source
from ingestion.models import Gap, GapState, PollState
from ingestion.models.poll_state import BY_HAND
from ingestion.resilience.policy import RetryPolicy

# Slots are booked so far ahead: until the next tick, and a late one costs no slot.
AHEAD_S = 2.0
EXPIRES_S = 20
DEADLINE_S = 30
# Whoever comes too late for his slot books another that begins within so long.
SLOT_PATIENCE_S = 5.0
STORES_S = 5
# Longer than a message may wait, a batch may run and its last request may take together, with
# some time to store: no worker outlives its lease.
LEASE = timedelta(seconds=EXPIRES_S + DEADLINE_S + RetryPolicy().deadline_s + STORES_S)
# Whoever goes on with a gap asks at once: what a killed worker held of it is asked again sooner.
PAGE_LEASE = timedelta(seconds=AHEAD_S + SLOT_PATIENCE_S + RetryPolicy().deadline_s + STORES_S)

CLASSES = (BY_HAND, *Priority.values)
# Whoever presses «Poll now» waits in front of the critical class, by as much as a class is apart.
BY_HAND_SLACK_S = -60

_TABLE = PollState._meta.db_table
_DUE = """
SELECT source_id, {turn} AS turn FROM {table}
WHERE active AND connection_id = {account} AND urgency = {urgency} AND next_poll_at <= %s
    AND (lease_until IS NULL OR lease_until < %s)
ORDER BY next_poll_at, source_id LIMIT {most}
"""
# SQLite walks the classes of one account; PostgreSQL those of all accounts in one statement.
_OF_ONE = "SELECT source_id FROM ({classes}) ORDER BY turn, source_id LIMIT %s".format(
    classes=" UNION ALL ".join(
        "SELECT * FROM ({})".format(
            _DUE.format(
                table=_TABLE,
                turn="julianday(next_poll_at) * 86400.0 + %s",
                account="%s",
                urgency=one,
                most="%s",
            )
        )
        for one in CLASSES
    )
)
_OF_MANY = """
SELECT account.pk, found.source_id FROM unnest(%s::bigint[], %s::bigint[]) AS account (pk, most)
CROSS JOIN LATERAL (
    SELECT due.source_id, due.turn
    FROM unnest(%s::smallint[], %s::float8[]) AS class (urgency, slack_s)
    CROSS JOIN LATERAL ({due}) AS due
    ORDER BY due.turn, due.source_id LIMIT account.most
) AS found
ORDER BY account.pk, found.turn, found.source_id
""".format(
    due=_DUE.format(
        table=_TABLE,
        turn="next_poll_at + class.slack_s * interval '1 s'",
        account="account.pk",
        urgency="class.urgency",
        most="account.most",
    )
)

# Finding, locking and leasing in one; who holds a row at this moment keeps it.
_LEASE = f"""
UPDATE {_TABLE} AS held SET lease_until = %s, claim_token = held.claim_token + 1
FROM (
    SELECT state.source_id FROM {_TABLE} AS state
    JOIN {Source._meta.db_table} AS source ON source.id = state.source_id
    JOIN {Device._meta.db_table} AS device ON device.id = source.device_id
    WHERE state.source_id = ANY(%s) AND state.active AND state.urgency = ANY(%s)
        AND state.next_poll_at <= %s AND (state.lease_until IS NULL OR state.lease_until < %s)
        AND source.enabled AND device.enabled AND source.connection_id = state.connection_id
    FOR UPDATE OF state SKIP LOCKED
) AS free
WHERE held.source_id = free.source_id
RETURNING held.source_id, held.claim_token
"""


def free(now: datetime) -> Q:
    """Rows that nobody holds."""
    return Q(lease_until__isnull=True) | Q(lease_until__lt=now)


def due(now: datetime) -> models.QuerySet[PollState]:
    """Poll states that may be claimed now; one probe of the index per class."""
    return PollState.objects.filter(
        free(now), active=True, urgency__in=CLASSES, next_poll_at__lte=now
    )


def gaps_to_fill(now: datetime) -> models.QuerySet[Gap]:
    """Gaps to fill, held or not; those of a source that fails wait until it answers again."""
    return Gap.objects.filter(
        source__poll_state__failures=0,
        next_try_at__lte=now,
        state__in=[GapState.OPEN, GapState.FILLING],
        source__enabled=True,
        source__device__enabled=True,
    )


def open_gaps(now: datetime) -> models.QuerySet[Gap]:
    """Gaps to fill that nobody holds."""
    return gaps_to_fill(now).filter(free(now))


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
) -> dict[int, list[int]]:
    """The most urgent due rows of each account, as many as it has room for; first come first."""
    slack = {BY_HAND: BY_HAND_SLACK_S, **slack_s}
    patience = [slack[urgency] for urgency in CLASSES]
    moment = database.ops.adapt_datetimefield_value(now)
    found: dict[int, list[int]] = {account: [] for account in room}
    with database.cursor() as cursor:
        if database.vendor == "postgresql":
            accounts, most = list(room), list(room.values())
            cursor.execute(_OF_MANY, [accounts, most, list(CLASSES), patience, moment, moment])
            for account, pk in cursor.fetchall():
                found[account].append(pk)
            return found
        for account, rows in room.items():
            walks = [[seconds, account, moment, moment, rows] for seconds in patience]
            cursor.execute(_OF_ONE, [*chain.from_iterable(walks), rows])
            found[account] = [pk for (pk,) in cursor.fetchall()]
    return found


def lease(keys: Sequence[int], now: datetime) -> dict[int, int]:
    """Lease those of the rows that may still be polled; returns their new fencing tokens.

    Looks at the configuration itself, not at what the row repeats of it.
    """
    if database.vendor == "postgresql":
        moment = database.ops.adapt_datetimefield_value(now)
        with database.cursor() as cursor:
            until = database.ops.adapt_datetimefield_value(now + LEASE)
            cursor.execute(_LEASE, [until, list(keys), list(CLASSES), moment, moment])
            return dict(cursor.fetchall())
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
