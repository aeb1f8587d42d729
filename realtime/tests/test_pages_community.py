"""A community's page: what is wrong in words, alerts, tiles worst first, page by page."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from devices.alerts.watch import Trouble, open_alert, resolve_alert
from devices.models import Community, Connection
from realtime.tests import network

pytestmark = pytest.mark.django_db
PAGE = "/communities/hill-village/"


@pytest.fixture
def hill() -> Community:
    return network.community("Hill village", zone="Asia/Kolkata")


@pytest.fixture
def via() -> Connection:
    return network.account()


@pytest.fixture
def member(hill: Community) -> Client:
    return network.client_of(network.user("member", hill))


def test_without_devices_it_says_what_to_do(member: Client, hill: Community) -> None:
    response = member.get(PAGE)
    assert response.context["total"] == 0
    assert "No devices yet" in response.content.decode()
    staff = network.client_of(network.user("admin", is_staff=True, is_superuser=True))
    assert "/admin/devices/device/add/" in staff.get(PAGE).content.decode()


def test_tiles_are_sorted_worst_first(member: Client, hill: Community, via: Connection) -> None:
    network.reporting(hill, "A well", via)
    network.reporting(hill, "B stale", via, age_s=4000)
    lost = network.reporting(hill, "C lost", via, age_s=4000)
    open_alert(Trouble.offline(lost), "silent", "C lost has not reported.", timezone.now())
    response = member.get(PAGE)
    assert [card.name for card in response.context["devices"]] == ["C lost", "B stale", "A well"]
    assert response.context["community"].state == "offline"


def test_what_is_wrong_is_told_in_a_few_lines(
    member: Client, hill: Community, via: Connection
) -> None:
    lost = network.reporting(hill, "Lost", via, age_s=4000)
    open_alert(Trouble.offline(lost), "silent", "Lost has not reported.", timezone.now())
    for n in range(5):
        network.reporting(hill, f"Stale {n}", via, age_s=4000)
    refused = network.source(network.device(hill, "Newcomer"), via)
    open_alert(Trouble.failing(refused), "not_found", "No such channel.", timezone.now())
    problems = member.get(PAGE).context["problems"]
    assert [problem.text for problem in problems] == [
        "Lost is offline",
        "5 devices are stale: Stale 0, Stale 1, Stale 2 and 2 more",
        "Newcomer: not found",
    ]
    assert [problem.url for problem in problems] == [
        lost.get_absolute_url(),
        "?state=stale",
        refused.device.get_absolute_url(),
    ]


def test_open_alerts_are_listed_until_they_are_resolved(
    member: Client, hill: Community, via: Connection
) -> None:
    lost = network.reporting(hill, "Lost", via, age_s=4000)
    trouble = Trouble.offline(lost)
    open_alert(trouble, "silent", "Lost has not reported for long.", timezone.now())
    response = member.get(PAGE)
    (row,) = response.context["alerts"]
    assert (row.severity, row.device_name, row.title) == ("critical", "Lost", "Device offline")
    assert "Lost has not reported for long." in response.content.decode()
    resolve_alert(trouble, timezone.now())
    after = member.get(PAGE)
    assert after.context["alerts"] == []
    assert after.context["counts"]["offline"] == 0


def test_a_filter_keeps_the_counters(member: Client, hill: Community, via: Connection) -> None:
    network.reporting(hill, "Well", via)
    network.reporting(hill, "Stale", via, age_s=4000)
    context = member.get(PAGE, {"state": "stale"}).context
    assert [card.name for card in context["devices"]] == ["Stale"]
    assert (context["total"], context["counts"]["online"]) == (2, 1)


def test_many_devices_come_page_by_page(member: Client, hill: Community) -> None:
    for n in range(38):
        network.device(hill, f"Newcomer {n:02}")
    first = member.get(PAGE, {"state": "new"})
    assert len(first.context["devices"]) == 36
    assert "?page=2&amp;state=new" in first.content.decode()
    second = member.get(PAGE, {"page": "2"})
    assert [card.name for card in second.context["devices"]] == ["Newcomer 36", "Newcomer 37"]
    assert member.get(PAGE, {"page": "<b>"}).status_code == 200


def test_times_are_in_the_communitys_zone(member: Client, hill: Community, via: Connection) -> None:
    network.reporting(hill, "Well", via)
    response = member.get(PAGE)
    assert response.context["zone"] == "Asia/Kolkata"
    assert "+05:30" in response.content.decode()
