"""The snapshot says what page and socket say, in the same words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from devices.alerts.models import Alert
from devices.alerts.watch import Trouble, open_alert, resolve_alert
from devices.models import Community, Device, Metric
from devices.readings.queries import latest_of_devices
from devices.readings.represent import represent
from realtime import messages
from realtime.presenters.live import alert_item, state_items
from realtime.publish import publish
from realtime.tests import network
from realtime.tests.valkey import Valkey
from realtime.topics import community_topic, device_topic

NOW = datetime(2026, 11, 20, 22, tzinfo=UTC)
pytestmark = pytest.mark.django_db


@pytest.fixture
def hill() -> Community:
    return network.community("Hill village")


@pytest.fixture
def tank(hill: Community) -> Device:
    return network.reporting(hill, "Tank", network.account())


@pytest.fixture
def member(hill: Community) -> Client:
    return network.client_of(network.user("member", hill))


def test_readings_are_represented_as_everywhere(member: Client, tank: Device) -> None:
    network.metric(tank, "never_heard", label="Never heard")
    snapshot = member.get(f"/devices/{tank.uuid}/snapshot/").json()
    assert (snapshot["v"], snapshot["t"]) == (1, "snapshot")
    expected = [
        represent(reading, metric, tank.uuid)
        for metric, reading in latest_of_devices([tank.pk])[tank.pk]
        if reading is not None
    ]
    assert snapshot["tel"] == expected
    assert len(expected) == 4
    assert messages.telemetry(device_topic(tank.uuid), snapshot["tel"]).encode()


def test_states_are_those_of_the_page(member: Client, tank: Device) -> None:
    opened = NOW - timedelta(minutes=3)
    open_alert(Trouble.offline(tank), "silent", "Check its power.", opened)
    snapshot = member.get("/communities/hill-village/snapshot/").json()
    assert snapshot["state"] == [
        {
            "device": str(tank.uuid),
            "state": "offline",
            "source": "ok",
            "since": "2026-11-20T21:57:00Z",
            "reason": "Check its power.",
        }
    ]
    assert snapshot["counts"]["offline"] == 1


def test_messages_of_states_keep_the_order_of_the_devices(hill: Community, tank: Device) -> None:
    lost = network.device(hill, "Lost")
    open_alert(Trouble.offline(lost), "silent", "Silent.", timezone.now())
    devices = list(Device.objects.filter(pk__in=[tank.pk, lost.pk]).order_by("pk"))
    assert [item["state"] for item in state_items(devices)] == ["online", "offline"]


def test_an_alert_as_a_message(tank: Device) -> None:
    alert = open_alert(Trouble.offline(tank), "silent", "Check its power.", NOW)
    assert alert is not None
    assert alert_item(alert) == {
        "id": alert.pk,
        "severity": "critical",
        "title": "Device offline",
        "text": "Check its power.",
        "device": str(tank.uuid),
        "opened_at": "2026-11-20T22:00:00Z",
        "resolved": False,
    }
    resolve_alert(Trouble.offline(tank), NOW)
    assert alert_item(Alert.objects.get())["resolved"]


def test_heads_are_the_newest_messages(
    member: Client, hill: Community, tank: Device, valkey: Valkey
) -> None:
    topic = community_topic(hill.pk)
    metric = Metric.objects.filter(device=tank).first()
    assert metric is not None
    reading = {"device": str(tank.uuid), "metric": metric.name, "at": "2026-11-20T22:00:00Z",
               "value": 1.0, "sequence": 1, "origin": "live", "revised": False}  # fmt: skip
    receipt = publish([messages.telemetry(topic, [reading])])
    heads = member.get("/snapshot/").json()["heads"]
    assert heads == {topic: receipt.ids[0]}
