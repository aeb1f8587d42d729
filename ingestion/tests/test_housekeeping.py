"""What is forgotten, and what is not yet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from devices.models import Connection
from ingestion.housekeeping import prune_logs
from ingestion.models import Gap, GapReason, GapState, Lane, PollLog, Rejection
from ingestion.tests import stack as network

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.mark.django_db
def test_troubles_are_remembered_longer_than_successes() -> None:
    account = Connection.objects.create(name="Account")
    source = network.channel(account)
    for days, outcome in [(1, "ok"), (3, "ok"), (3, "timeout"), (31, "timeout")]:
        PollLog.objects.create(
            source=source,
            at=NOW - timedelta(days=days),
            lane=Lane.LIVE,
            outcome=outcome,
            duration_ms=1.0,
        )
    prune_logs(NOW, NOW)
    left = PollLog.objects.order_by("at").values_list("outcome", flat=True)
    assert list(left) == ["timeout", "ok"]


@pytest.mark.django_db
def test_gap_rows_do_not_grow_without_bound() -> None:
    source = network.channel(Connection.objects.create(name="Account"))
    for days, state, reason in [
        (29, GapState.FILLED, GapReason.UNREAD),
        (31, GapState.FILLED, GapReason.UNREAD),
        (31, GapState.FILLED, GapReason.REQUESTED),
        (364, GapState.LOST, GapReason.NUMBERS),
        (366, GapState.LOST, GapReason.NUMBERS),
        (366, GapState.CANCELLED, GapReason.REQUESTED),
        (999, GapState.OPEN, GapReason.UNREAD),
    ]:
        at = NOW - timedelta(days=days)
        closed = None if state == GapState.OPEN else at
        Gap.objects.create(
            source=source, state=state, reason=reason, since=at, until=at, range_until=at,
            found_at=at, next_try_at=at, closed_at=closed,
        )  # fmt: skip
    prune_logs(NOW, NOW)
    left = Gap.objects.order_by("found_at").values_list("state", "reason")
    assert list(left) == [
        (GapState.OPEN, GapReason.UNREAD),
        (GapState.LOST, GapReason.NUMBERS),
        (GapState.FILLED, GapReason.REQUESTED),
        (GapState.FILLED, GapReason.UNREAD),
    ]


@pytest.mark.django_db
def test_a_clock_that_jumps_ahead_takes_only_what_the_next_polls_bring_again() -> None:
    source = network.channel(Connection.objects.create(name="Account"))
    Rejection.objects.create(source=source, received_at=NOW, reason="not_a_number", detail="No.")
    Gap.objects.create(
        source=source, state=GapState.LOST, reason=GapReason.NUMBERS, since=NOW, until=NOW,
        range_until=NOW, found_at=NOW, next_try_at=NOW, closed_at=NOW,
    )  # fmt: skip
    PollLog.objects.create(source=source, at=NOW, lane=Lane.LIVE, outcome="ok", duration_ms=1.0)
    prune_logs(NOW + timedelta(days=400), NOW)
    assert (Rejection.objects.count(), Gap.objects.count()) == (1, 1)
    assert not PollLog.objects.exists()
