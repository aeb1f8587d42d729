"""The API tells each how their own accounts are doing, in fields that mean what they say."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.core.management import call_command
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from devices.alerts.watch import Trouble, open_alert, resolve_alert
from devices.models import Connection
from devices.tests.scene import ACCOUNT_KEY, KEY, Scene, browser
from ingestion import equipment, pulse
from ingestion.enrolment import enrol
from ingestion.models import Lane, PollLog, PollState
from ingestion.resilience.gate import RedisGate
from ingestion.resilience.policy import BreakerPolicy
from ingestion.rules import route_of

PATH = "/api/v1/ingestion/status/"
ASKED = (
    "tokens_available", "capacity", "wait_time_seconds", "remaining_quota", "circuit_open",
    "failure_count", "status", "issues", "uptime_seconds", "last_successful_fetch",
    "total_fetches", "failed_fetches", "consecutive_failures", "success_rate",
)  # fmt: skip


@pytest.fixture
def gate(redis_client: redis.Redis, redis_socket: str, settings: Any) -> Iterator[RedisGate]:
    """The site's own gate, in the test's Redis."""
    settings.REDIS_URL = f"unix://{redis_socket}"
    pulse.client.cache_clear()
    equipment.equipment.cache_clear()
    yield RedisGate(pulse.client())
    pulse.client.cache_clear()
    equipment.equipment.cache_clear()


@pytest.fixture
def scene(db: None, gate: RedisGate) -> Scene:
    return Scene.make()


def polls(scene: Scene, *outcomes: str, ago_s: float = 100.0) -> None:
    """Polls of Hill's channel, a second apart, oldest first."""
    now = timezone.now()
    enrol(now)
    for place, outcome in enumerate(outcomes):
        at = now - timedelta(seconds=ago_s - place)
        answered = outcome in ("ok", "empty")
        PollLog.objects.create(
            source=scene.hill.channel, at=at, lane=Lane.LIVE, outcome=outcome,
            status=200 if answered else None, duration_ms=100.0,
        )  # fmt: skip
        if answered:
            state = PollState.objects.filter(source=scene.hill.channel)
            state.update(last_success_at=at + timedelta(milliseconds=100), last_polled_at=at)


def of_hill(scene: Scene, who: str = "viewer") -> Any:
    answer = browser(scene.user(who)).get(PATH)
    assert answer.status_code == 200
    found = [one for one in answer.json()["results"] if one["name"] == "Account of Hill"]
    assert len(found) == 1
    return found[0]


def test_an_account_that_is_well(scene: Scene) -> None:
    polls(scene, *["ok"] * 19, "empty")
    row = of_hill(scene)
    assert set(ASKED) <= row.keys()
    assert row["status"] == "healthy"
    assert row["issues"] == []
    assert (row["tokens_available"], row["wait_time_seconds"]) == (1, 0)
    assert (row["capacity"], row["window_seconds"]) == (60, 60)
    assert row["remaining_quota"] == 60  # all of them began longer ago
    assert (row["circuit_open"], row["failure_count"]) == (False, 0)
    assert (row["total_fetches"], row["failed_fetches"], row["success_rate"]) == (20, 0, 1.0)
    assert row["consecutive_failures"] == 0
    assert row["windows"]["hour"]["requests"] == row["windows"]["month"]["requests"] == 20
    assert row["latency_ms"]["p95"] == pytest.approx(100, rel=0.05)
    assert row["uptime_seconds"] == pytest.approx(100, abs=61)  # known to the minute
    assert row["community"] == "hill"


def test_failures_count_and_refusals_of_our_own_do_not(scene: Scene) -> None:
    polls(scene, "ok", "timeout", "connect", "budget", "circuit_open", "server", "gateway")
    row = of_hill(scene)
    assert row["consecutive_failures"] == 4 - 2  # server and gateway need a status, see below
    PollLog.objects.filter(outcome__in=["server", "gateway"]).update(status=502)
    row = of_hill(scene)
    assert (row["consecutive_failures"], row["failed_fetches"], row["total_fetches"]) == (4, 4, 5)
    assert row["status"] == "degraded"
    assert [one["code"] for one in row["issues"]] == ["consecutive_failures"]
    assert row["issues"][0]["since"] is not None


def test_the_quota_left_is_that_of_the_present_window(scene: Scene) -> None:
    polls(scene, *["ok"] * 7, ago_s=30)
    assert of_hill(scene)["remaining_quota"] == 53


