"""One computed state per device, never stored, and the freshness of each of its values. Pure.

Two axes: what the device says (`State`) and how its sources are doing (`SourceState`). A provider
that does not answer, or a request budget that is used up, ages nothing but the values: only an
open alert about the device itself makes it offline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil

# The one rule of ages; the pages hand these numbers to the browser. A value may be one cadence old
# when it is fetched, and is replaced one interval later: twice the expectation is still punctual.
# The grace covers queueing, jitter and delivery.
LATE_FACTOR = 2.0
STALE_FACTOR = 3.0
GRACE_S = 30.0


class Freshness(StrEnum):
    """How old a value is, measured by how often one is expected."""

    LIVE = "live"
    LATE = "late"
    STALE = "stale"
    NEVER = "never"


class State(StrEnum):
    """What a device's dashboard tile says."""

    ALERT = "alert"
    OFFLINE = "offline"
    STALE = "stale"
    LATE = "late"
    NEW = "new"
    ONLINE = "online"
    PAUSED = "paused"


class SourceState(StrEnum):
    """How fetching is going, worst first; `NONE` is a device without a source."""

    KEY_REJECTED = "key_rejected"
    NOT_FOUND = "not_found"
    SCHEMA_CHANGED = "schema_changed"
    FAILING = "failing"
    UPSTREAM_DOWN = "upstream_down"
    THROTTLED = "throttled"
    OK = "ok"
    PAUSED = "paused"
    NONE = "none"

    @property
    def needs_someone(self) -> bool:
        """Whether it stays wrong until a person does something."""
        return self in _NEEDS_SOMEONE


_NEEDS_SOMEONE = frozenset(
    {
        SourceState.KEY_REJECTED,
        SourceState.NOT_FOUND,
        SourceState.SCHEMA_CHANGED,
        SourceState.FAILING,
    }
)
_SOURCE_ORDER = {state: place for place, state in enumerate(SourceState)}

# Worst first. An alert is placed by its severity, everything else by its state alone.
_ORDER: dict[tuple[State, str | None], int] = {
    (State.ALERT, "critical"): 0,
    (State.OFFLINE, None): 1,
    (State.ALERT, "warning"): 2,
    (State.STALE, None): 3,
    (State.LATE, None): 4,
    (State.ALERT, "info"): 5,
    (State.NEW, None): 6,
    (State.ONLINE, None): 7,
    (State.PAUSED, None): 8,
}
_SEVERITY_ORDER = {"critical": 0, "warning": 1, "info": 2}


