"""What goes down is one line in the log, what comes back is one, and a poll is none."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest
import redis

from devices.alerts.models import Alert, Kind
from devices.models import Connection
from ingestion.observe.edges import SLOWER, watch_budgets
from ingestion.observe.snapshot import look
from ingestion.resilience.gate import RedisGate
from ingestion.rules import route_of
from ingestion.tests import stack as network
from ingestion.tests.stack import START, Stack
from simulator.testing import RunningSimulator

WRONG = "WRONGKEY12345678"


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """What ingestion said; that nobody listens to live messages here is another matter."""
    ours = [one for one in caplog.records if one.name.startswith("ingestion")]
    return [one.msg for one in ours if isinstance(one.msg, dict)]


@pytest.mark.django_db
def test_an_outage_of_many_polls_is_two_lines(
    caplog: pytest.LogCaptureFixture, django_capture_on_commit_callbacks: Any
) -> None:
    caplog.set_level(logging.INFO)
    with RunningSimulator() as simulator:
        stack = Stack(simulator)
        account = network.connection(simulator, breaker_failures=3, breaker_open_s=5)
        for number in (710001, 710002, 710003, 710004):
            network.channel(account, number, history_from=START, interval_s=5)
        with django_capture_on_commit_callbacks(execute=True):
            stack.run(20)
        assert lines(caplog) == []
        simulator.control("faults", "POST", {"kind": "status", "code": 500})
        with django_capture_on_commit_callbacks(execute=True):
            stack.run(60)
        simulator.control("faults", "DELETE")
        with django_capture_on_commit_callbacks(execute=True):
            stack.run(200)
    down, back = lines(caplog)
    assert (down["event"], down["connection"], down["level"]) == (
        "provider_down", account.pk, "warning",
    )  # fmt: skip
    assert "does not answer" in down["why"]
    assert (back["event"], back["connection"]) == ("provider_back", account.pk)
    assert 30 < back["down_s"] < 200
    assert back["failed"] >= 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fault", "options", "reason", "words"),
    [
        ("status", {"code": 503}, "gateway", "HTTP 503, not available"),
        ("status", {"code": 500}, "server", "HTTP 500, an error of its own"),
        ("html", {}, "not_the_api", "HTTP 200, a web page or something else"),
        ("reset", {}, "connect", "no connection, or it broke"),
    ],
)
def test_an_outage_is_told_with_what_comes_back(
    caplog: pytest.LogCaptureFixture,
    django_capture_on_commit_callbacks: Any,
    fault: str,
    options: dict[str, Any],
    reason: str,
    words: str,
) -> None:
    with RunningSimulator() as simulator:
        stack = Stack(simulator)
        account = network.connection(simulator, breaker_failures=3, breaker_open_s=60)
        for number in (710001, 710002, 710003, 710004):
            network.channel(account, number, history_from=START, interval_s=5)
        stack.run(20)
        simulator.fault(fault, **options)
        with django_capture_on_commit_callbacks(execute=True):
            stack.run(40)
    (down,) = lines(caplog)
    assert (down["event"], down["reason"]) == ("provider_down", reason)
    assert words in down["why"]
    alert = Alert.objects.get()  # polls that were held back since then say nothing new
    assert (alert.kind, alert.reason) == (Kind.UPSTREAM_DOWN, reason)
    assert words in alert.text
    told = next(one for one in look(stack.at, stack.gate).accounts if one.pk == account.pk)
    assert words in told.health.words


@pytest.mark.django_db
def test_a_source_with_a_wrong_key_is_told_once_without_the_key(
    caplog: pytest.LogCaptureFixture, django_capture_on_commit_callbacks: Any
) -> None:
    caplog.set_level(logging.INFO)
    with RunningSimulator() as simulator:
        stack = Stack(simulator)
        account = network.connection(simulator)
        source = network.channel(account, 710006, read_key=WRONG, history_from=START, interval_s=5)
        with django_capture_on_commit_callbacks(execute=True):
            stack.run(120)
    told = [one for one in lines(caplog) if one["event"] == "source_failing"]
    assert [one["source"] for one in told] == [source.pk]
    assert WRONG not in caplog.text


@pytest.mark.django_db
def test_a_budget_lowered_by_a_429_is_told_once_and_once_when_it_is_whole(
    redis_client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    account = Connection.objects.create(name="A")
    gate = RedisGate(redis_client)
    route = route_of(account)
    watch_budgets(gate, redis_client, START)
    assert lines(caplog) == []
    gate.throttled(route.group, route.rate, 30.0)
    for second in range(5):
        watch_budgets(gate, redis_client, START + timedelta(seconds=second))
    redis_client.delete(f"telemetry:gate:group:{route.group}")  # as if it had recovered
    for second in range(60, 65):
        watch_budgets(gate, redis_client, START + timedelta(seconds=second))
    lowered, recovered = lines(caplog)
    assert (lowered["event"], lowered["rate_share"]) == ("budget_lowered", 0.5)
    assert lowered["paused_s"] == pytest.approx(30, abs=1)
    assert (recovered["event"], recovered["lowered_s"]) == ("budget_recovered", 60.0)
    assert recovered["lowest_share"] == 0.5


@pytest.mark.django_db
def test_deleted_accounts_are_not_watched_for_ever(redis_client: redis.Redis) -> None:
    account = Connection.objects.create(name="A")
    gate = RedisGate(redis_client)
    route = route_of(account)
    gate.throttled(route.group, route.rate, 30.0)
    watch_budgets(gate, redis_client, START)
    assert redis_client.hlen(SLOWER) == 1
    account.delete()
    watch_budgets(gate, redis_client, START)
    assert redis_client.hlen(SLOWER) == 0
