"""Counters equal the poll log: late commits, several who count, standstill, clocks put right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from devices.models import Connection, ThingSpeakChannel
from ingestion.housekeeping import prune_logs
from ingestion.models import ConnectionHour, ConnectionMinute, CountedUntil, Lane, PollLog
from ingestion.observe import counting
from ingestion.observe.counting import SETTLED, count_up
from ingestion.observe.counts import ANSWERED, Counts
from ingestion.observe.latency import bucket_of
from ingestion.observe.ledger import (
    DAY,
    MONTH,
    by_account,
    day,
    ledger,
    month,
    since_hour,
    since_minute,
)
from ingestion.tests import stack as network

NOW = datetime(2026, 11, 20, 12, 34, 56, tzinfo=UTC)
# What the poll log may hold, and whether it is a request.
ROWS = [
    ("ok", 200), ("empty", 200), ("throttled", 429), ("credential", 401), ("credential", None),
    ("timeout", None), ("connect", None), ("too_large", None), ("server", 500), ("budget", None),
    ("circuit_open", None), ("ours", None), ("address_refused", None), ("bad_request", None),
]  # fmt: skip
NOT_SENT = {
    ("credential", None), ("budget", None), ("circuit_open", None), ("ours", None),
    ("address_refused", None), ("bad_request", None),
}  # fmt: skip


def two_sources() -> list[ThingSpeakChannel]:
    """A source at each of two accounts."""
    accounts = [
        Connection.objects.create(name=f"Account {seconds}", rate_window_s=seconds)
        for seconds in WINDOWS
    ]
    return [network.channel(one, number, ()) for number, one in enumerate(accounts, 1)]


def poll(source: Any, at: datetime, what: tuple[str, int | None] = ("ok", 200), **more: Any) -> Any:
    values = {"lane": Lane.LIVE, "duration_ms": 120.0, "entries": 2, "readings": 1, **more}
    return PollLog(source=source, at=at, outcome=what[0], status=what[1], **values)


def truth(since: datetime) -> dict[int, tuple[int, int, Counter[str], Counter[int], int]]:
    """The poll log, counted row by row."""
    found: dict[int, Any] = {}
    for row in PollLog.objects.filter(at__gte=since).select_related("source"):
        if (row.outcome, row.status) in NOT_SENT:
            continue
        asked, answered, outcomes, latency, readings = found.get(
            row.source.connection_id, (0, 0, Counter(), Counter(), 0)
        )
        outcomes[row.outcome] += 1
        if row.status is not None:
            latency[bucket_of(row.duration_ms)] += 1
        found[row.source.connection_id] = (
            asked + 1, answered + (row.outcome in ANSWERED), outcomes, latency,
            readings + row.readings,
        )  # fmt: skip
    return found


def shown(counts: Mapping[int, Counts]) -> dict[int, Any]:
    return {
        account: (one.requests, one.answered, Counter(one.outcomes), Counter(one.latency),
                  one.readings)
        for account, one in counts.items()
    }  # fmt: skip


WINDOWS = (60, 7200)


def assert_equal_to_the_poll_log(now: datetime) -> None:
    of_day = truth(since_minute(now, DAY))
    of_hour = truth(since_minute(now, timedelta(hours=1)))
    of_month = truth(since_hour(now, MONTH))
    assert shown(by_account(day(now))) == of_day
    assert shown(by_account(month(now))) == of_month
    accounts = dict(Connection.objects.values_list("pk", "rate_window_s"))
    seen = ledger(now, accounts)
    assert shown(by_account(seen.minutes)) == of_hour
    assert sums(shown(seen.day)) == sums(of_day)
    assert sums(shown(seen.month)) == sums(of_month)
    for account, seconds in accounts.items():
        exact = truth(after(now - timedelta(seconds=seconds))).get(account, (0,))[0]
        begun_hour = truth(counting.hour_of(now - timedelta(seconds=seconds)))
        most = exact if seconds == 60 else begun_hour.get(account, (0,))[0]
        assert exact <= seen.in_window[account] <= most


def after(at: datetime) -> datetime:
    """A window that ends now does not hold its begin."""
    return at + timedelta.resolution


def sums(found: dict[int, Any]) -> dict[int, tuple[int, int]]:
    return {account: one[:2] for account, one in found.items() if one[0]}


@dataclass(frozen=True)
class Step:
    """Some time passes; a poll that began a while ago is committed; perhaps somebody counts."""

    passes_s: float
    began_s_ago: float
    source: int
    what: tuple[str, int | None]
    lane: str
    duration_ms: float
    counts: int


STEPS = st.lists(
    st.builds(
        Step,
        passes_s=st.one_of(st.floats(0, 90), st.floats(0, 5 * 3600)),
        began_s_ago=st.floats(0, SETTLED.total_seconds() - 1),
        source=st.integers(0, 1),
        what=st.sampled_from(ROWS),
        lane=st.sampled_from(Lane.values),
        duration_ms=st.floats(0.01, 30_000),
        counts=st.integers(0, 3),
    ),
    max_size=15,
)


class Property(TestCase):
    """On whichever database the suite runs."""

    @settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
    @given(STEPS)
    def test_totals_equal_the_poll_log_at_every_instant(self, steps: Sequence[Step]) -> None:
        sources, now = two_sources(), NOW
        for step in steps:
            now += timedelta(seconds=step.passes_s)
            poll(
                sources[step.source],
                now - timedelta(seconds=step.began_s_ago),
                step.what,
                lane=step.lane,
                duration_ms=step.duration_ms,
            ).save()
            for _ in range(step.counts):
                count_up(now)
            if step.counts == 3:
                assert_equal_to_the_poll_log(now)
        assert_equal_to_the_poll_log(now)
        now += SETTLED * 2
        while count_up(now):
            pass
        assert_equal_to_the_poll_log(now)


@pytest.fixture
def sources(db: None) -> list[ThingSpeakChannel]:
    return two_sources()


def every_minute(source: Any, minutes: int, until: datetime = NOW) -> None:
    PollLog.objects.bulk_create(
        [poll(source, until - timedelta(minutes=n)) for n in range(minutes)]
    )


def test_days_of_standstill_are_made_up_for_in_portions(sources: list[Any]) -> None:
    count_up(NOW - timedelta(days=3))
    every_minute(sources[0], 3 * 24 * 60)
    rounds = 1
    while count_up(NOW):
        rounds += 1
    assert rounds == 24
    assert_equal_to_the_poll_log(NOW)
    assert sum(one.requests for one in ConnectionHour.objects.all()) == 3 * 24 * 60 - 6


def test_what_is_not_counted_yet_is_not_forgotten(sources: list[Any]) -> None:
    count_up(NOW - timedelta(days=4))
    every_minute(sources[0], 60, until=NOW - timedelta(days=3))
    prune_logs(NOW, NOW)
    assert PollLog.objects.count() == 60
    while count_up(NOW):
        pass
    prune_logs(NOW, NOW)
    assert PollLog.objects.count() == 0
    assert sum(one.requests for one in ConnectionHour.objects.all()) == 60
    prune_logs(NOW + timedelta(days=8), NOW)
    counting.prune_counts(NOW + timedelta(days=8))
    assert not ConnectionMinute.objects.exists()
    assert ConnectionHour.objects.exists()


def test_a_site_that_never_counted_starts_where_its_log_is_whole(sources: list[Any]) -> None:
    poll(sources[0], NOW - timedelta(days=20), ("timeout", None)).save()
    every_minute(sources[0], 30)
    while count_up(NOW):
        pass
    assert not ConnectionHour.objects.filter(hour__lt=NOW - timedelta(days=1)).exists()
    assert_equal_to_the_poll_log_of(NOW, 30)


def assert_equal_to_the_poll_log_of(now: datetime, requests: int) -> None:
    assert sum(one.counts.requests for one in day(now)) == requests


def test_a_clock_that_ran_ahead_loses_nothing(sources: list[Any]) -> None:
    every_minute(sources[0], 30)
    count_up(NOW + timedelta(hours=20))
    for ahead in range(7):
        count_up(NOW + timedelta(hours=20, minutes=ahead))
    assert CountedUntil.objects.get().until > NOW
    count_up(NOW)
    every_minute(sources[0], 30, until=NOW + timedelta(minutes=31))
    later = NOW + timedelta(minutes=31)
    while count_up(later):
        pass
    assert_equal_to_the_poll_log(later)
    assert_equal_to_the_poll_log_of(later, 60)


def test_the_work_does_not_grow_with_what_is_counted_already(sources: list[Any]) -> None:
    def cost() -> int:
        with CaptureQueriesContext(database) as queries:
            ledger(NOW, {sources[0].connection_id: 60})
        return len(queries)

    every_minute(sources[0], 24 * 60)
    every_minute(sources[1], 24 * 60)
    while count_up(NOW):
        pass
    assert cost() == 4
    assert len(counting.from_poll_log(CountedUntil.objects.get().until, NOW)) == 10


@pytest.mark.usefixtures("shared_database")
def test_several_who_count_at_once_count_once() -> None:
    source = two_sources()[0]
    every_minute(source, 300)

    def count(_: int) -> None:
        try:
            while count_up(NOW):
                pass
        finally:
            database.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, range(4)))
    assert sum(one.requests for one in ConnectionMinute.objects.all()) == 300 - 6
    assert sum(one.requests for one in ConnectionHour.objects.all()) == 300 - 6
    assert_equal_to_the_poll_log(NOW)
