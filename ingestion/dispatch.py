"""Once a second: claim what is due, in fair order, within the budget, and hand it to the workers.

Idempotent, so that two clocks do no harm: a row is claimed by whoever updates it first. A claim
is a lease with a fencing token and leaves `next_poll_at` alone, so that a crash loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models

from devices.models import Connection
from ingestion.claiming import (
    DEADLINE_S,
    EXPIRES_S,
    LEASE,
    Candidate,
    accounts_with_work,
    candidates,
    due_by,
    lease,
    lease_rows,
    open_gaps,
)
from ingestion.claims import Claim
from ingestion.enrolment import enrol, enrol_new
from ingestion.models import Gap, PollState, slacks
from ingestion.models.poll_state import BY_HAND
from ingestion.resilience.gate import Gate, Reservation
from ingestion.resilience.policy import Route
from ingestion.rules import route_of

__all__ = [
    "DEADLINE_S",
    "EXPIRES_S",
    "LEASE",
    "Dispatched",
    "Queues",
    "dispatch",
    "give_back",
    "poll_now",
]

# Slots are booked so far ahead: until the next tick, and a late one costs no slot.
AHEAD_S = 2.0
# Entries of a backfill page may take their time; one page a tick and account is plenty.
PAGES_A_TICK = 1
# As long as the probe of a half-open host may be on its way to a worker.
OFFER_S = EXPIRES_S + AHEAD_S


@dataclass(slots=True)
class Dispatched:
    """What one tick handed out."""

    polls: int = 0
    pages: int = 0


Clock = Callable[[], datetime]
Enqueue = Callable[[Sequence[Claim]], object]


@dataclass(frozen=True, slots=True)
class Queues:
    """Where claims go; the dispatcher does not know what carries them."""

    polls: Enqueue
    pages: Enqueue


@dataclass(slots=True)
class _Account:
    """One account in one tick: how much room its budget has, and what is to use it."""

    connection: Connection
    route: Route
    room: int
    trial: bool
    """Its host is half-open: one request goes ahead, for all accounts of the host."""
    rows: list[Candidate] = field(default_factory=list)
    booked: Reservation | None = None

    @property
    def busy(self) -> bool:
        """Whether due polls may be left for the next tick."""
        return self.trial or len(self.rows) >= self.room


def dispatch(clock: Clock, gate: Gate, queues: Queues) -> Dispatched:
    """Hand out every poll that is due and affordable, then one backfill page per account.

    Raises GateUnavailable when Redis is away: without a budget nothing is asked.
    """
    now = clock()
    enrol_new(now)
    done = Dispatched()
    slack_s = slacks()
    accounts = list(_accounts(accounts_with_work(now), gate))
    for account in accounts:
        if account.connection.polls_due:  # type: ignore[attr-defined]  # annotated
            account.rows = candidates(account.connection, account.room, slack_s, now)
            _book(account, gate)
    _hand_out_polls(accounts, clock, gate, queues, done)
    for account in accounts:
        if account.connection.gaps_due and not account.busy:  # type: ignore[attr-defined]
            _hand_out_page(account, clock, gate, queues, done)
    return done


def _accounts(connections: Iterable[Connection], gate: Gate) -> Iterable[_Account]:
    """Those whose host may be asked and whose budget has a free slot before the next tick."""
    for connection in connections:
        route = route_of(connection)
        snapshot = gate.snapshot(route.host, route.group, route.rate)
        room = snapshot.slots_within(AHEAD_S)
        if snapshot.admits is not None:
            room = min(room, snapshot.admits)
        if room > 0:
            yield _Account(connection, route, room, trial=snapshot.admits is not None)


def _book(account: _Account, gate: Gate) -> None:
    """Book a slot for each row, and keep no more rows than slots."""
    if account.rows and account.trial and not gate.offer(account.route.host, OFFER_S):
        account.rows = []
    if account.rows:
        route = account.route
        account.booked = gate.reserve(route.group, route.rate, len(account.rows), AHEAD_S)
        account.rows = account.rows[: account.booked.granted]


def _hand_out_polls(
    accounts: Sequence[_Account], clock: Clock, gate: Gate, queues: Queues, done: Dispatched
) -> None:
    keys = [row.pk for account in accounts for row in account.rows]
    if not keys:
        return
    tokens = lease(keys, clock())
    for account in accounts:
        if account.booked is None:
            continue
        held = [(row.pk, tokens[row.pk]) for row in account.rows if row.pk in tokens]
        claims = _claims(held, account.booked)
        for start in range(0, len(claims), settings.POLL_BATCH):
            queues.polls(claims[start : start + settings.POLL_BATCH])
        _refund(account.route, account.booked, len(claims), gate)
        done.polls += len(claims)


def _hand_out_page(
    account: _Account, clock: Clock, gate: Gate, queues: Queues, done: Dispatched
) -> None:
    """One page, unless a poll becomes due before the slot after it: no page delays a poll."""
    now, route = clock(), account.route
    slot = timedelta(seconds=route.rate.interval_s)
    if due_by(account.connection, now + slot, now):
        return
    booked = gate.reserve(route.group, route.rate, PAGES_A_TICK, AHEAD_S)
    gaps = open_gaps(now).filter(source__connection=account.connection)
    tokens = lease_rows(gaps.order_by("next_try_at", "pk"), now, booked.granted)
    claims = _claims(list(tokens.items()), booked)
    if claims:
        queues.pages(claims)
    _refund(route, booked, len(claims), gate)
    done.pages += len(claims)


def _claims(held: Sequence[tuple[int, int]], booked: Reservation) -> list[Claim]:
    """Rows and slots in their order, as claims."""
    return [Claim(pk, token, booked.starts_at(slot)) for slot, (pk, token) in enumerate(held)]


def _refund(route: Route, booked: Reservation, used: int, gate: Gate) -> None:
    if used < booked.granted:
        gate.refund(route.group, booked, booked.granted - used)


def give_back(
    rows: models.QuerySet[PollState] | models.QuerySet[Gap], claims: Sequence[Claim]
) -> None:
    """End leases of claims that were not used; their rows are due again at once."""
    for claim in claims:
        rows.filter(pk=claim.pk, claim_token=claim.token).update(lease_until=None)


def poll_now(source_ids: Sequence[int], now: datetime) -> int:
    """Make sources due at once (an operator pressed «Poll now»); returns how many."""
    enrol(now, source_ids)
    return PollState.objects.filter(pk__in=source_ids).update(next_poll_at=now, urgency=BY_HAND)
