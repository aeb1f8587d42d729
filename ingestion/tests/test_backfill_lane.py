"""Pages of history never make a live poll wait: not for its budget, not for a worker."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from devices.models import Connection
from ingestion.claims import Claim
from ingestion.dispatch import AHEAD_S, LEASE, Queues, dispatch
from ingestion.gaps.lane import has_room
from ingestion.models import Gap, Lane, PollLog, PollState
from ingestion.tests import stack as network
from ingestion.tests.stack import Stack
from ingestion.tests.test_nothing_lost import running, stack

__all__ = ["running", "stack"]
pytestmark = pytest.mark.django_db(transaction=True)

DAY = timedelta(days=1)


def lateness(source: Any) -> list[float]:
    """Seconds by which live polls followed each other too late (jitter of 5 % apart)."""
    times = PollLog.objects.filter(source=source, lane=Lane.LIVE).order_by("at")
    begun = list(times.values_list("at", flat=True))
    every = source.interval_s * 1.05 + 1.0  # a tick
    return [(b - a).total_seconds() - every for a, b in pairwise(begun)]


def test_at_four_requests_a_minute_a_long_fill_delays_no_poll(stack: Stack) -> None:
    account = network.connection(stack.simulator, rate_limit=4)
    source = network.channel(account, interval_s=60, history_from=stack.at - 5 * DAY)
    stack.run(300)
    assert max(lateness(source)) <= 0
    assert PollLog.objects.filter(lane=Lane.BACKFILL).count() >= 5
    assert Gap.objects.get().entries > 35_000


def test_an_account_without_budget_to_spare_fills_nothing(stack: Stack) -> None:
    account = network.connection(stack.simulator, rate_limit=4)
    network.channel(account, interval_s=15, history_from=stack.at - 3 * DAY)
    stack.run(300)
    assert Gap.objects.filter(entries=0).exists()
    assert not PollLog.objects.filter(lane=Lane.BACKFILL).exists()


def test_a_poll_under_way_that_is_due_again_soon_keeps_its_slot(stack: Stack) -> None:
    account = network.connection(stack.simulator, rate_limit=4)
    network.channel(account, interval_s=10, history_from=stack.at)
    assert has_room(account, stack.at, AHEAD_S)  # nobody was asked yet
    absorb: list[Claim] = []
    dispatch(lambda: stack.at, stack.gate, Queues(absorb.extend, absorb.extend))
    assert PollState.objects.get().lease_until
    assert not has_room(account, stack.at, AHEAD_S)


@pytest.fixture
def two_accounts(stack: Stack) -> None:
    """Each with a tank that lacks its last three days."""
    accounts = [
        network.connection(stack.simulator),
        Connection.objects.create(name="Another", base_url=stack.simulator.url, rate_limit=6000),
    ]
    for n, account in enumerate(accounts):
        of = network.device(f"Tank {n}")
        network.channel(account, of=of, interval_s=60, history_from=stack.at - 3 * DAY)


@pytest.mark.usefixtures("two_accounts")
def test_accounts_have_their_turns(stack: Stack) -> None:
    stack.run(4)
    assert [gap.entries > 0 for gap in Gap.objects.all()] == [True, True]


@pytest.mark.usefixtures("two_accounts")
def test_one_worker_is_always_free_for_live_polls(stack: Stack) -> None:
    pages: list[Claim] = []
    queues = Queues(stack.worker.poll, pages.extend)
    for _ in range(5):
        dispatch(lambda: stack.at, stack.gate, queues)
        stack.advance(1)
    assert len(pages) == 1
    stack.advance(LEASE.total_seconds())  # the worker died with it
    dispatch(lambda: stack.at, stack.gate, queues)
    assert len(pages) == 2
