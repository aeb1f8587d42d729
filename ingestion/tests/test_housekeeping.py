"""What is forgotten, and what is not yet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from devices.models import Connection
from ingestion.housekeeping import prune_logs
from ingestion.models import Lane, PollLog
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
    prune_logs(NOW)
    left = PollLog.objects.order_by("at").values_list("outcome", flat=True)
    assert list(left) == ["timeout", "ok"]
