"""The overview: what is wrong comes first, and empty sites say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from devices.alerts.watch import Trouble, open_alert
from devices.models import Community, Connection, Device
from realtime.presenters.rows import Banner
from realtime.tests import network
from realtime.tests.valkey import Valkey
from realtime.way_in import register

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def ingestion() -> Iterator[network.KnownPolling]:
    known = network.KnownPolling()
    before = register(known)
    yield known
    register(before)


@pytest.fixture
def hill() -> Community:
    return network.community("Hill village", zone="Asia/Kolkata")


@pytest.fixture
def via() -> Connection:
    return network.account()


@pytest.fixture
def member(hill: Community) -> Client:
    return network.client_of(network.user("member", hill))


def go_offline(device: Device) -> None:
    open_alert(
        Trouble.offline(device), "silent", f"{device.name} has not reported.", timezone.now()
    )


def names(response: Any) -> list[str]:
    return [card.name for card in response.context["attention"]]


def test_a_member_of_nothing_is_told_whom_to_ask() -> None:
    client = network.client_of(network.user("newcomer"))
    response = client.get("/")
    assert response.context["live"] is None
    assert "not a member of any community" in response.content.decode()


def test_the_administrator_of_an_empty_site_is_led_to_the_first_community() -> None:
    client = network.client_of(network.user("admin", is_staff=True, is_superuser=True))
    response = client.get("/")
    assert response.context["add_community_url"] == "/admin/devices/community/add/"
    assert "/admin/devices/community/add/" in response.content.decode()


def test_a_community_without_devices_says_so(member: Client) -> None:
    response = member.get("/")
    assert response.context["counts"]["total"] == 0
    assert "No devices yet" in response.content.decode()


def test_all_well(member: Client, hill: Community, via: Connection) -> None:
    network.reporting(hill, "Tank", via)
    response = member.get("/")
    assert names(response) == []
    assert "All is well" in response.content.decode()
    (card,) = response.context["communities"]
    assert (card.name, card.total, card.state) == ("Hill village", 1, "online")


def test_what_is_wrong_comes_first_worst_first(
    member: Client, hill: Community, via: Connection
) -> None:
    network.reporting(hill, "Well", via)
    network.reporting(hill, "Late", via, age_s=180)
    network.reporting(hill, "Stale", via, age_s=4000)
    go_offline(network.reporting(hill, "Lost", via, age_s=4000))
    network.device(hill, "Silent newcomer")
    network.device(hill, "In repair", enabled=False)
    response = member.get("/")
    assert names(response) == ["Lost", "Stale", "Late"]
    assert response.context["counts"] == {
        "alert": 0, "offline": 1, "stale": 1, "late": 1, "new": 1, "online": 1, "paused": 1,
        "total": 6,
    }  # fmt: skip
    page = response.content.decode()
    assert page.index(">Lost</a>") < page.index(">Stale</a>")
    assert "Lost has not reported." in page


@pytest.mark.parametrize(
    ("state", "expected"), [("online", ["Well"]), ("stale", ["Stale"]), ("offline", [])]
)
def test_a_filter_shows_the_devices_of_one_state(
    member: Client, hill: Community, via: Connection, state: str, expected: list[str]
) -> None:
    network.reporting(hill, "Well", via)
    network.reporting(hill, "Stale", via, age_s=4000)
    response = member.get("/", {"state": state})
    assert response.context["state_filter"] == state
    assert names(response) == expected


def test_a_filter_that_is_no_state_is_none(member: Client) -> None:
    assert member.get("/", {"state": "<b>"}).context["state_filter"] == ""


def test_long_lists_are_cut_and_say_so(member: Client, hill: Community, via: Connection) -> None:
    for n in range(32):
        network.device(hill, f"Newcomer {n}")
    response = member.get("/", {"state": "new"})
    assert len(response.context["attention"]) == 30
    assert "The first 30 of 32." in response.content.decode()


def test_a_rejected_key_asks_for_attention_although_the_device_is_new(
    member: Client, hill: Community, via: Connection
) -> None:
    device = network.device(hill, "Newcomer")
    channel = network.source(device, via)
    text = "ThingSpeak refused the read key."
    open_alert(Trouble.failing(channel), "key_rejected", text, timezone.now())
    response = member.get("/")
    (card,) = response.context["attention"]
    assert (card.state, card.source_state) == ("new", "key_rejected")
    assert text in response.content.decode()


def test_an_outage_is_one_banner_and_no_device_is_offline(
    member: Client, hill: Community, via: Connection
) -> None:
    for n in range(3):
        network.reporting(hill, f"Tank {n}", via, age_s=4000)
    text = "ThingSpeak account does not answer."
    open_alert(Trouble.upstream(via), "timeout", text, timezone.now())
    response = member.get("/")
    counts = response.context["counts"]
    assert (counts["stale"], counts["offline"], counts["alert"]) == (3, 0, 0)
    assert {card.source_state for card in response.context["attention"]} == {"upstream_down"}
    (banner,) = [one for one in response.context["banners"] if one.since]
    assert banner.text.startswith(text)


def test_an_outage_of_other_peoples_account_is_not_told(member: Client, hill: Community) -> None:
    foreign = network.account("Foreign account")
    network.reporting(network.community("Valley"), "Temple tank", foreign)
    open_alert(Trouble.upstream(foreign), "timeout", "Foreign is away.", timezone.now())
    assert "Foreign is away." not in member.get("/").content.decode()


def test_a_site_that_stopped_polling_says_so(
    member: Client, hill: Community, ingestion: network.KnownPolling, valkey: Valkey
) -> None:
    ingestion.wrong = [Banner("critical", "Polling has stopped")]
    assert "Polling has stopped" in member.get("/").content.decode()


def test_the_page_says_where_its_topics_stood(
    member: Client, hill: Community, valkey: Valkey
) -> None:
    live = member.get("/").context["live"]
    assert live.available
    assert live.topics == [f"c:{hill.pk}"]
    assert live.url == f"/ws/community/{hill.pk}/updates"
    assert live.poll_url == "/snapshot/"
    epoch, number = live.since[f"c:{hill.pk}"].split("-")
    assert (int(epoch) > 0, number) == (True, "0")


def test_without_redis_the_page_stands_and_says_that_it_is_not_live(
    member: Client, hill: Community, via: Connection, own_valkey: Valkey
) -> None:
    network.reporting(hill, "Stale", via, age_s=4000)
    own_valkey.stop()
    response = member.get("/")
    assert response.status_code == 200
    assert names(response) == ["Stale"]
    assert not response.context["live"].available
    assert response.context["live"].since == {}
    assert "Live updates are not available" in response.content.decode()
    assert member.get("/snapshot/").json()["heads"] == {}
