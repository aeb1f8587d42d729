"""A tick of the dispatcher with 100,000 sources: all due, and none due.

The real tick: PostgreSQL, the gate in Redis, messages published to the broker. Between two ticks
what was claimed is settled as a worker would, and not timed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from django.db import connection as database
from django.db.models import F
from django.utils import timezone

from benchmarks.report import Figure, percentile
from devices.models import Community, Connection, Device, DeviceType, Priority, Source
from ingestion.claims import Claim
from ingestion.dispatch import Queues, dispatch
from ingestion.enrolment import reconcile
from ingestion.equipment import equipment
from ingestion.models import PollState
from ingestion.tasks import queue_pages, queue_polls
from telemetry_site.celery import app

SOURCES = 100_000
LIMIT_MS = 50.0
IDLE_LIMIT_MS = 10.0
TICKS = 20
# Together they may ask 200 times a second, alone or many: 17 million polls a day.
BUDGETS = ((1, 12_000), (50, 240))
PORTION = 5000


def run() -> Iterator[Figure]:
    """Both with one account and with fifty."""
    app.set_default()  # whose broker is the site's
    _build()
    for accounts, limit in BUDGETS:
        _share_out(accounts, limit)
        _make_due(timezone.now() - timedelta(hours=1))
        busy, claimed = _measure()
        name = f"tick, {SOURCES} sources of {accounts} accounts"
        each = sum(claimed) // len(claimed)
        yield _figure(f"{name}, all due, {each} claimed", busy, LIMIT_MS)
        _make_due(timezone.now() + timedelta(hours=1))
        idle, _ = _measure()
        yield _figure(f"{name}, none due", idle, IDLE_LIMIT_MS)
        started = time.perf_counter()
        reconcile(timezone.now())
        took = (time.perf_counter() - started) * 1000
        # Once a minute, in a worker: at most a hundredth of a core.
        yield Figure("dispatch", f"looking over {SOURCES} sources", took, 600.0, "ms", 1)


def _figure(what: str, measured: Sequence[float], limit: float) -> Figure:
    return Figure("dispatch", what, percentile(list(measured), 50), limit, "ms", len(measured))


def _measure() -> tuple[list[float], list[int]]:
    """Milliseconds and claims of each tick, one a second as in life."""
    took, claimed = [], []
    gate = equipment().gate
    held: list[Claim] = []

    def polls(claims: Sequence[Claim]) -> None:
        held.extend(claims)
        queue_polls(claims)

    for _ in range(TICKS):
        started = time.perf_counter()
        done = dispatch(timezone.now, gate, Queues(polls=polls, pages=queue_pages))
        took.append((time.perf_counter() - started) * 1000)
        claimed.append(done.polls)
        _settle(held)
        held.clear()
        time.sleep(max(0.0, 1.0 - (time.perf_counter() - started)))
    return took, claimed


def _settle(claims: Sequence[Claim]) -> None:
    later = timezone.now() + timedelta(hours=1)
    rows = PollState.objects.filter(pk__in=[one.pk for one in claims])
    rows.update(lease_until=None, next_poll_at=later)


def _build() -> None:
    """Sources of every class; whose account they use is decided afterwards."""
    place, _ = Community.objects.get_or_create(slug="hill", defaults={"name": "Hill"})
    kind = DeviceType.objects.get(slug="overhead-tank")
    device = Device.objects.create(community=place, type=kind, name="Tank")
    account = Connection.objects.create(name="Account")
    rows = [
        Source(
            device=device,
            connection=account,
            kind="thingspeak",
            priority=Priority.values[n % len(Priority.values)],
        )
        for n in range(SOURCES)
    ]
    for start in range(0, SOURCES, PORTION):
        stored = Source.objects.bulk_create(rows[start : start + PORTION])
        PollState.objects.bulk_create([_state(one) for one in stored])


def _share_out(accounts: int, limit: int) -> None:
    """So many accounts with such a limit a minute have the sources evenly."""
    missing = accounts - Connection.objects.count()
    Connection.objects.bulk_create([Connection(name=f"Account {n}") for n in range(missing)])
    Connection.objects.update(rate_limit=limit, revision=F("revision") + 1)
    keys = list(Connection.objects.order_by("pk").values_list("pk", flat=True))
    with database.cursor() as cursor:
        for table, key in (
            (Source._meta.db_table, "id"),
            (PollState._meta.db_table, "source_id"),
        ):
            cursor.execute(
                f"UPDATE {table} SET connection_id = (%s::bigint[])[1 + {key} / 4 %% %s]",
                [keys, len(keys)],
            )


def _state(source: Source) -> PollState:
    return PollState(
        source=source,
        connection_id=source.connection_id,
        urgency=source.effective_priority,
        next_poll_at=timezone.now(),
    )


def _make_due(at: datetime) -> None:
    """Due over an hour, as it would be, in no particular order on disk."""
    table = PollState._meta.db_table
    towards = 1 if at > timezone.now() else -1
    with database.cursor() as cursor:
        cursor.execute(
            f"UPDATE {table} SET lease_until = NULL, next_poll_at = "
            "%s + (source_id * 7919 %% 3600) * %s * interval '1 s'",
            [at, towards],
        )
        cursor.execute(f"VACUUM ANALYZE {table}")
