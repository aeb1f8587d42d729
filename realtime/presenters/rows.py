"""The rows that templates read. Every datetime is aware; None means «not known», never zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from devices.alerts.state import GRACE_S, LATE_FACTOR, STALE_FACTOR, Freshness, SourceState, State
from devices.readings.samples import Value

Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Ages:
    """The server's rule of ages, so that the browser uses the same numbers.

    A value is live up to an age of expected x `late_factor` + `grace_s` seconds, late up to
    expected x `stale_factor` + `grace_s`, stale beyond.
    """

    late_factor: float = LATE_FACTOR
    stale_factor: float = STALE_FACTOR
    grace_s: float = GRACE_S


@dataclass(frozen=True, slots=True)
class Banner:
    """Something wrong above the level of one device."""

    level: str
    title: str
    text: str = ""
    since: datetime | None = None
    url: str | None = None
    url_label: str | None = None


@dataclass(frozen=True, slots=True)
class Live:
    """Where a page hears what is new, and from which message of each topic on.

    `since` lacks a topic, and `available` is False, when Redis does not answer.
    """

    url: str
    topics: Sequence[str]
    since: Mapping[str, str]
    poll_url: str
    available: bool


@dataclass(frozen=True, slots=True)
class MetricValue:
    """A metric with its newest value; `text` is the value as people read it, without unit."""

    id: int
    name: str
    label: str
    unit: str
    decimals: int
    data_type: str
    value: Value | None
    text: str | None
    at: datetime | None
    age_s: float | None
    expected_every_s: int | None
    usual: bool
    """Whether that is only what devices of its type usually do."""
    freshness: Freshness
    origin: str | None
    history_url: str
    minimum: float | None
    maximum: float | None

    @property
    def drawable(self) -> bool:
        """Whether its values can be drawn over time."""
        return self.data_type in ("float", "integer")


@dataclass(frozen=True, slots=True)
class Level:
    """How full a tank is: `percent` is 0 to 100, `full` the metric's value that means 100 %."""

    percent: float
    metric: str
    full: float


@dataclass(frozen=True, slots=True)
class DeviceCard:
    """A device on a tile or in a list."""

    uuid: UUID
    url: str
    name: str
    community: str
    type_slug: str
    type_name: str
    picture: str
    state: State
    severity: str | None
    state_since: datetime | None
    reason: str
    source_state: SourceState
    source_label: str
    source_reason: str
    headline: MetricValue | None
    metrics: Sequence[MetricValue]
    level_percent: float | None
    level_metric: str | None
    level_full: float | None
    level_low: float | None
    level_high: float | None
    last_at: datetime | None
    expected_every_s: int | None


@dataclass(frozen=True, slots=True)
class DevicePage(DeviceCard):
    """A device on its own page."""

    community_url: str
    location_text: str
    latitude: Decimal | None
    longitude: Decimal | None
    notes: str
    installed_at: date | None
    admin_url: str | None


@dataclass(frozen=True, slots=True)
class CommunityCard:
    """A community with its devices counted by state, the worst state, and some of its tanks."""

    id: int
    name: str
    slug: str
    url: str
    counts: Counts
    total: int
    state: State | None
    last_at: datetime | None
    tanks: Sequence[DeviceCard] = ()
    place: str = ""


@dataclass(frozen=True, slots=True)
class AlertRow:
    """An open alert."""

    id: int
    severity: str
    title: str
    text: str
    device_name: str
    device_url: str
    opened_at: datetime
    acknowledged_by: str


@dataclass(frozen=True, slots=True)
class Problem:
    """One line of «what is wrong» in a community."""

    text: str
    state: State
    url: str | None
    since: datetime | None


@dataclass(frozen=True, slots=True)
class SourceView:
    """A source of a device: how fetching is going, apart from the device's own state."""

    label: str
    name: str
    state: SourceState
    state_label: str
    reason: str
    since: datetime | None
    last_success_at: datetime | None
    last_poll_at: datetime | None
    next_poll_at: datetime | None
    interval_s: int
    admin_url: str | None


@dataclass(frozen=True, slots=True)
class Made:
    """What a metric that a field feeds got of it; `text` is None when nothing."""

    label: str
    text: str | None
    unit: str


@dataclass(frozen=True, slots=True)
class EntryRow:
    """One field as received, beside what became of it: a level may make a volume too."""

    field: str
    label: str
    raw: str | None
    made: Sequence[Made]
    refusal: str


@dataclass(frozen=True, slots=True)
class LastEntry:
    """The newest entry a source sent."""

    at: datetime
    sequence: int
    received_at: datetime | None
    rows: Sequence[EntryRow]
