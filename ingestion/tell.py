"""Telling whoever watches: live messages for new readings and changed states, after the commit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from django.db import models, transaction

from devices.alerts.models import Alert
from devices.models import Device, Metric, Source
from devices.readings.represent import represent
from devices.readings.samples import Reading, Sample
from devices.readings.store import get_store
from ingestion.derived import derived
from ingestion.observe import edges
from realtime import messages, topics
from realtime.presenters.live import alert_item, state_items
from realtime.publish import publish

# A first poll may bring a hundred rows; a live page needs the newest ones, its chart reloads.
NEWEST = 100
# Readings of many devices travel together to those who watch a community.
PER_MESSAGE = 250


@dataclass(frozen=True, slots=True)
class News:
    """What a source brought that was not known before, and what replaced other values."""

    source: Source
    new: Sequence[Sample]
    revised: Sequence[Sample] = ()


def tell_readings(news: Sequence[News]) -> None:
    """Publish new readings, oldest first: one message per device, few per community.

    Of the revised ones, those that are the newest of their metric: they are what pages show. What
    was revised before them is in the history.
    """
    batch: list[messages.Message] = []
    communities: dict[int, list[dict[str, Any]]] = {}
    newest = _newest_revised(news)
    for one in news:
        named = _named(one.source)
        readings = _represented(one, newest, named)
        if not readings:
            continue
        batch.append(messages.telemetry(named.topic, readings))
        communities.setdefault(named.community, []).extend(readings)
    for community, readings in communities.items():
        topic = topics.community_topic(community)
        batch.extend(messages.telemetry(topic, part) for part in _parts(readings))
    publish(batch)


class _Named(NamedTuple):
    """How those who watch know a source's device and metrics."""

    uuid: str
    topic: str
    community: int
    metrics: Mapping[int, Metric]


@derived
def _named(source: Source) -> _Named:
    device = source.device
    metrics = {mapping.metric_id: mapping.metric for mapping in source.mappings.all()}
    topic = topics.device_topic(device.uuid)
    return _Named(str(device.uuid), topic, device.community_id, metrics)


def _newest_revised(news: Sequence[News]) -> dict[int, list[Reading]]:
    """By device, the newest readings that are among those revised: one query, if there are any."""
    revised: dict[int, set[tuple[datetime, int]]] = defaultdict(set)
    devices: dict[int, int] = {}
    for one in news:
        for sample in one.revised:
            for metric in sample.values:
                revised[metric].add((sample.at, sample.sequence))
                devices[metric] = sample.device
    found: dict[int, list[Reading]] = defaultdict(list)
    if revised:
        for metric, reading in get_store().latest(revised).items():
            if (reading.at, reading.sequence) in revised[metric]:
                found[devices[metric]].append(reading)
    return found


def _represented(
    news: News, revised: Mapping[int, Sequence[Reading]], named: _Named
) -> list[dict[str, Any]]:
    readings = [
        Reading(metric, sample.at, sample.sequence, value, sample.origin)
        for sample in sorted(news.new, key=_moment)[-NEWEST:]
        for metric, value in sample.values.items()
    ]
    if also := revised.get(news.source.device_id):
        readings = sorted([*readings, *also], key=_moment)
    return [
        represent(one, named.metrics[one.metric], named.uuid)
        for one in readings
        if one.metric in named.metrics  # deleted since
    ]


def _moment(one: Sample | Reading) -> tuple[datetime, int]:
    return one.at, one.sequence


def _parts(readings: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(readings), PER_MESSAGE):
        yield readings[start : start + PER_MESSAGE]


def tell_recalculated(device: Device) -> None:
    """Have whoever looks at the device load anew what was recalculated."""
    own = (topics.device_topic(device.uuid), topics.community_topic(device.community_id))
    publish([messages.recalculated(topic) for topic in own])


def tell_alert(alert: Alert) -> None:
    """Publish and log, once committed, that an alert was opened or resolved."""
    transaction.on_commit(partial(edges.log_alert, alert), robust=True)
    transaction.on_commit(partial(_publish_alert, alert), robust=True)


def _publish_alert(alert: Alert) -> None:
    devices = list(_affected(alert))
    item = alert_item(alert)
    communities = {device.community_id for device in devices}
    batch = [messages.alert(topics.community_topic(one), [item]) for one in sorted(communities)]
    if alert.device is not None:
        batch.append(messages.alert(topics.device_topic(alert.device.uuid), [item]))
    for device, state in zip(devices, state_items(devices), strict=True):
        own = (topics.device_topic(device.uuid), topics.community_topic(device.community_id))
        batch.extend(messages.state(topic, [state]) for topic in own)
    publish(batch)


def _affected(alert: Alert) -> models.QuerySet[Device]:
    """Devices whose shown state the alert may change."""
    if alert.device is not None:
        return Device.objects.filter(pk=alert.device.pk)
    return Device.objects.filter(sources__connection=alert.connection).distinct()
