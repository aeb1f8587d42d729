"""Once a second: claim what is due, in fair order, within the budget, and hand it to the workers.

Idempotent, so that two clocks do no harm: a row is claimed by whoever updates it first. A claim
is a lease with a fencing token and leaves `next_poll_at` alone, so that a crash loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models, transaction
from django.db.models import Count, F, Q

from devices.models import Connection, Source
from ingestion.claims import Claim
from ingestion.models import Gap, GapState, PollState
from ingestion.resilience.gate import Gate, Reservation
from ingestion.resilience.policy import RetryPolicy
from ingestion.rules import route_of

EXPIRES_S = 20
DEADLINE_S = 30
# Longer than a message may wait, a batch may run and its last request may take together, with
# some time to store: no worker outlives its lease.
LEASE = timedelta(seconds=EXPIRES_S + DEADLINE_S + RetryPolicy().deadline_s + 5)
# Slots are booked this far ahead: until the next tick.
TICK_S = 1.0
# Entries of a backfill page may take their time; one page a tick and account is plenty.
PAGES_A_TICK = 1


@dataclass(slots=True)
class Dispatched:
    """What one tick handed out."""

    polls: int = 0
    pages: int = 0
    waiting: int = 0
    """Due sources that the budget or an open breaker made wait."""


Clock = Callable[[], datetime]
Enqueue = Callable[[Sequence[Claim]], object]


@dataclass(frozen=True, slots=True)
class Queues:
    """Where claims go; the dispatcher does not know what carries them."""

    polls: Enqueue
    pages: Enqueue


def dispatch(clock: Clock, gate: Gate, queues: Queues) -> Dispatched:
    """Hand out every poll that is due and affordable, then one backfill page per account.

    Raises GateUnavailable when Redis is away: without a budget nothing is asked.
    """
    now = clock()
    enrol(now)
    done = Dispatched()
    due = due_by_connection(now)
    gaps = gaps_by_connection(now)
    wanted = set(due) | set(gaps)
    for connection in Connection.objects.filter(pk__in=wanted, enabled=True):
        served = _serve_polls(connection, due.get(connection.pk, 0), clock, gate, queues, done)
        if served and connection.pk in gaps:
            _serve_pages(connection, clock, gate, queues, done)
    return done


def _serve_polls(
    connection: Connection, due: int, clock: Clock, gate: Gate, queues: Queues, done: Dispatched
) -> bool:
    """Claim this account's due polls; says whether budget is left for backfill."""
    claims = _claim(claim_polls, connection, due, clock, gate)
    for start in range(0, len(claims), settings.POLL_BATCH):
        queues.polls(claims[start : start + settings.POLL_BATCH])
    done.polls += len(claims)
    done.waiting += max(due - len(claims), 0)
    return len(claims) == due


def _serve_pages(
    connection: Connection, clock: Clock, gate: Gate, queues: Queues, done: Dispatched
) -> None:
    claims = _claim(claim_gaps, connection, PAGES_A_TICK, clock, gate)
    if claims:
        queues.pages(claims)
    done.pages += len(claims)


def _claim(
    lease: Callable[[Connection, Sequence[float], datetime], list[Claim]],
    connection: Connection,
    wanted: int,
    clock: Clock,
    gate: Gate,
) -> list[Claim]:
    """Book slots, lease as many rows, and give back the slots that found none."""
    if not wanted:
        return []
    now = clock()  # taken here: slots count from the reservation
    reservation = _book(connection, wanted, gate)
    slots = [now.timestamp() + reservation.offset_s(k) for k in range(reservation.granted)]
    claims = lease(connection, slots, now)
    unused = reservation.granted - len(claims)
    if unused:
        gate.refund(route_of(connection).group, reservation, unused)
    return claims


