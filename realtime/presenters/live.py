"""What a page needs to stay current: its topics, where each stood, messages' items, banners."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import prefetch_related_objects
from django.utils import timezone

from devices.alerts.models import Alert
from devices.alerts.state import DeviceState
from devices.models import Community, Device
from devices.readings.represent import iso
from realtime import replay
from realtime.presenters.facts import look_at
from realtime.presenters.rows import Banner, Live
from realtime.publish import RealtimeUnavailable
from realtime.topics import community_topic, device_topic
from realtime.way_in import way_in


def heads(topics: Sequence[str]) -> dict[str, str]:
    """The newest message's id of each topic; empty when Redis does not answer.

    Read them before the values: a message between the two is then shown twice at worst.
    """
    try:
        return replay.heads(topics)
    except RealtimeUnavailable:
        return {}


def communities_live(communities: Sequence[Community], poll_url: str) -> Live | None:
    """Everything that happens in these communities; None for none."""
    if not communities:
        return None
    topics = [community_topic(community.pk) for community in communities]
    return _live(f"/ws/community/{communities[0].pk}/updates", topics, poll_url)


def device_live(device: Device, poll_url: str) -> Live:
    """What one device says."""
    return _live(f"/ws/device/{device.uuid}/telemetry", [device_topic(device.uuid)], poll_url)


def _live(url: str, topics: list[str], poll_url: str) -> Live:
    since = heads(topics)
    return Live(url, topics, since, poll_url, available=bool(since))


def state_item(device: UUID, state: DeviceState) -> dict[str, Any]:
    """One device's state as messages and snapshots carry it; `since` is ISO 8601 in UTC or None."""
    item = {
        "device": str(device),
        "state": state.state.value,
        "source": state.source.state.value,
        "since": iso(state.since) if state.since else None,
        "reason": state.reason,
    }
    return item | {"severity": state.severity} if state.severity else item


def state_items(devices: Sequence[Device]) -> list[dict[str, Any]]:
    """The states of these devices now, in the same order."""
    prefetch_related_objects(devices, "type", "community")
    fleet = look_at(devices, timezone.now())
    states = {seen.device.pk: seen.state for seen in fleet.devices}
    return [state_item(device.uuid, states[device.pk]) for device in devices]


def alert_item(alert: Alert) -> dict[str, Any]:
    """An alert as messages carry it; `device` is None where it concerns a whole account."""
    return {
        "id": alert.pk,
        "severity": alert.severity,
        "title": alert.title,
        "text": alert.text,
        "device": str(alert.device.uuid) if alert.device else None,
        "opened_at": iso(alert.opened_at),
        "resolved": alert.resolved_at is not None,
    }


_NO_REDIS = Banner(
    "warning",
    "Live updates are not available",
    "Redis does not answer: nothing is fetched from the sources until it does. This page asks for "
    "stored values every few seconds.",
)


def banners(live: Live | None, outages: Sequence[Alert], now: datetime) -> list[Banner]:
    """What is wrong above the level of one device, the site's own troubles first."""
    without_redis = live is not None and not live.available
    # What clock and worker say of themselves lies in Redis too: asking would only take time.
    own = [_NO_REDIS] if without_redis else way_in().troubles(now)
    return [*own, *(_outage(alert) for alert in outages)]


def _outage(alert: Alert) -> Banner:
    text = f"{alert.text} Devices it feeds show their last known values."
    return Banner("warning", alert.title, text, alert.opened_at)
