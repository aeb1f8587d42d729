"""A worker's child that is killed: what it held is due again soon, not after the whole lease."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from billiard.exceptions import WorkerLostError
from celery.signals import task_failure

from devices.tests.scene import Village
from ingestion import tasks
from ingestion.claiming import LEASE
from ingestion.enrolment import enrol
from ingestion.models import Gap, GapReason, PollState
from ingestion.tests.stack import START

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SOON, LATE = NOW + tasks.UNDER_WAY, NOW + LEASE


@pytest.fixture(params=["poll", "page"])
def held(request: pytest.FixtureRequest) -> tuple[Any, PollState | Gap]:
    """The task that somebody carries out, and what it holds by the token 7."""
    village = Village.make("Hill", 101)
    enrol(NOW, [village.channel.pk])
    if request.param == "poll":
        PollState.objects.update(lease_until=LATE, claim_token=7)
        return tasks.poll, PollState.objects.get()
    return tasks.fill, Gap.objects.create(
        source_id=village.channel.pk,
        since=START,
        until=START + timedelta(hours=1),
        range_until=START + timedelta(hours=1),
        reason=GapReason.REQUESTED,
        lease_until=LATE,
        claim_token=7,
        found_at=NOW,
        next_try_at=NOW,
    )


@pytest.mark.parametrize(
    ("error", "token", "until"),
    [
        (WorkerLostError("signal 9"), 7, SOON),
        (WorkerLostError("signal 9"), 6, LATE),  # somebody else holds it by now
        (ValueError("a mistake"), 7, LATE),
    ],
)
def test_it_is_due_again_once_its_request_is_over(
    held: tuple[Any, PollState | Gap], error: Exception, token: int, until: datetime
) -> None:
    task, row = held
    with time_machine.travel(NOW, tick=False):
        task_failure.send(sender=task, exception=error, args=[[[row.pk, token, 0.0]]], task_id="1")
    row.refresh_from_db()
    assert row.lease_until == until
    assert row.claim_token == 7


def test_another_task_that_is_lost_holds_nothing() -> None:
    task_failure.send(
        sender=tasks.run_dispatch, exception=WorkerLostError("signal 9"), args=[], task_id="1"
    )
