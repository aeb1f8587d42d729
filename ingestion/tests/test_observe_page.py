"""The ingestion page: each sees what is theirs, in few queries, and what is wrong is said."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import redis
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from devices.alerts.models import Alert
from devices.alerts.watch import Trouble, open_alert, resolve_alert
from devices.models import Connection, Device, Job, ThingSpeakChannel
from devices.tests.scene import ACCOUNT_KEY, KEY, Scene, browser
from ingestion import equipment, pulse
from ingestion.enrolment import enrol
from ingestion.models import (
    EventKind,
    Gap,
    Lane,
    PollLog,
    PollState,
    Rejection,
    SourceEvent,
)
from ingestion.observe import live
from ingestion.observe.counting import count_up
from ingestion.resilience.gate import RedisGate
from ingestion.resilience.policy import BreakerPolicy
from ingestion.rules import route_of
from ingestion.tests import stack as network

PAGE = "/admin/ingestion/status/"
PATHS = (PAGE, f"{PAGE}now/", f"{PAGE}levels/", f"{PAGE}levels.csv", f"{PAGE}outages.csv")
MOST_QUERIES = 16


@pytest.fixture
def gate(redis_client: redis.Redis, redis_socket: str, settings: Any) -> Iterator[RedisGate]:
    """The site's own gate, in the test's Redis, with clock and worker alive."""
    settings.REDIS_URL = f"unix://{redis_socket}"
    pulse.client.cache_clear()
    equipment.equipment.cache_clear()
    pulse.beat(pulse.DISPATCH)
    pulse.beat(pulse.WORKER)
    yield RedisGate(pulse.client())
    pulse.client.cache_clear()
    equipment.equipment.cache_clear()


@pytest.fixture
def scene(db: None, gate: RedisGate) -> Scene:
    return Scene.make()


def text_of(scene: Scene, who: str = "operator", path: str = f"{PAGE}now/") -> str:
    """What can be read."""
    answer = browser(scene.user(who)).get(path)
    assert answer.status_code == 200, (who, path)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())))


def polled(source: Any, *outcomes: str) -> None:
    """Polls of a source, oldest first, the last one a moment ago."""
    now = timezone.now()
    enrol(now)
    for ago, outcome in enumerate(reversed(outcomes)):
        answered = outcome == "ok"
        at = now - timedelta(seconds=2 + 20 * ago)
        PollLog.objects.create(
            source=source, at=at, lane=Lane.LIVE, outcome=outcome,
            status=200 if answered else 500, duration_ms=80.0,
        )  # fmt: skip
    good = [ago for ago, outcome in enumerate(reversed(outcomes)) if outcome == "ok"]
    PollState.objects.filter(source=source).update(
        last_polled_at=now,
        last_success_at=now - timedelta(seconds=1 + 20 * good[0]) if good else None,
        next_poll_at=now + timedelta(seconds=60),
    )


def trouble_everywhere(scene: Scene) -> None:
    """A row of everything that the page tells of, in Hill."""
    now, source = timezone.now(), scene.hill.channel
    polled(source, "ok", "server")
    open_alert(Trouble.failing(source), "key_rejected", "Key of Hill refused.", now)
    Gap.objects.create(
        source=source, since=now - timedelta(days=2), until=now - timedelta(days=1),
        range_until=now, found_at=now, next_try_at=now, entries=700,
    )  # fmt: skip
    Rejection.objects.create(
        source=source, received_at=now, reason="not_a_number", detail="x", fingerprint="1"
    )
    SourceEvent.objects.create(
        source=source, at=now, kind=EventKind.FIELD_RENAMED, text="field1 is now Hill temperature."
    )
    Job.objects.create(community=scene.hill.community, kind="x", subject="Import of Hill")


def test_all_is_well(scene: Scene) -> None:
    polled(scene.hill.channel, *["ok"] * 5)
    text = text_of(scene)
    assert "Everything is moving" in text
    assert "Account of Hill" in text
    assert "Healthy" in text
    assert "5 of 60 requests in the last minute" not in text  # two of them are older
    assert "100 %" in text
    assert "The provider answers." in text


def test_what_happens_in_a_community_is_told_to_it(scene: Scene) -> None:
    trouble_everywhere(scene)
    for who in ("operator", "viewer", "manager", "admin"):
        text = text_of(scene, who)
        assert "Tank of Hill fails on its own" in text, who
        assert "Key of Hill refused." in text
        assert "700 entries fetched so far" in text
        assert "50 %" in text
        assert "Not a number" in text
        assert "field1 is now Hill temperature." in text
        assert "Import of Hill" in text


def test_changed_fields_are_no_failure_and_what_is_said_of_them_is_so(scene: Scene) -> None:
    source = scene.hill.channel
    polled(source, *["ok"] * 5)
    told = "field1 is now named “Pressure”. Open the channel's page and press the button that fits."
    open_alert(Trouble.failing(source), "schema_changed", told, timezone.now())
    text = text_of(scene)
    assert "Fields of Tank of Hill changed" in text
    assert "press the button that fits" in text
    assert "Asked as often as ever; what arrives of these fields is kept" in text
    assert "fails on its own" not in text
    assert "less often" not in text


@pytest.mark.parametrize("reason", ["key_rejected", "server"])
def test_only_who_refuses_us_is_said_to_be_asked_less_often(scene: Scene, reason: str) -> None:
    polled(scene.hill.channel, *["ok"] * 5)
    open_alert(Trouble.failing(scene.hill.channel), reason, "It fails.", timezone.now())
    text = text_of(scene)
    assert "Tank of Hill fails on its own" in text
    assert ("less and less often" in text) is (reason == "key_rejected")
    assert "Asked again by itself" in text


def test_what_is_lost_at_the_source_is_not_called_complete(scene: Scene) -> None:
    polled(scene.hill.channel, "ok")
    assert "nothing is missing" in text_of(scene)
    now = timezone.now()
    for lost in (4000, 210):
        Gap.objects.create(
            source=scene.hill.channel, since=now, until=now, range_until=now, found_at=now,
            next_try_at=now, closed_at=now, state="lost", missing=lost,
        )  # fmt: skip
    text = text_of(scene)
    assert "nothing to fill; 4,210 entries lost at the source" in text
    assert "nothing is missing" not in text
    assert "4,210" not in text_of(scene, "stranger")


def test_devices_that_are_called_alike_are_told_apart_behind_a_shared_account(scene: Scene) -> None:
    trouble_everywhere(scene)
    shared = Connection.objects.create(name="Shared by all")
    ThingSpeakChannel.objects.update(connection=shared)
    Device.objects.update(name="Pump House")
    text = text_of(scene, "admin")
    assert "Pump House (Hill) fails on its own" in text
    for line in ("Key of Hill refused.", "still to be read", "field1 is now Hill temperature."):
        assert "Pump House (Hill)" in text.partition(line)[0][-80:], line


@pytest.mark.parametrize("path", PATHS)
def test_a_stranger_sees_nothing_of_it(scene: Scene, path: str) -> None:
    trouble_everywhere(scene)
    open_alert(Trouble.upstream(scene.hill.connection), "timeout", "Hill is away.", timezone.now())
    assert "Hill" not in text_of(scene, "stranger", path)
    assert browser(None).get(path).status_code == 302
    member = scene.viewer
    member.is_staff = False
    member.save()
    assert browser(member).get(path).status_code == 302


@pytest.mark.parametrize("who", ["operator", "admin"])
def test_an_account_leads_to_its_own_requests_and_refused_values(scene: Scene, who: str) -> None:
    for place in (scene.hill, scene.valley):
        polled(place.channel, "ok")
        Rejection.objects.create(
            source=place.channel, received_at=timezone.now(), reason="not_a_number", detail="x",
            fingerprint="1",
        )  # fmt: skip
    client = browser(scene.user(who))
    page = unescape(client.get(f"{PAGE}now/").content.decode())
    account = scene.hill.channel.connection_id
    links = re.findall(rf'href="([^"]*source__connection__id__exact={account})"', page)
    assert len(links) == 2
    for link in links:
        rows = unescape(client.get(link).content.decode()).partition('id="result_list"')[2]
        assert "Tank of Hill" in rows
        assert "Tank of Valley" not in rows


def test_devices_of_others_behind_ones_own_account_have_no_name(scene: Scene) -> None:
    trouble_everywhere(scene)
    channel = scene.hill.channel
    channel.connection = scene.valley.connection  # the administrator lent it
    channel.save()
    text = text_of(scene, "stranger")
    assert "Account of Valley" in text
    assert "Hill" not in text
    assert "Hill" in text_of(scene, "admin")


def test_whoever_depends_on_a_shared_account_hears_how_it_is(scene: Scene, gate: RedisGate) -> None:
    shared = Connection.objects.create(name="Shared by all")
    scene.hill.channel.connection = shared
    scene.hill.channel.save()
    polled(scene.hill.channel, *["server"] * 5)
    breaker = BreakerPolicy(failures=1)
    host = route_of(shared).host
    gate.record(host, breaker, False, gate.enter(host, breaker))
    text = text_of(scene, "operator")
    assert "Shared by all" in text
    assert "The provider does not answer" in text
    assert "requests in the last hour" not in text.split("Shared by all")[1]  # no figures
    assert "Shared by all" not in text_of(scene, "stranger")


def test_an_outage_says_since_when_what_it_affects_and_what_was_tried(
    scene: Scene, gate: RedisGate
) -> None:
    polled(scene.hill.channel, "ok", *["server"] * 5)
    account = scene.hill.connection
    breaker, host = BreakerPolicy(failures=1, open_s=60), route_of(account).host
    gate.record(host, breaker, False, gate.enter(host, breaker))
    open_alert(Trouble.upstream(account), "server", "Away.", timezone.now() - timedelta(minutes=3))
    text = text_of(scene)
    assert "Account of Hill does not answer" in text
    assert "for 3 min" in text
    assert "1 source of 1 community; the newest answer is 1 min" in text
    assert "5 requests since the last success, all failed; left in peace 1 time." in text
    assert re.search(r"Left in peace since \S+ UTC, when a request failed\.", text)
    assert "one request goes ahead as a trial." in text
    gate.record(host, breaker, True, gate.enter(host, breaker))  # refused: still open
    resolve_alert(Trouble.upstream(account), timezone.now())
    assert "Outages in 30 days" in text_of(scene)


@pytest.mark.parametrize(
    ("name", "words"),
    [(pulse.DISPATCH, "The dispatcher stands still"), (pulse.WORKER, "The worker stands still")],
)
def test_what_stands_still_comes_first(scene: Scene, name: str, words: str) -> None:
    pulse.client().delete(f"telemetry:pulse:{name}")
    text = text_of(scene)
    assert words in text
    assert "never heard of" in text


def test_without_redis_the_page_opens_and_says_so(
    scene: Scene, settings: Any, tmp_path: Path
) -> None:
    trouble_everywhere(scene)
    settings.REDIS_URL = f"unix://{tmp_path}/nowhere"
    pulse.client.cache_clear()
    equipment.equipment.cache_clear()
    text = text_of(scene)
    assert "Redis does not answer" in text
    assert "Start Redis, or correct REDIS_URL." in text
    assert "Tank of Hill" in text


def test_too_small_a_budget_is_said_with_what_to_change(scene: Scene) -> None:
    account = scene.hill.connection
    account.rate_limit = 4
    account.save()
    for number in range(10):
        device = Device.objects.create(
            community=scene.hill.community, type=scene.hill.device.type, name=f"T{number}"
        )
        network.channel(account, 500 + number, (), of=device, interval_s=10)
    text = text_of(scene)
    assert "The budget of Account of Hill is too small" in text
    assert "the budget of 4 in 60 s gives 3.93" in text
    assert "in 60 s would do, if the provider allows it." in text


def test_an_empty_site_says_what_to_do_first(scene: Scene) -> None:
    Device.objects.all().delete()
    Connection.objects.all().delete()
    text = text_of(scene, "admin", PAGE)
    assert "Nothing is asked yet" in text
    assert "Add a channel" in text


def test_no_key_is_on_any_of_the_pages(scene: Scene) -> None:
    trouble_everywhere(scene)
    for path in PATHS:
        text = browser(scene.admin).get(path).content.decode()
        for secret in (KEY, ACCOUNT_KEY, scene.hill.connection.account_key.token):
            assert secret not in text, path


@pytest.mark.parametrize("who", ["admin", "operator"])
def test_more_of_everything_costs_no_more_queries(scene: Scene, who: str) -> None:
    def cost(path: str) -> int:
        client = browser(scene.user(who))
        with CaptureQueriesContext(database) as queries:
            assert client.get(path).status_code == 200
        return len(queries)

    trouble_everywhere(scene)
    while count_up(timezone.now()):
        pass
    few = {path: cost(path) for path in PATHS}
    for number in range(12):
        account = Connection.objects.create(
            name=f"Account {number}", community=scene.hill.community
        )
        device = Device.objects.create(
            community=scene.hill.community, type=scene.hill.device.type, name=f"T{number}"
        )
        source = network.channel(account, 900 + number, (), of=device)
        polled(source, "ok", "server", "server")
        now = timezone.now()
        open_alert(Trouble.failing(source), "failing", "Fails.", now)
        open_alert(Trouble.upstream(account), "server", "Away.", now)
        Gap.objects.create(
            source=source, since=now, until=now, range_until=now, found_at=now, next_try_at=now
        )
    for path, queries in few.items():
        assert cost(path) <= queries, path
    assert few[f"{PAGE}now/"] <= MOST_QUERIES
    assert few[PAGE] <= MOST_QUERIES + 3  # the admin's own frame asks for permissions


def test_one_snapshot_serves_all_viewers_for_a_moment(scene: Scene, settings: Any) -> None:
    settings.INGESTION_STATUS_KEEP_S = 60.0
    first, second = browser(scene.admin), browser(scene.operator)
    try:
        assert first.get(f"{PAGE}now/").status_code == 200
        with CaptureQueriesContext(database) as queries:
            assert "Account of Hill" in second.get(f"{PAGE}now/").content.decode()
        assert len(queries) <= 3  # session, user, memberships
    finally:
        live.kept.cache_clear()


def test_service_levels_as_page_and_as_files(scene: Scene) -> None:
    polled(scene.hill.channel, *["ok"] * 7, "server")
    account, now = scene.hill.connection, timezone.now()
    account.name = "=cmd|' /C calc'!A0"
    account.save()
    open_alert(Trouble.upstream(account), "server", "Away.", now - timedelta(minutes=1))
    Alert.objects.update(resolved_at=now - timedelta(seconds=30))
    text = text_of(scene, path=f"{PAGE}levels/")
    assert "87.5 %" in text
    assert "30 s" in text
    assert "Answered 7 Error at the provider 1" in text
    answer = browser(scene.operator).get(f"{PAGE}levels.csv")
    assert answer["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert [row["window"] for row in rows] == ["1 h", "24 h", "30 days"]
    assert {row["requests"] for row in rows} == {"8"}
    assert {row["success_rate"] for row in rows} == {"0.875000"}
    assert {row["outages"] for row in rows} == {"1"}
    assert {row["outcomes"] for row in rows} == {"ok=7 server=1"}
    assert all(row["account"].startswith("'=") for row in rows)  # no formula for a spreadsheet
    assert float(rows[0]["p50_ms"]) == pytest.approx(80, rel=0.05)
    answer = browser(scene.operator).get(f"{PAGE}outages.csv")
    (outage,) = csv.DictReader(io.StringIO(answer.content.decode()))
    assert outage["down_s"] == "30"


TOKENS = re.compile(r"(--[a-z-]+): (light-dark\([^;]+\));")


def test_the_colours_are_the_sites_own() -> None:
    static = Path(__file__).parents[2] / "static"
    site = dict(TOKENS.findall((static / "css" / "tokens.css").read_text()))
    here = dict(TOKENS.findall((static / "admin_pages" / "status.css").read_text()))
    assert len(here) > 15
    assert here.items() <= site.items()
