"""Gathering what devices' states are computed from: few queries, however many devices.

Two looks: `look_at` tells the state of all devices of a page; `with_latest` fetches the values of
those that the page shows. A thousand states are cheap, a thousand devices' values are not.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from django.db.models import Prefetch, Q

from devices.alerts.models import Alert, Kind
from devices.alerts.state import (
    DeviceFacts,
    DeviceState,
    Notice,
    SourceCondition,
    SourceFacts,
    State,
    device_state,
    expected_every,
    source_condition,
)
from devices.models import Connection, Device, Metric, Source
from devices.readings.queries import heard_of_devices, latest_of_devices
from devices.readings.samples import Reading
from realtime.presenters.rows import Counts
from realtime.way_in import Polling, way_in

NEVER_POLLED = Polling()

Latest = Sequence[tuple[Metric, Reading | None]]
# Of each metric: after how many seconds people expect a reading, and when the newest was measured.
Heard = Sequence[tuple[int | None, datetime | None]]


@dataclass(frozen=True, slots=True)
class SeenSource:
    """A source, how polling it goes, and its state."""

    source: Source
    polling: Polling
    condition: SourceCondition


@dataclass(frozen=True, slots=True)
class SeenDevice:
    """A device with everything its pages need, and its state; `latest` after `with_latest`."""

    device: Device
    sources: Sequence[SeenSource]
    alerts: Sequence[Alert]
    last_at: datetime | None
    expected_s: int
    unstated_s: int
    asked: bool
    """Whether a source is switched on: how often it is asked is what is expected, where nobody
    stated that; without one, what is usual of the device's type."""
    state: DeviceState
    latest: Latest = ()

    def metric_expected_s(self, metric: Metric) -> int:
        """Seconds after which the metric's next reading is due."""
        return metric.expected_every_s or self.unstated_s

    def is_usual(self, metric: Metric) -> bool:
        """Whether that is only what devices of its type usually do."""
        return not metric.expected_every_s and not self.asked


@dataclass(frozen=True, slots=True)
class _OpenAlerts:
    """Open alerts by what they are about."""

    of_device: Mapping[int, list[Alert]]
    of_source: Mapping[int, Alert]
    of_connection: Mapping[int, Alert]


@dataclass(frozen=True, slots=True)
class Fleet:
    """Some devices, worst first, seen at one instant; `outages` are of accounts they use."""

    now: datetime
    devices: Sequence[SeenDevice]
    outages: Sequence[Alert] = field(default_factory=tuple)

    def counts(self) -> Counts:
        """How many devices are in each state, and in `total`."""
        return count_states(self.devices)

    def in_state(self, state: str) -> list[SeenDevice]:
        """The devices in this state, worst first."""
        return [seen for seen in self.devices if seen.state.state == state]

    def needing_attention(self) -> list[SeenDevice]:
        """The devices somebody should look at, worst first."""
        return [seen for seen in self.devices if seen.state.needs_attention]


def count_states(devices: Iterable[SeenDevice]) -> Counts:
    """How many devices are in each state (all states are there), and in `total`."""
    counted = Counter(seen.state.state.value for seen in devices)
    return {**{state.value: counted[state.value] for state in State}, "total": counted.total()}


def look_at(devices: Sequence[Device], now: datetime) -> Fleet:
    """See these devices, which the viewer may see, at `now` (aware UTC): as few queries as for one.

    The devices bring their `type` and `community` along.
    """
    return _look(devices, heard_of_devices([device.pk for device in devices]), now)


def look_closely(devices: Sequence[Device], now: datetime) -> Fleet:
    """As `look_at`, with everybody's latest readings: as few queries for all as for one."""
    latest = latest_of_devices([device.pk for device in devices])
    heard = {
        pk: [(metric.expected_every_s, reading.at if reading else None) for metric, reading in some]
        for pk, some in latest.items()
    }
    fleet = _look(devices, heard, now)
    return replace(
        fleet, devices=[replace(one, latest=latest[one.device.pk]) for one in fleet.devices]
    )


def with_latest(devices: Sequence[SeenDevice]) -> list[SeenDevice]:
    """The same devices with their latest readings: as few queries for all as for one."""
    latest = latest_of_devices([seen.device.pk for seen in devices])
    return [replace(seen, latest=latest[seen.device.pk]) for seen in devices]


