"""A worker goes on with a gap at once: page after page, as long as nobody has to wait for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import ProgrammingError

from devices.models import Connection
from ingestion import gaps, work
from ingestion.claiming import PAGE_LEASE, STORES_S, lease_rows, open_gaps
from ingestion.claims import Claim
from ingestion.dispatch import Queues, dispatch, next_pages
from ingestion.entries import Entry
from ingestion.gaps.backfill import cancel
from ingestion.models import Gap, GapReason, GapState, Lane, PollLog, PollState
from ingestion.resilience.gate import GateUnavailable
from ingestion.sources.base import Fetched
from ingestion.tests import stack as network
from ingestion.tests.stack import Stack
from ingestion.tests.test_nothing_lost import Interrupted, running, served, stack, stored

__all__ = ["running", "stack"]
pytestmark = pytest.mark.django_db(transaction=True)

DAY = timedelta(days=1)
PAGES = 3
"""Three days of an entry every 11 seconds, 8,000 a page."""


class Killed(BaseException):
    """The worker dies here."""


@pytest.fixture
def source(stack: Stack) -> Any:
    """A tank whose last three days were found to be missing, and a worker that goes on."""
    stack.go_on_s = work.GO_ON_S
    stack.worker = stack.worker_with(stack.gate, stack.worker.equipment.transport)
    account = network.connection(stack.simulator)
    found = network.channel(account, history_from=stack.at - 3 * DAY, interval_s=600)
    stack.worker.poll(due_polls(stack))
    return found


def due_polls(stack: Stack) -> list[Claim]:
    """The polls that a tick hands out; nobody carries out its pages."""
    polls: list[Claim] = []
    dispatch(lambda: stack.at, stack.gate, Queues(polls.extend, lambda _: None))
    Gap.objects.update(lease_until=None)
    return polls


def leased(stack: Stack) -> dict[int, int]:
    """The gap and its token, leased as by a tick."""
    return lease_rows(open_gaps(stack.at), stack.at)


def tick(stack: Stack, meanwhile: Callable[[int], object] = lambda _: None) -> None:
    """One tick, and what else happens while each page is on its way, by the page's number."""
    pages = iter(range(1, 1000))

    def happens() -> None:
        meanwhile(next(pages))

    flying = Interrupted(stack.worker.equipment.transport, happens)
    fills = stack.worker_with(stack.gate, flying).fill
    dispatch(lambda: stack.at, stack.gate, Queues(stack.worker.poll, fills))


def pages_stored() -> int:
    return PollLog.objects.filter(lane=Lane.BACKFILL).count()


def assert_left_to_others(pages: int) -> None:
    """So many pages were stored, and whoever is next may take the gap."""
    gap = Gap.objects.get()
    assert (pages_stored(), gap.state, gap.lease_until) == (pages, GapState.FILLING, None)


def assert_all_is_read_once(stack: Stack, source: Any) -> None:
    assert set(Gap.objects.values_list("state", flat=True)) == {GapState.FILLED}
    found = sorted(stored(source))
    assert found == [n for n in served(stack, stack.at - 4 * DAY, stack.at) if n in set(found)]
    assert len(found) > 2 * 8000


def test_a_gap_is_read_within_one_tick(stack: Stack, source: Any) -> None:
    tick(stack)
    assert pages_stored() == PAGES
    assert_all_is_read_once(stack, source)


def test_a_poll_that_becomes_due_goes_first(stack: Stack, source: Any) -> None:
    tick(stack, lambda _: PollState.objects.update(next_poll_at=stack.at))
    assert_left_to_others(1)


def test_after_some_seconds_others_have_their_turn(stack: Stack, source: Any) -> None:
    tick(stack, lambda _: stack.advance(work.GO_ON_S + 1))
    assert_left_to_others(2)


def test_a_lease_that_is_half_over_is_given_back(stack: Stack, source: Any) -> None:
    """The database was away while a page was to be stored: its lease counts from before that."""
    (claim,) = [Claim(pk, token, 0.0) for pk, token in leased(stack).items()]
    Gap.objects.update(state=GapState.FILLING, lease_until=stack.at + PAGE_LEASE)
    assert [one.pk for one in next_pages([claim], lambda: stack.at, stack.gate)] == [claim.pk]
    stack.advance(STORES_S + 1)
    (another,) = next_pages([claim], lambda: stack.at, stack.gate)
    assert (another.pk, another.token) == (claim.pk, claim.token + 1)  # leased anew, as by a tick


def test_switched_off_meanwhile_it_ends_there(stack: Stack, source: Any) -> None:
    tick(stack, lambda _: Connection.objects.update(enabled=False))
    assert_left_to_others(1)


def test_cancelled_meanwhile_it_ends_there(stack: Stack, source: Any) -> None:
    Gap.objects.update(reason=GapReason.REQUESTED)
    tick(stack, lambda page: page == 2 and cancel(Gap.objects.get(), stack.at))
    assert (pages_stored(), Gap.objects.get().state) == (1, GapState.CANCELLED)


def test_without_a_budget_to_ask_for_it_is_given_back(
    stack: Stack, source: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise GateUnavailable("Redis cannot be reached")

    monkeypatch.setattr(stack.gate, "snapshots", away)
    claims = [Claim(pk, token, 0.0) for pk, token in leased(stack).items()]
    assert stack.worker.fill(claims) == 1
    assert_left_to_others(1)


def test_a_defect_of_our_own_is_not_taken_for_an_outage(
    stack: Stack, source: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*_: object) -> None:
        raise ProgrammingError("no such column")

    monkeypatch.setattr(work, "next_pages", wrong)
    with pytest.raises(ProgrammingError):
        tick(stack)
    assert pages_stored() == 1


def test_a_worker_that_is_killed_between_pages_loses_none(stack: Stack, source: Any) -> None:
    def killed(page: int) -> None:
        if page == 2:
            raise Killed

    with pytest.raises(Killed):
        tick(stack, killed)
    tick(stack)
    assert pages_stored() == 1  # nobody knows that it is dead: its lease still stands
    stack.advance(PAGE_LEASE.total_seconds() + 1)
    stack.read_everything()
    assert_all_is_read_once(stack, source)


def test_then_it_is_the_turn_of_another_account(stack: Stack, source: Any) -> None:
    account = Connection.objects.create(
        name="Another", base_url=stack.simulator.url, rate_limit=6000
    )
    other = network.channel(
        account, of=network.device("Other"), history_from=stack.at - DAY, interval_s=600
    )
    stack.worker.poll(due_polls(stack))
    tick(stack)
    assert set(Gap.objects.values_list("state", flat=True)) == {GapState.FILLED}
    assert len(stored(other)) > 7_000


def test_a_page_from_before_the_gap_ends_it(stack: Stack, source: Any) -> None:
    """Of a server that gives the newest entries up to an end, and heeds no beginning."""
    gap = Gap.objects.get()
    old = [Entry(gap.since - DAY, number, {"field1": "1"}) for number in range(3)]
    page = Fetched(old, full=True)
    gaps.settle_page(Claim(gap.pk, gap.claim_token, 0.0), gap, page, "", stack.at, keep=True)
    gap.refresh_from_db()
    assert (gap.state, gap.lease_until) == (GapState.FILLED, None)