@dataclass(frozen=True, slots=True)
class Notice:
    """An open alert, reduced to what a state needs: since when, how urgent, why."""

    since: datetime
    severity: str
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What is known of one source: switched on (with its connection), and what is wrong with it."""

    enabled: bool
    failing: Notice | None = None
    upstream: Notice | None = None
    throttled: bool = False


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """What a device's state is computed from.

    `last_at` is the time of its newest reading, `expected_s` the seconds after which the next one
    is due (None: nobody knows; `usual`: nobody stated it of this device, it is what its type
    usually does). `alerts` are its open alerts other than `offline`.
    """

    enabled: bool
    last_at: datetime | None
    expected_s: int | None
    usual: bool = False
    offline: Notice | None = None
    alerts: Sequence[Notice] = ()
    sources: Sequence[SourceFacts] = ()


@dataclass(frozen=True, slots=True)
class SourceCondition:
    """The state of a source: since when, and why in words."""

    state: SourceState
    since: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DeviceState:
    """The state of a device; `since` is None where nobody can know it."""

    state: State
    since: datetime | None
    reason: str
    source: SourceCondition
    severity: str | None = None

    @property
    def rank(self) -> tuple[int, int]:
        """Sorting key, worst first; among equals those with a troubled source come first."""
        return _ORDER[self.state, self.severity], _SOURCE_ORDER[self.source.state]

    @property
    def needs_attention(self) -> bool:
        """Whether somebody should look: the device is not well, or its source will not recover."""
        unwell = self.state not in (State.ONLINE, State.NEW, State.PAUSED)
        return unwell or (self.state is not State.PAUSED and self.source.state.needs_someone)


def expected_every(stated_s: int | None, interval_s: float, cadence_s: float | None) -> int:
    """Seconds after which a metric's next reading is due: what people said, else the slower of
    how often its source is asked and how often the source was seen to say something new."""
    if stated_s is not None:
        return stated_s
    return ceil(max(interval_s, cadence_s or 0.0))


def late_after(expected_s: float) -> timedelta:
    """The age beyond which a value is late."""
    return timedelta(seconds=expected_s * LATE_FACTOR + GRACE_S)


def stale_after(expected_s: float) -> timedelta:
    """The age beyond which a value is stale."""
    return timedelta(seconds=expected_s * STALE_FACTOR + GRACE_S)


def freshness(at: datetime | None, expected_s: float | None, now: datetime) -> Freshness:
    """How fresh a value measured `at` is; with no expectation it never grows late."""
    if at is None:
        return Freshness.NEVER
    if expected_s is None or now - at <= late_after(expected_s):
        return Freshness.LIVE
    return Freshness.LATE if now - at <= stale_after(expected_s) else Freshness.STALE


def source_condition(facts: SourceFacts) -> SourceCondition:
    """The state of one source. What only a person can mend is named before what passes."""
    if not facts.enabled:
        return SourceCondition(SourceState.PAUSED, reason="Switched off: it is not asked.")
    if facts.failing is not None:
        known = facts.failing.reason in _NEEDS_SOMEONE
        state = SourceState(facts.failing.reason) if known else SourceState.FAILING
        return SourceCondition(state, facts.failing.since, facts.failing.text)
    if facts.upstream is not None:
        return SourceCondition(SourceState.UPSTREAM_DOWN, facts.upstream.since, facts.upstream.text)
    if facts.throttled:
        return SourceCondition(
            SourceState.THROTTLED, reason="Waiting: the request budget of its account is used up."
        )
    return SourceCondition(SourceState.OK)


def worst_source(sources: Sequence[SourceFacts]) -> SourceCondition:
    """The condition a device shows for all its sources: the worst of those switched on."""
    if not sources:
        return SourceCondition(SourceState.NONE)
    return min(map(source_condition, sources), key=lambda one: _SOURCE_ORDER[one.state])


def device_state(facts: DeviceFacts, now: datetime) -> DeviceState:
    """The one state of a device at `now` (aware UTC)."""
    source = worst_source(facts.sources)
    if not facts.enabled:
        return DeviceState(State.PAUSED, None, "Switched off for maintenance.", source)
    if facts.offline is not None:
        return DeviceState(State.OFFLINE, facts.offline.since, facts.offline.text, source)
    if facts.alerts:
        worst = min(facts.alerts, key=lambda one: (_SEVERITY_ORDER[one.severity], one.since))
        return DeviceState(State.ALERT, worst.since, worst.text, source, worst.severity)
    return _by_age(facts, source, now)


def _by_age(facts: DeviceFacts, source: SourceCondition, now: datetime) -> DeviceState:
    if facts.last_at is None:
        return DeviceState(State.NEW, None, "It has not reported yet.", source)
    fresh = freshness(facts.last_at, facts.expected_s, now)
    if facts.expected_s is None or fresh is Freshness.LIVE:
        return DeviceState(State.ONLINE, None, "", source)
    every = duration(facts.expected_s)
    reason = f"A reading is expected every {every}."
    if facts.usual:
        reason = f"Devices of its type usually report every {every}."
    if fresh is Freshness.LATE:
        since = facts.last_at + late_after(facts.expected_s)
        return DeviceState(State.LATE, since, reason, source)
    return DeviceState(State.STALE, facts.last_at + stale_after(facts.expected_s), reason, source)


def duration(seconds: float) -> str:
    """Seconds in words: «60 s», «5 min», «2 h», «3 days»."""
    for size, name in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{round(seconds / size, 1):g} {name}"
    return f"{seconds:g} s"
