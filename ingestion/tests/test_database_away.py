"""A database that restarts in the middle of a batch costs no reading and no source its turn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import connection
from structlog.testing import CapturingLogger

from ingestion import patience
from ingestion.claims import Claim
from ingestion.dispatch import Queues, dispatch
from ingestion.models import PollLog, PollState
from ingestion.tests import stack as network
from ingestion.tests.stack import TANK, Stack
from simulator.testing import RunningSimulator

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stack(redis_socket: str, settings: Any) -> Iterator[Stack]:
    settings.REDIS_URL = f"unix://{redis_socket}"
    with RunningSimulator() as simulator:
        yield Stack(simulator)


def claimed(stack: Stack) -> list[Claim]:
    """Two sources, claimed."""
    account = network.connection(stack.simulator)
    for number in (TANK, TANK + 1):
        network.channel(account, number, history_from=stack.at)
    stack.advance(60)
    claims: list[Claim] = []
    dispatch(lambda: stack.at, stack.gate, Queues(claims.extend, lambda _: None))
    assert len(claims) == 2
    return claims


def hang_up() -> None:
    """What a restart of the server does to a session."""
    own = connection.settings_dict
    with psycopg.connect(
        dbname=own["NAME"], user=own["USER"], password=own["PASSWORD"],
        host=own["HOST"], port=own["PORT"], autocommit=True,
    ) as other:  # fmt: skip
        pid = connection.connection.info.backend_pid
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


@contextmanager
def hanging_up(at: str, times: int) -> Iterator[None]:
    """Have the server end the session just before a statement that contains `at`."""
    left = [times]

    def execute(run: Any, sql: str, *rest: Any) -> Any:
        if at in sql and left[0]:
            left[0] -= 1
            hang_up()
        return run(sql, *rest)

    with connection.execute_wrapper(execute):
        yield


@pytest.mark.parametrize("at", ["ingestion_polllog", "FROM devices_device "])
def test_what_was_answered_is_stored_once_the_database_is_back(
    stack: Stack, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = claimed(stack)
    told = CapturingLogger()
    monkeypatch.setattr(patience, "log", told)
    with hanging_up(at, times=2):
        assert stack.worker.poll(claims) == 2
    assert [one.args[0] for one in told.calls] == ["database_away", "database_is_back"]
    assert PollLog.objects.filter(outcome="ok", readings__gt=0).count() == 2
    assert not PollState.objects.filter(lease_until__isnull=False).exists()


def test_while_the_database_stays_away_claims_are_kept_no_longer_than_needed(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = claimed(stack)
    monkeypatch.setattr(patience, "PAUSE_S", 31.0)  # longer than a batch may take
    with hanging_up("ingestion_polllog", times=1):
        assert stack.worker.poll(claims) == 0
    assert not PollLog.objects.exists()
    assert not PollState.objects.filter(lease_until__isnull=False).exists()
    stack.tick()
    assert PollLog.objects.filter(outcome="ok").count() == 2
