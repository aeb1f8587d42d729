"""The last day of on/off and text metrics as strips: which state held when, and how long in all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from devices.alerts.state import duration
from devices.models import DataType, Metric
from devices.readings.measuring import PaceUnknown
from devices.readings.samples import Value
from devices.readings.staying import States, Stay, TooManyStays, states
from devices.readings.store import NotKept
from realtime.presenters.cards import value_text
from realtime.presenters.facts import SeenDevice

SPAN = timedelta(hours=24)
TONES = 5
"""Colours for the states that lasted longest; all others share the last one."""
_STATED = (DataType.BOOLEAN, DataType.TEXT)


@dataclass(frozen=True, slots=True)
class Bar:
    """A state held, as a rectangle of the strip, in minutes since it begins; `text`: in words."""

    x: float
    width: float
    tone: str
    text: str


@dataclass(frozen=True, slots=True)
class Share:
    """How long a state lasted in all."""

    name: str
    lasted: str
    tone: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """The strip of a metric; `unknown`: for how long nothing was heard; `trouble`: why there is
    no strip."""

    label: str
    bars: Sequence[Bar] = ()
    shares: Sequence[Share] = ()
    unknown: str = ""
    trouble: str = ""


def timelines(seen: SeenDevice, now: datetime) -> list[Timeline]:
    """A strip for each of the device's on/off and text metrics that was ever heard."""
    zone = ZoneInfo(seen.device.community.zone)
    return [
        _timeline(metric, now, zone)
        for metric, reading in seen.latest
        if reading is not None and metric.data_type in _STATED
    ]


def _timeline(metric: Metric, now: datetime, zone: tzinfo) -> Timeline:
    since = now - SPAN
    try:
        found = states(metric, since, now, None)
    except PaceUnknown:
        return Timeline(
            metric.label,
            trouble="Nobody stated how often this one is expected, so silence cannot be told from "
            "a pause. An operator can state it on the metric's page.",
        )
    except (NotKept, TooManyStays) as error:
        return Timeline(metric.label, trouble=str(error))
    tones = _tones(metric, found)
    unknown = SPAN - sum(found.lasted.values(), timedelta())
    return Timeline(
        metric.label,
        [_bar(metric, stay, since, tones[stay.value], zone) for stay in found.stays],
        [
            Share(_name(metric, value), _words(found.lasted[value]), tone)
            for value, tone in tones.items()
        ],
        _words(unknown) if unknown > found.bridge else "",
    )


def _tones(metric: Metric, found: States) -> dict[Value, str]:
    """A colour for each state, those that lasted longest first; on and off keep theirs."""
    longest = sorted(found.lasted, key=lambda value: found.lasted[value], reverse=True)
    if metric.data_type == DataType.BOOLEAN:
        return {value: "on" if value else "off" for value in longest}
    return {value: str(min(place, TONES)) for place, value in enumerate(longest, 1)}


def _bar(metric: Metric, stay: Stay, since: datetime, tone: str, zone: tzinfo) -> Bar:
    begins, ends = stay.since.astimezone(zone), stay.until.astimezone(zone)
    return Bar(
        _minutes(stay.since - since),
        _minutes(stay.length),
        tone,
        f"{_name(metric, stay.value)}, {begins:%H:%M} to {ends:%H:%M}: {_words(stay.length)}",
    )


def _minutes(length: timedelta) -> float:
    return round(length / timedelta(minutes=1), 2)


def _name(metric: Metric, value: Value) -> str:
    return value_text(value, metric.data_type, 0)


def _words(length: timedelta) -> str:
    return duration(length.total_seconds())
