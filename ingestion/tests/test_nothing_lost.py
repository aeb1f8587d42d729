"""Rows that come in awkward company are read all the same: holes while pages fly, odd times."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection

from devices.readings.samples import LARGEST, HistoryRequest
from devices.readings.store import get_store
from ingestion import dispatch as dispatching
from ingestion import gaps
from ingestion.claims import Claim, LeaseLost
from ingestion.dispatch import Queues, dispatch, poll_now
from ingestion.drift.accepting import accept_field_names
from ingestion.entries import Entry
from ingestion.models import Gap, GapState, PollLog, PollState, Rejection
from ingestion.resilience.policy import RetryPolicy
from ingestion.resilience.transport import Landed, Sending, Transport
from ingestion.sources.base import Fetched
from ingestion.tests import stack as network
from ingestion.tests.stack import START, TANK, Stack
from simulator.testing import RunningSimulator

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSimulator]:
    with RunningSimulator() as simulator:
        yield simulator


@pytest.fixture
def stack(running: RunningSimulator, redis_socket: str, settings: Any) -> Iterator[Stack]:
    settings.REDIS_URL = f"unix://{redis_socket}"
    running.control("reset", "POST", {})
    yield Stack(running)
    running.control("reset", "POST", {})


def stored(source: Any, field: str = "field1") -> list[int]:
    """Entry numbers of every reading of one field."""
    metric = source.device.metrics.get(name=field)
    request = HistoryRequest(metric.pk, gaps.BEGINNING, gaps.END, limit=100_000)
    return [one.sequence for one in get_store().history(request)]


def served(stack: Stack, since: datetime, until: datetime) -> list[int]:
    """The simulator's own list of the tank's entry numbers."""
    query = f"rows?channel={TANK}&start={since.timestamp():.0f}&end={until.timestamp():.0f}"
    return sorted(number for _, number in stack.simulator.control(query)["rows"])


@dataclass
class Interrupted:
    """The real transport; something else happens while a page is on its way."""

    transport: Transport
    meanwhile: Callable[[], None]

    def send(self, requests: Iterable[Sending | None]) -> Iterator[Landed | None]:
        for landed in self.transport.send(requests):
            if landed is not None:
                self.meanwhile()
            yield landed


def absorb(_: int) -> None:
    """What was settled is not asked for here."""


def test_a_hole_found_while_a_page_is_on_its_way_is_read_too(stack: Stack) -> None:
    since = stack.at - timedelta(hours=30)
    account = network.connection(stack.simulator)
    source = network.channel(account, history_from=since, interval_s=60)
    polls: list[Claim] = []
    pages: list[Claim] = []
    queues = Queues(polls.extend, pages.extend)
    dispatch(lambda: stack.at, stack.gate, queues)
    stack.worker.poll(polls)  # finds the history to be a gap
    polls.clear()
    stack.advance(3000)  # the site was off: the next poll will find a hole of 170 entries
    dispatch(lambda: stack.at, stack.gate, queues)
    assert len(polls) == len(pages) == 1
    transport = stack.worker.equipment.transport
    flying = Interrupted(transport, lambda: absorb(stack.worker.poll(polls)))
    stack.worker_with(stack.gate, flying).fill(pages)
    stack.read_everything()
    found = sorted(stored(source))
    assert found == [one for one in served(stack, since, stack.at) if one <= found[-1]]
    assert set(Gap.objects.values_list("state", flat=True)) == {GapState.FILLED}


def test_a_page_asked_for_an_old_range_is_refused(stack: Stack) -> None:
    source = network.channel(network.connection(stack.simulator))
    hour = timedelta(hours=1)
    gap = gaps.open_gap(source, stack.at - 3 * hour, stack.at - 2 * hour, stack.at)
    claim = Claim(gap.pk, gap.claim_token, 0.0)
    gaps.open_gap(source, stack.at - 2 * hour, stack.at, stack.at)
    with pytest.raises(LeaseLost):
        gaps.settle_page(claim, gap, Fetched(), "", stack.at)
    gap.refresh_from_db()
    assert (gap.state, gap.until) == (GapState.OPEN, stack.at)


def test_holes_apart_from_each_other_do_not_have_the_middle_read_again(stack: Stack) -> None:
    source = network.channel(network.connection(stack.simulator))
    day = timedelta(days=1)
    history = gaps.open_gap(source, gaps.BEGINNING, stack.at - 9 * day, stack.at)
    hole = gaps.open_gap(source, stack.at - day, stack.at, stack.at)
    history.refresh_from_db()
    assert (history.until, hole.since) == (stack.at - 9 * day, stack.at - day)


def test_a_second_fuller_than_a_page_ends_a_gap_that_holds_nothing_else(stack: Stack) -> None:
    source = network.channel(network.connection(stack.simulator))
    gap = gaps.open_gap(source, stack.at, stack.at, stack.at)
    page = Fetched([Entry(stack.at, number, {"field1": "1"}) for number in range(3)], full=True)
    gaps.settle_page(Claim(gap.pk, gap.claim_token, 0.0), gap, page, "", stack.at)
    gap.refresh_from_db()
    assert gap.state == GapState.LOST
    assert "share the second" in gap.message


def test_a_row_ahead_of_our_clock_hides_none_that_come_before_it(stack: Stack) -> None:
    since = stack.at
    account = network.connection(stack.simulator)
    source = network.channel(account, history_from=since, interval_s=10)
    stack.run(30)
    fault = stack.simulator.fault("future", channel=TANK, seconds=400, count=1)
    stack.run(20)
    stack.simulator.control(f"faults/{fault}", "DELETE")
    stack.run(600)
    last = stack.at - timedelta(seconds=30)
    assert set(served(stack, since, last)) <= set(stored(source))


@pytest.mark.parametrize("scale", [1e200, -1e160, LARGEST * 10])
def test_an_absurd_number_costs_only_itself(stack: Stack, scale: float) -> None:
    account = network.connection(stack.simulator)
    source = network.channel(account, history_from=stack.at, interval_s=10)
    source.mappings.filter(field="field1").update(scale=scale)
    stack.run(60)
    assert stored(source, "field2")
    assert PollLog.objects.filter(outcome="ok").count() >= 4
    assert set(Rejection.objects.values_list("field", "reason")) == {("field1", "too_large")}


def test_history_fetched_while_a_field_is_renamed_is_what_it_was(stack: Stack) -> None:
    account = network.connection(stack.simulator)
    source = network.channel(account, interval_s=10, history_from=stack.at - timedelta(hours=30))
    source.mappings.filter(field="field1").update(remote_label="Water Level (cm)")
    stack.tick()
    renamed_at = PollState.objects.get().cursor_at
    stack.simulator.fault("rename", channel=TANK, field=1, label="Level (cm)")
    stack.read_everything()
    stack.run(30)
    assert len(stored(source)) > 9000  # older entries were sent under the old name
    newest = get_store().latest([source.device.metrics.get(name="field1").pk])
    assert [one.at for one in newest.values()] == [renamed_at]
    assert accept_field_names(source, stack.at)
    stack.work()
    stack.run(30)
    assert stored(source) == stored(source, "field2")


def test_no_worker_outlives_its_lease() -> None:
    longest = dispatching.EXPIRES_S + dispatching.DEADLINE_S + RetryPolicy().deadline_s
    assert dispatching.LEASE.total_seconds() > longest


def test_a_failure_of_our_own_is_in_the_poll_log_and_loses_nothing(stack: Stack) -> None:
    source = network.channel(network.connection(stack.simulator), history_from=stack.at)
    stack.advance(60)

    def full_disk(execute: Any, sql: str, *rest: Any) -> Any:
        if "last_outcome" in sql and sql.startswith("UPDATE"):
            raise OperationalError("database or disk is full")
        return execute(sql, *rest)

    with connection.execute_wrapper(full_disk):
        stack.tick()
    row = PollLog.objects.get()
    assert (row.outcome, row.readings) == ("ours", 0)
    assert "poll_failed" in row.message
    assert not stored(source)  # the transaction is whole or not at all
    stack.advance(dispatching.LEASE.total_seconds())
    stack.tick()
    assert min(stored(source)) == served(stack, START, stack.at)[0]


def test_a_poll_asked_for_is_due_at_once(stack: Stack) -> None:
    source = network.channel(network.connection(stack.simulator), history_from=stack.at)
    stack.run(3)
    assert poll_now([source.pk], stack.at) == 1
    before = PollLog.objects.count()
    stack.tick()
    assert PollLog.objects.count() == before + 1