def _look(devices: Sequence[Device], heard: Mapping[int, Heard], now: datetime) -> Fleet:
    if not devices:
        return Fleet(now, ())
    by_id = {device.pk: device for device in devices}
    sources = _sources(by_id)
    polling = way_in().polling([one.pk for some in sources.values() for one in some])
    alerts = _open_alerts(by_id, {s.connection_id for some in sources.values() for s in some})
    seen = [
        _see(device, heard.get(pk, ()), sources[pk], polling, alerts, now)
        for pk, device in by_id.items()
    ]
    seen.sort(key=lambda one: (one.state.rank, one.device.name, one.device.pk))
    outages = sorted(alerts.of_connection.values(), key=lambda alert: alert.opened_at)
    return Fleet(now, seen, outages)


def _sources(devices: Mapping[int, Device]) -> Mapping[int, list[Source]]:
    found: dict[int, list[Source]] = defaultdict(list)
    # Few accounts are shared by many sources: fetched once each, and without their keys.
    accounts = Prefetch("connection", Connection.objects.defer("account_key"))
    for source in Source.objects.filter(device__in=devices).prefetch_related(accounts):
        source.device = devices[source.device_id]
        found[source.device_id].append(source)
    return found


def _open_alerts(devices: Collection[int], connections: Collection[int]) -> _OpenAlerts:
    of_device: dict[int, list[Alert]] = defaultdict(list)
    of_source: dict[int, Alert] = {}
    of_connection: dict[int, Alert] = {}
    wanted = Q(device__in=devices) | Q(kind=Kind.UPSTREAM_DOWN, connection__in=connections)
    rows = Alert.objects.open().filter(wanted)
    for alert in rows.select_related("acknowledged_by"):
        if alert.device_id is not None:
            of_device[alert.device_id].append(alert)
        if alert.kind == Kind.SOURCE_FAILING and alert.source_id is not None:
            of_source[alert.source_id] = alert
        if alert.kind == Kind.UPSTREAM_DOWN and alert.connection_id is not None:
            of_connection[alert.connection_id] = alert
    return _OpenAlerts(of_device, of_source, of_connection)


def _see(
    device: Device,
    heard: Heard,
    sources: Sequence[Source],
    polling: Mapping[int, Polling],
    alerts: _OpenAlerts,
    now: datetime,
) -> SeenDevice:
    known = [(source, polling.get(source.pk, NEVER_POLLED)) for source in sources]
    facts = [_source_facts(source, how, alerts) for source, how in known]
    unstated_s = _unstated_s(device, known)
    asked = any(source.enabled for source in sources)
    expected_s = min((stated_s or unstated_s for stated_s, _ in heard), default=unstated_s)
    last_at = max((at for _, at in heard if at is not None), default=None)
    own = alerts.of_device.get(device.pk, [])
    state = device_state(
        DeviceFacts(
            enabled=device.enabled,
            last_at=last_at,
            expected_s=expected_s,
            usual=not asked and expected_s not in {stated_s for stated_s, _ in heard},
            offline=next((notice(a) for a in own if a.kind == Kind.DEVICE_OFFLINE), None),
            alerts=[notice(a) for a in own if a.kind not in _OWN_AXIS],
            sources=facts,
        ),
        now,
    )
    seen = [
        SeenSource(source, how, source_condition(fact))
        for (source, how), fact in zip(known, facts, strict=True)
    ]
    return SeenDevice(device, seen, own, last_at, expected_s, unstated_s, asked, state)


# Kinds that have a place of their own in a device's state.
_OWN_AXIS = frozenset({Kind.DEVICE_OFFLINE, Kind.SOURCE_FAILING, Kind.UPSTREAM_DOWN})


def _unstated_s(device: Device, sources: Sequence[tuple[Source, Polling]]) -> int:
    """How often a reading is expected where nobody said: by the quickest source switched on."""
    asked = (
        expected_every(None, source.effective_interval_s, how.cadence_s)
        for source, how in sources
        if source.enabled
    )
    return min(asked, default=device.type.default_interval_s)


def _source_facts(source: Source, polling: Polling, alerts: _OpenAlerts) -> SourceFacts:
    failing = alerts.of_source.get(source.pk)
    upstream = alerts.of_connection.get(source.connection_id)
    return SourceFacts(
        enabled=source.enabled and source.connection.enabled,
        failing=notice(failing) if failing else None,
        upstream=notice(upstream) if upstream else None,
        throttled=polling.throttled,
    )


def notice(alert: Alert) -> Notice:
    """An open alert, reduced to what a state needs."""
    return Notice(alert.opened_at, alert.severity, alert.reason, alert.text)
