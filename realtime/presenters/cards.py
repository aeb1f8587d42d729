"""From what was seen to what is shown: values as text, tanks with their level, cards. No query."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.urls import reverse

from devices import units
from devices.alerts.models import Alert
from devices.alerts.state import SourceCondition, SourceState, freshness
from devices.models import Community, DataType, Device, Metric
from devices.readings.samples import Reading, Value
from realtime.presenters.facts import SeenDevice, count_states
from realtime.presenters.rows import AlertRow, CommunityCard, DeviceCard, Level, MetricValue

# Canonical names of metrics that say how full a tank is.
_LEVEL_NAMES = ("water_level", "tank_level", "level")

SOURCE_LABELS = {
    SourceState.KEY_REJECTED: "Key rejected",
    SourceState.NOT_FOUND: "Not found",
    SourceState.SCHEMA_CHANGED: "Fields changed",
    SourceState.FAILING: "Failing",
    SourceState.UPSTREAM_DOWN: "Provider down",
    SourceState.THROTTLED: "Waiting for its turn",
    SourceState.OK: "OK",
    SourceState.PAUSED: "Switched off",
    SourceState.NONE: "None",
}


def value_text(value: Value, data_type: str, decimals: int) -> str:
    """A value as people read it, without its unit: «182.4», «On», «Filling»."""
    if isinstance(value, str):
        return value
    if data_type == DataType.BOOLEAN or isinstance(value, bool):
        return "On" if value else "Off"
    return f"{value:.{decimals}f}"


def shown_decimals(metric: Metric) -> int:
    """Digits after the point; whole numbers have none, whatever is configured."""
    return 0 if metric.data_type == DataType.INTEGER else metric.decimals


def metric_value(
    metric: Metric, reading: Reading | None, expected_s: int, now: datetime, *, usual: bool
) -> MetricValue:
    """A metric with its newest reading, if there is one; `usual`: nobody stated `expected_s`."""
    at = reading.at if reading else None
    decimals = shown_decimals(metric)
    return MetricValue(
        id=metric.pk,
        name=metric.name,
        label=metric.label,
        unit=metric.unit,
        decimals=decimals,
        data_type=metric.data_type,
        value=reading.value if reading else None,
        text=value_text(reading.value, metric.data_type, decimals) if reading else None,
        at=at,
        age_s=max((now - at).total_seconds(), 0.0) if at else None,
        expected_every_s=expected_s,
        usual=usual,
        freshness=freshness(at, expected_s, now),
        origin=reading.origin.value if reading else None,
        history_url=reverse("metric-series", args=[metric.pk]),
        minimum=metric.minimum,
        maximum=metric.maximum,
    )


def metric_values(seen: SeenDevice, now: datetime) -> list[MetricValue]:
    """A device's metrics in their order; the first one is the headline."""
    return [
        metric_value(
            metric, reading, seen.metric_expected_s(metric), now, usual=seen.is_usual(metric)
        )
        for metric, reading in seen.latest
    ]


def level_of(device: Device, values: Iterable[MetricValue]) -> Level | None:
    """How full the device is, by its first metric that says so; None when none does.

    A level in a unit of length needs the tank's height; a level in % speaks for itself.
    """
    for metric in values:
        if not metric.drawable or not metric.name.startswith(_LEVEL_NAMES):
            continue
        full = full_at(device, metric.unit)
        if full is not None and metric.value is not None:
            percent = min(max(100 * float(metric.value) / full, 0.0), 100.0)
            return Level(percent, metric.name, full)
    return None


def full_at(device: Device, unit: str) -> float | None:
    """The level, in `unit`, at which the device's tank is full; None when nobody can know."""
    if unit == "%":
        return 100.0
    from_cm = units.conversion("cm", unit)
    if from_cm is None or device.tank_height_cm is None:
        return None
    return device.tank_height_cm * from_cm.factor + from_cm.shift


def device_card(seen: SeenDevice, now: datetime) -> DeviceCard:
    """The device on a tile or in a list."""
    device, state = seen.device, seen.state
    values = metric_values(seen, now)
    level = level_of(device, values)
    return DeviceCard(
        uuid=device.uuid,
        url=device.get_absolute_url(),
        name=device.name,
        community=device.community.name,
        type_slug=device.type.slug,
        type_name=device.type.name,
        picture=device.type.picture,
        state=state.state,
        severity=state.severity,
        state_since=state.since,
        reason=state.reason,
        source_state=state.source.state,
        source_label=source_label(seen),
        source_reason=short_reason(state.source),
        headline=values[0] if values else None,
        metrics=values,
        level_percent=level.percent if level else None,
        level_metric=level.metric if level else None,
        level_full=level.full if level else None,
        level_low=None,
        level_high=None,
        last_at=seen.last_at,
        expected_every_s=seen.expected_s,
    )


def source_label(seen: SeenDevice) -> str:
    """The kind of the device's source that its state speaks of; empty without one."""
    speaking = (one for one in seen.sources if one.condition == seen.state.source)
    return next((one.source.get_kind_display() for one in speaking), "")


def short_reason(condition: SourceCondition) -> str:
    """Why, in a list: an outage is told in full by the page's banner, not by every device."""
    outage = condition.state is SourceState.UPSTREAM_DOWN
    return SOURCE_LABELS[condition.state] if outage else condition.reason


def community_card(
    community: Community, devices: Sequence[SeenDevice], tanks: Sequence[DeviceCard] = ()
) -> CommunityCard:
    """The community with its devices (worst first) counted, and those of `tanks` with a level."""
    counts = count_states(devices)
    return CommunityCard(
        id=community.pk,
        name=community.name,
        slug=community.slug,
        url=community.get_absolute_url(),
        counts=counts,
        total=len(devices),
        state=devices[0].state.state if devices else None,
        last_at=max((seen.last_at for seen in devices if seen.last_at), default=None),
        tanks=[tank for tank in tanks if tank.level_percent is not None],
    )


def alert_row(alert: Alert, device: Device) -> AlertRow:
    """An open alert of a device."""
    acknowledged = alert.acknowledged_by
    return AlertRow(
        id=alert.pk,
        severity=alert.severity,
        title=alert.title,
        text=alert.text,
        device_name=device.name,
        device_url=device.get_absolute_url(),
        opened_at=alert.opened_at,
        acknowledged_by=str(acknowledged) if acknowledged else "",
    )


def alert_rows(devices: Iterable[SeenDevice]) -> list[AlertRow]:
    """Open alerts of these devices, newest first."""
    rows = [alert_row(alert, seen.device) for seen in devices for alert in seen.alerts]
    return sorted(rows, key=lambda row: (row.opened_at, row.id), reverse=True)