def test_an_outage_and_its_end(scene: Scene, gate: RedisGate) -> None:
    polls(scene, "ok", *["timeout"] * 5, ago_s=60)
    account = scene.hill.connection
    route, breaker = route_of(account), BreakerPolicy(failures=1, open_s=60)
    gate.record(route.host, breaker, False, gate.enter(route.host, breaker))
    open_alert(Trouble.upstream(account), "timeout", "Away.", timezone.now())
    row = of_hill(scene)
    assert row["circuit_open"] is True
    assert row["circuit"] == "open"
    assert row["tokens_available"] == 0
    assert 55 < row["wait_time_seconds"] <= 72
    assert row["issues"][0]["code"] == "circuit_open"
    assert row["uptime_seconds"] == 0
    resolve_alert(Trouble.upstream(account), timezone.now())
    assert 0 <= of_hill(scene)["uptime_seconds"] < 5


def test_a_429_is_told_with_its_reason(scene: Scene, gate: RedisGate) -> None:
    polls(scene, "ok")
    route = route_of(scene.hill.connection)
    gate.throttled(route.group, route.rate, 30.0)
    row = of_hill(scene)
    assert row["rate_share"] == 0.5
    assert row["budget_reason"].startswith("Paused until ")
    assert "the provider answered 429 at " in row["budget_reason"]
    assert "(Retry-After 30 s). It goes on at 50 % of 60/min" in row["budget_reason"]
    assert [one["code"] for one in row["issues"]] == ["paused"]


def test_without_redis_what_only_the_gate_knows_is_not_known(
    scene: Scene, settings: Any, tmp_path: Any
) -> None:
    polls(scene, "ok")
    settings.REDIS_URL = f"unix://{tmp_path}/nowhere"
    pulse.client.cache_clear()
    equipment.equipment.cache_clear()
    row = of_hill(scene)
    assert row["tokens_available"] is row["circuit_open"] is row["wait_time_seconds"] is None
    assert [one["code"] for one in row["issues"]] == ["gate_unavailable"]
    assert row["total_fetches"] == 1


def test_never_asked_is_idle(scene: Scene) -> None:
    row = of_hill(scene)
    assert (row["status"], row["idle"], row["issues"]) == ("healthy", True, [])
    assert row["success_rate"] is row["last_successful_fetch"] is None


@pytest.mark.parametrize("who", ["viewer", "operator", "manager", "admin"])
def test_the_community_sees_its_account(scene: Scene, who: str) -> None:
    row = of_hill(scene, who)
    assert browser(scene.user(who)).get(f"{PATH}{row['id']}/").json() == row


def test_a_stranger_sees_nothing_of_it(scene: Scene) -> None:
    answer = browser(scene.stranger).get(PATH)
    assert [one["name"] for one in answer.json()["results"]] == ["Account of Valley"]
    assert "Hill" not in answer.content.decode()
    path = f"{PATH}{scene.hill.connection.pk}/"
    assert browser(scene.stranger).get(path).status_code == 404
    assert browser(None).get(PATH).status_code in (401, 403)
    assert browser(None).get(path).status_code in (401, 403)


def test_shared_accounts_are_the_administrators(scene: Scene) -> None:
    shared = Connection.objects.create(name="Shared")
    scene.hill.channel.connection = shared
    scene.hill.channel.save()
    assert "Shared" not in browser(scene.manager).get(PATH).content.decode()
    assert "Shared" in browser(scene.admin).get(PATH).content.decode()


def test_nothing_can_be_written_and_nothing_unknown_is_asked(scene: Scene) -> None:
    client = browser(scene.admin)
    assert client.post(PATH, {}).status_code == 405
    answer = client.get(f"{PATH}?colour=red")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["attr"] == "colour"
    assert client.get(f"{PATH}?page_size=1").json()["count"] == 2


def test_more_accounts_cost_no_more_queries_and_no_key_shows(scene: Scene) -> None:
    def cost() -> int:
        client = browser(scene.operator)
        with CaptureQueriesContext(database) as queries:
            answer = client.get(f"{PATH}?page_size=500")
        text = answer.content.decode()
        assert KEY not in text
        assert ACCOUNT_KEY not in text
        assert scene.hill.connection.account_key.token not in text
        return len(queries)

    polls(scene, "ok", "timeout")
    few = cost()
    for number in range(20):
        Connection.objects.create(name=f"Account {number}", community=scene.hill.community)
    assert cost() == few <= 16


def test_the_document_names_every_field(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn")
    text = capsys.readouterr().out
    assert "/api/v1/ingestion/status/:" in text
    for name in ASKED:
        assert f"{name}:" in text
