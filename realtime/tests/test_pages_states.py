"""States on the device page: what a pump or valve was in the last day, and for how long."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import time_machine
from django.test import Client

from devices.models import Community, DataType, Device, Metric
from devices.readings.samples import Sample, Value
from devices.readings.store import get_store
from realtime.presenters.timeline import Timeline
from realtime.tests import network

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def hill() -> Community:
    return network.community("Hill village", zone="Asia/Kolkata")


@pytest.fixture
def pump(hill: Community) -> Device:
    return network.device(hill, "Pump")


def say(metric: Metric, *spoken: tuple[int, Value]) -> None:
    """Values by the full hour of 20 November, UTC."""
    get_store().write(
        [
            Sample(metric.device_id, NOW.replace(hour=hour), 0, {metric.pk: value})
            for hour, value in spoken
        ]
    )


def shown(hill: Community, device: Device) -> tuple[list[Timeline], str]:
    client: Client = network.client_of(network.user("member", hill))
    with time_machine.travel(NOW, tick=False):
        answer = client.get(device.get_absolute_url())
    assert answer.status_code == 200
    return answer.context["timelines"], answer.content.decode()


def test_a_pump_shows_how_long_it_ran(hill: Community, pump: Device) -> None:
    running = network.metric(
        pump,
        "running",
        label="Running",
        unit="",
        data_type=DataType.BOOLEAN,
        expected_every_s=3600,
    )
    say(running, (3, False), (4, True), (6, True), (7, False), (11, False), (12, False))

    (strip,), html = shown(hill, pump)
    assert [(bar.x, bar.width, bar.tone) for bar in strip.bars] == [
        (900.0, 60.0, "off"),
        (960.0, 180.0, "on"),
        (1380.0, 60.0, "off"),  # from 07:00 to 11:00 nothing was heard
    ]
    assert strip.bars[1].text == "On, 09:30 to 12:30: 3 h"  # the community's time
    assert [(one.name, one.lasted) for one in strip.shares] == [("On", "3 h"), ("Off", "2 h")]
    assert strip.unknown == "19 h"
    assert "States, last 24 hours" in html


def test_texts_are_named_as_they_were_sent_and_never_as_markup(
    hill: Community, pump: Device
) -> None:
    valve = network.metric(
        pump, "valve", label="Valve", unit="", data_type=DataType.TEXT, expected_every_s=3600
    )
    words = ["<b>open</b>", "shut", "shut", "shut", "two", "three", "four", "five", "six", "six"]
    say(valve, *((place + 1, word) for place, word in enumerate(words)))

    (strip,), html = shown(hill, pump)
    assert strip.shares[0].name == "shut"
    assert [share.tone for share in strip.shares] == ["1", "2", "3", "4", "5", "5", "5"]
    assert "&lt;b&gt;open&lt;/b&gt;, 06:30 to 07:30" in html
    assert "<b>open</b>" not in html


def test_without_a_known_pace_it_is_said_instead_of_guessed(hill: Community, pump: Device) -> None:
    running = network.metric(pump, "running", label="Running", data_type=DataType.BOOLEAN)
    say(running, (3, False), (4, True))
    (strip,), html = shown(hill, pump)
    assert not strip.bars
    assert "how often" in strip.trouble
    assert "Nobody stated how often this one is expected" in html
    assert "usually every" in html  # what its type does; not said to be expected of this one
    assert "Devices of its type usually report every 30 s." in html
    assert "is expected every" not in html
    assert "expected every" not in html


def test_numbers_and_what_was_never_heard_have_no_strip(hill: Community, pump: Device) -> None:
    power = network.metric(pump, "power_kw", label="Power", unit="kW")
    network.metric(pump, "running", label="Running", data_type=DataType.BOOLEAN)
    say(power, (2, 1.5))
    strips, html = shown(hill, pump)
    assert strips == []
    assert "States, last 24 hours" not in html
