"""Once a second: claim what is due, in fair order, within the budget, and hand it to the workers.

Idempotent, so that two clocks do no harm: a row is claimed by whoever updates it first. A claim
is a lease with a fencing token and leaves `next_poll_at` alone, so that a crash loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models

from devices.models import Connection
from ingestion.claiming import (
    AHEAD_S,
    DEADLINE_S,
    EXPIRES_S,
    LEASE,
    PAGE_LEASE,
    STORES_S,
    Work,
    accounts_with_work,
    candidates,
    due,
    gaps_to_fill,
    lease,
    lease_rows,
    open_gaps,
)
from ingestion.claims import Claim
from ingestion.enrolment import enrol, enrol_new
from ingestion.gaps.lane import has_room, poll_comes
from ingestion.models import Gap, PollState, slacks
from ingestion.models.poll_state import BY_HAND
from ingestion.resilience.gate import Gate, Reservation
from ingestion.resilience.policy import Route
from ingestion.rules import route_of

__all__ = [
    "AHEAD_S",
    "DEADLINE_S",
    "EXPIRES_S",
    "LEASE",
    "Dispatched",
    "Queues",
    "dispatch",
    "give_back",
    "next_pages",
    "poll_now",
]

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

    work: Work
    route: Route
    room: int
    trial: bool
    """Its host is half-open: one request goes ahead, for all accounts of the host."""
    rows: list[int] = field(default_factory=list)
    booked: Reservation | None = None

    @property
    def connection(self) -> Connection:
        """The account itself."""
        return self.work.account

    @property
    def may_fill(self) -> bool:
        """Whether gaps wait for a page, and no due poll is left for later."""
        return self.work.gaps_due and not self.trial and len(self.rows) < self.room


def dispatch(clock: Clock, gate: Gate, queues: Queues) -> Dispatched:
    """Hand out every poll that is due and affordable, then a page of history.

    Raises GateUnavailable when Redis is away: without a budget nothing is asked.
    """
    now = clock()
    enrol_new(now)
    done = Dispatched()
    accounts = _accounts(accounts_with_work(now), gate)
    _book(accounts, gate, now)
    _hand_out_polls(accounts, clock, gate, queues, done)
    pages = _claim_page(accounts, clock, gate)
    if pages:
        queues.pages(pages)
    done.pages += len(pages)
    return done


def next_pages(held: Sequence[Claim], clock: Clock, gate: Gate) -> list[Claim]:
    """What to go on with once pages of the gaps `held` are stored, without waiting for a tick.

    More of the same; what cannot be gone on with is given back, and then it is another's turn.
    Nothing of accounts with due polls: they go first. Raises GateUnavailable.
    """
    now = clock()
    wanted = gaps_to_fill(now).filter(
        pk__in=[one.pk for one in held],
        lease_until__gte=now + PAGE_LEASE - timedelta(seconds=STORES_S),  # no request outlives it
        source__connection__enabled=True,
    )
    gaps = {(one.pk, one.claim_token): one for one in wanted.select_related("source__connection")}
    claims = []
    for one in held:
        gap = gaps.get((one.pk, one.token))
        slot = _next_slot(gap.source.connection, now, gate) if gap else None
        if slot is None:
            give_back(Gap.objects.all(), [one])
        else:
            claims.append(replace(one, not_before=slot))
    if claims:
        return claims
    works = [one for one in accounts_with_work(now) if one.gaps_due and not one.polls_due]
    return _claim_page(_accounts(works, gate), clock, gate)


def _next_slot(connection: Connection, now: datetime, gate: Gate) -> float | None:
    """When the slot begins of one more page of an account; None where it has to wait."""
    if due(now).filter(connection=connection).exists() or poll_comes(connection, now, AHEAD_S):
        return None
    for account in _accounts([Work(connection, polls_due=False, gaps_due=True)], gate):
        if account.may_fill:
            booked = gate.reserve(account.route.group, account.route.rate, 1, AHEAD_S)
            return booked.starts_at(0) if booked.granted else None
    return None


def _accounts(works: Sequence[Work], gate: Gate) -> list[_Account]:
    """Those whose host may be asked and whose budget has a free slot before the next tick."""
    routes = [route_of(one.account) for one in works]
    looks = gate.snapshots([(one.host, one.group, one.rate) for one in routes]) if routes else []
    accounts = []
    for work, route, look in zip(works, routes, looks, strict=True):
        room = look.slots_within(AHEAD_S)
        if look.admits is not None:
            room = min(room, look.admits)
        if room > 0:
            accounts.append(_Account(work, route, room, trial=look.admits is not None))
    return accounts


def _book(accounts: Sequence[_Account], gate: Gate, now: datetime) -> None:
    """Find the due rows and book a slot for each; no account keeps more rows than slots."""
    room = {one.connection.pk: one.room for one in accounts if one.work.polls_due}
    if not room:
        return
    rows = candidates(room, slacks(), now)
    for account in accounts:
        account.rows = rows.get(account.connection.pk, [])
        if account.trial and account.rows and not gate.offer(account.route.host, OFFER_S):
            account.rows = []
    asking = [one for one in accounts if one.rows]
    wanted = [(one.route.group, one.route.rate, len(one.rows)) for one in asking]
    for account, booked in zip(asking, gate.reserve_many(wanted, AHEAD_S), strict=True):
        account.booked = booked
        account.rows = account.rows[: booked.granted]


def _hand_out_polls(
    accounts: Sequence[_Account], clock: Clock, gate: Gate, queues: Queues, done: Dispatched
) -> None:
    """Lease the rows and send them off in the order of their slots, accounts mixed."""
    keys = [pk for account in accounts for pk in account.rows]
    if not keys:
        return
    tokens = lease(keys, clock())
    claims: list[Claim] = []
    for account in accounts:
        if account.booked is not None:
            held = [(pk, tokens[pk]) for pk in account.rows if pk in tokens]
            claims += _claims(held, account.booked)
            _refund(account.route, account.booked, len(held), gate)
    claims.sort(key=lambda one: one.not_before)
    for start in range(0, len(claims), settings.POLL_BATCH):
        queues.polls(claims[start : start + settings.POLL_BATCH])
    done.polls += len(claims)


def _claim_page(accounts: Sequence[_Account], clock: Clock, gate: Gate) -> list[Claim]:
    """Lease the page that waited longest of an account whose polls it does not delay.

    Each second another account is asked first: none has to wait until another's gaps are filled.
    """
    filling = [one for one in accounts if one.may_fill]
    first = int(clock().timestamp()) % len(filling) if filling else 0
    for account in (*filling[first:], *filling[:first]):
        if not has_room(account.connection, clock(), AHEAD_S):
            continue
        now, route = clock(), account.route
        booked = gate.reserve(route.group, route.rate, 1, AHEAD_S)
        gaps = open_gaps(now).filter(source__connection=account.connection)
        tokens = lease_rows(gaps.order_by("next_try_at", "pk"), now, booked.granted)
        claims = _claims(list(tokens.items()), booked)
        _refund(route, booked, len(claims), gate)
        if claims:
            return claims
    return []


def _claims(held: Sequence[tuple[int, int]], booked: Reservation) -> list[Claim]:
    """Rows and slots in their order, as claims."""
    return [Claim(pk, token, booked.starts_at(slot)) for slot, (pk, token) in enumerate(held)]


def _refund(route: Route, booked: Reservation, used: int, gate: Gate) -> None:
    if used < booked.granted:
        gate.refund(route.group, booked, booked.granted - used)


def give_back(
    rows: models.QuerySet[PollState] | models.QuerySet[Gap],
    claims: Sequence[Claim],
    at: datetime | None = None,
) -> None:
    """End leases of claims that nobody carries out, at once or `at` a time: their rows are due."""
    for claim in claims:
        rows.filter(pk=claim.pk, claim_token=claim.token).update(lease_until=at)


def poll_now(source_ids: Sequence[int], now: datetime) -> int:
    """Make sources due at once (an operator pressed «Poll now»); returns how many."""
    enrol(now, source_ids)
    return PollState.objects.filter(pk__in=source_ids).update(next_poll_at=now, urgency=BY_HAND)
