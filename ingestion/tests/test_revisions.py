"""A source corrects what it published: an open page and the API follow, and older values do not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from devices.models import Metric, Source
from devices.readings.represent import iso
from devices.readings.samples import Origin, Sample
from ingestion.entries import Entry
from ingestion.pipeline import Delivery, ingest_all
from ingestion.rules import field_rules
from ingestion.tell import News, tell_readings
from ingestion.tests import stack as network
from ingestion.tests.recalculated import Scene
from ingestion.tests.stack import Stack
from ingestion.tests.test_nothing_lost import running, stack
from ingestion.tests.test_what_is_told import Sensor, sensor
from realtime.publish import publisher
from realtime.topics import community_topic, device_topic

__all__ = ["running", "sensor", "stack"]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def scene(redis_socket: str, settings: Any) -> Iterator[Scene]:
    settings.REDIS_URL = f"unix://{redis_socket}"
    publisher().redis.flushdb()
    yield Scene()
    publisher().redis.flushdb()


def told(source: Source) -> list[dict[str, Any]]:
    """The newest message about the source's device; who watches its community hears the same."""
    device, connection = source.device, publisher()
    heard: list[list[dict[str, Any]]] = []
    for topic in (device_topic(device.uuid), community_topic(device.community_id)):
        entries: Any = connection.redis.xrevrange(connection.keys.stream(topic), count=1)
        ((_, message),) = entries
        heard.append(json.loads(message[b"body"])["d"])
    own, of_all = heard
    assert [one for one in of_all if one["device"] == str(device.uuid)] == own
    return own


def messages_of(source: Source) -> int:
    connection = publisher()
    length: Any = connection.redis.xlen(connection.keys.stream(device_topic(source.device.uuid)))
    return int(length)


def brief(readings: list[dict[str, Any]]) -> list[tuple[str, int, Any, bool]]:
    return [(one["metric"], one["sequence"], one["value"], one["revised"]) for one in readings]


def test_a_value_corrected_at_its_source_is_told_by_the_next_poll(
    stack: Stack, sensor: tuple[Sensor, str]
) -> None:
    made, url = sensor
    account = network.connection(stack.simulator, base_url=url)
    source = network.channel(account, 1, ("field1",), interval_s=30, history_from=stack.at)
    at = stack.at + timedelta(seconds=5)
    made.rows.append((at, 1, "5"))
    stack.run(60)
    assert brief(told(source)) == [("field1", 1, 5.0, False)]
    before = messages_of(source)
    made.rows[0] = (at, 1, "6.5")
    stack.run(60)
    assert told(source) == [
        {
            "device": str(source.device.uuid),
            "metric": "field1",
            "at": iso(at),
            "value": 6.5,
            "sequence": 1,
            "origin": "live",
            "revised": True,
        }
    ]
    assert messages_of(source) == before + 1  # later polls of the same value tell nothing


def test_a_correction_of_older_values_tells_nothing(scene: Scene) -> None:
    scene.receive(["1", "2", "3"])
    before = messages_of(scene.channel)
    scene.receive(["1.5", "2.5"])
    assert messages_of(scene.channel) == before
    assert [one.revised for one in scene.readings()] == [True, True, False]


def test_of_what_is_corrected_the_newest_is_told(scene: Scene) -> None:
    scene.receive(["1", "2", "3"])
    scene.receive(["1.5", "2.5", "3.5"])
    assert brief(told(scene.channel)) == [(scene.level.name, 2, 3.5, True)]


def test_a_corrected_value_that_is_no_longer_the_newest_is_not_told(scene: Scene) -> None:
    scene.receive(["1", "2"])
    scene.receive(["2.5", "3"], first=1)
    assert brief(told(scene.channel)) == [(scene.level.name, 2, 3.0, False)]


def test_each_metric_has_its_own_newest(scene: Scene) -> None:
    flow = scene.add("flow", field="field2")
    scene.receive([{"field1": "1", "field2": "10"}, {"field1": "2"}])
    scene.receive([{"field1": "1.5", "field2": "11"}, {"field1": "2"}, {"field1": "3"}])
    # The flow was not heard since; the level was.
    assert brief(told(scene.channel)) == [
        (flow.name, 0, 11.0, True),
        (scene.level.name, 2, 3.0, False),
    ]


def test_text_is_corrected_like_numbers(scene: Scene) -> None:
    state = Metric.objects.create(
        device=scene.channel.device, name="state", label="State", data_type="text"
    )
    scene.channel.mappings.create(metric=state, field="field2", data_type="text")
    scene.receive([{"field2": "open"}])
    scene.receive([{"field2": "shut"}])
    assert brief(told(scene.channel)) == [("state", 0, "shut", True)]


def test_what_is_corrected_while_history_is_read_is_not_told(scene: Scene) -> None:
    scene.receive(["1"])
    before = messages_of(scene.channel)
    scene.receive(["2"], origin=Origin.BACKFILL)
    assert messages_of(scene.channel) == before


def test_several_devices_that_are_corrected_at_once_are_told_apart(scene: Scene) -> None:
    other = network.channel(scene.channel.connection, 7, ("field1",))
    for values in (("1", "5"), ("2", "6")):
        entries = [Entry(scene.at(0), 0, {"field1": value}) for value in values]
        deliveries = [
            Delivery(one, field_rules(one).usable, [entry], (), Origin.LIVE)
            for one, entry in zip((scene.channel, other), entries, strict=True)
        ]
        ingest_all(deliveries, scene.now)
    assert brief(told(scene.channel)) == [(scene.level.name, 0, 2.0, True)]
    assert brief(told(other)) == [("field1", 0, 6.0, True)]


def test_nothing_revised_costs_no_query(scene: Scene, django_assert_num_queries: Any) -> None:
    loaded = Source.objects.select_related("device").prefetch_related("mappings__metric")
    source = loaded.get(pk=scene.channel.pk)
    sample = Sample(source.device_id, scene.at(0), 0, {scene.level.pk: 1.0})
    with django_assert_num_queries(0):
        tell_readings([News(source, [sample])])
    assert brief(told(source)) == [(scene.level.name, 0, 1.0, False)]