def _book(connection: Connection, wanted: int, gate: Gate) -> Reservation:
    """Book up to `wanted` slots within this tick; none while the host is left in peace."""
    route = route_of(connection)
    admits = gate.snapshot(route.host, route.group, route.rate).admits
    n = wanted if admits is None else min(wanted, admits)
    if not n:
        return Reservation(granted=0, wait_s=0.0, interval_s=0.0, last=0)
    return gate.reserve(route.group, route.rate, n, TICK_S)


def enrol(now: datetime) -> int:
    """Give every source without one its poll state, due at once; returns how many were new."""
    missing = list(Source.objects.filter(poll_state__isnull=True).select_related("device__type"))
    PollState.objects.bulk_create(
        [
            PollState(source=one, next_poll_at=now, claim_order=claim_order(one, now))
            for one in missing
        ],
        ignore_conflicts=True,
    )
    return len(missing)


def claim_order(source: Source, next_poll_at: datetime) -> datetime:
    """Priority with ageing: due time plus the slack of the class, so that nobody starves."""
    return next_poll_at + timedelta(seconds=settings.POLL_CLASS_SLACK_S * source.effective_priority)


def _free(now: datetime) -> Q:
    return Q(lease_until__isnull=True) | Q(lease_until__lt=now)


def _due(now: datetime) -> models.QuerySet[PollState]:
    return PollState.objects.filter(
        _free(now), next_poll_at__lte=now, source__enabled=True, source__device__enabled=True
    )


def _open_gaps(now: datetime) -> models.QuerySet[Gap]:
    """Gaps to fill; those of a source that fails wait until one of its polls succeeds."""
    return Gap.objects.filter(
        _free(now),
        source__poll_state__failures=0,
        next_try_at__lte=now,
        state__in=[GapState.OPEN, GapState.FILLING],
        source__enabled=True,
        source__device__enabled=True,
    )


def due_by_connection(now: datetime) -> dict[int, int]:
    """How many sources of each account are due."""
    counted = _due(now).values_list("source__connection").annotate(n=Count("pk")).order_by()
    return dict(counted)


def gaps_by_connection(now: datetime) -> dict[int, int]:
    """How many gaps of each account wait for a page."""
    counted = _open_gaps(now).values_list("source__connection").annotate(n=Count("pk")).order_by()
    return dict(counted)


def claim_polls(connection: Connection, slots: Sequence[float], now: datetime) -> list[Claim]:
    """Lease the most urgent due sources of an account, one per slot."""
    due = _due(now).filter(source__connection=connection).order_by("claim_order", "pk")
    return _lease(due, slots, now)


def claim_gaps(connection: Connection, slots: Sequence[float], now: datetime) -> list[Claim]:
    """Lease the gaps of an account that waited longest, one per slot."""
    gaps = _open_gaps(now).filter(source__connection=connection).order_by("next_try_at", "pk")
    return _lease(gaps, slots, now)


def _lease(
    rows: models.QuerySet[PollState] | models.QuerySet[Gap], slots: Sequence[float], now: datetime
) -> list[Claim]:
    if not slots:
        return []
    with transaction.atomic():
        # PostgreSQL skips rows another dispatcher holds; SQLite has one writer at a time.
        locked = rows.select_for_update(skip_locked=True, of=("self",))
        found = list(locked.values_list("pk", "claim_token")[: len(slots)])
        rows.model._default_manager.filter(pk__in=[pk for pk, _ in found]).update(
            lease_until=now + LEASE, claim_token=F("claim_token") + 1
        )
    return [Claim(pk, token + 1, slot) for (pk, token), slot in zip(found, slots, strict=False)]


def give_back(
    rows: models.QuerySet[PollState] | models.QuerySet[Gap], claims: Sequence[Claim]
) -> None:
    """End leases of claims that were not used; their rows are due again at once."""
    for claim in claims:
        rows.filter(pk=claim.pk, claim_token=claim.token).update(lease_until=None)


def poll_now(source_ids: Sequence[int], now: datetime) -> int:
    """Make sources due at once (an operator pressed «Poll now»); returns how many."""
    enrol(now)
    return PollState.objects.filter(pk__in=source_ids).update(next_poll_at=now, claim_order=now)
