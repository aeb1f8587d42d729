"""What the retention rules will drop, when, and what that means for the disk; told before."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from devices.models import Device
from devices.readings.believing import believed
from devices.readings.instants import EPOCH
from devices.readings.keeping import Shares, Volume
from devices.readings.models import KeptFrom, RetentionRule
from devices.readings.retention import effective_from, governed, rules_set
from devices.readings.store import get_store
from devices.readings.store.dropping import KEPT_LONGER

SOON = timedelta(days=30)
_UNKNOWN = Shares({}, counted=False)


@dataclass(frozen=True, slots=True)
class Step:
    """When the readings of a month go of the devices that a rule governs; never: None."""

    rule: RetentionRule | None
    """None: of the devices that no rule fits."""
    on: date | None
    due: bool
    """Whether that day has come: it goes within the hour."""
    soon: bool
    """Whether it goes within SOON."""
    archive: bool
    """Whether it goes to the archive."""
    size: int
    """About how many bytes they take up; 0: hardly any."""


@dataclass(frozen=True, slots=True)
class Going:
    """A month of readings: what it takes up and when it goes, rule by rule, soonest first."""

    volume: Volume
    steps: tuple[Step, ...]
    received: int
    """Bytes that its entries as received take up; they go once no device keeps readings of then."""
    received_soon: bool
    """Whether these go within SOON."""

    @property
    def rows(self) -> str:
        """How many rows, for people; nothing while the engine has not counted."""
        return f"{self.volume.rows:,}" if self.volume.rows else ""

    @property
    def last(self) -> Step:
        """The step with which nothing of the month is left."""
        return self.steps[-1]

    @property
    def soon(self) -> bool:
        """Whether some of it goes within SOON."""
        return any(step.soon for step in self.steps)

    @property
    def goes(self) -> int:
        """Bytes of readings and entries as received that go within SOON."""
        readings = sum(step.size for step in self.steps if step.soon)
        return readings + (self.received if self.received_soon else 0)

    @property
    def returned(self) -> int:
        """Those of them whose disk is free then, where an engine drops whole months."""
        readings = self.volume.size if self.last.soon else 0
        return readings + (self.received if self.received_soon else 0)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the rules in force will drop."""

    effective: datetime | None
    """When the newest change begins to count; None when it does."""
    months: tuple[Going, ...]
    hours: tuple[tuple[RetentionRule, date], ...]
    """Rules that let hours go, and the day before which they do today."""
    goes: int
    """About how many bytes go within SOON."""
    returned: int
    """How many of them the disk gets back then; of the rest the room is used again."""
    holds: int
    """Bytes that all readings take up."""
    received: int
    """Bytes that all entries as received take up."""
    received_stay: bool
    """Whether these stay for ever, because some device keeps its readings so long."""
    believed: datetime | None
    """What time it is taken to be, where the server's clock is not believed; None: it is."""


@dataclass(frozen=True, slots=True)
class _Group:
    """The devices of a rule, and up to when the readings of all of them are gone already."""

    rule: RetentionRule | None
    devices: Collection[int]
    gone: datetime


@dataclass(frozen=True, slots=True)
class _Calendar:
    """When something may go."""

    today: datetime
    earliest: datetime
    """Nothing goes before."""

    def day(self, ends: datetime, days: int) -> date:
        """When a month goes that ends then and is kept for so many days."""
        return max(ends + timedelta(days=days) + KEPT_LONGER, self.earliest).date()

    def is_soon(self, day: date | None) -> bool:
        return day is not None and day <= (self.today + SOON).date()

    def step(self, group: _Group, volume: Volume, share: float) -> Step:
        """When the group's readings of a month go."""
        rule = group.rule
        kept = None if rule is None else rule.readings_days
        day = None if kept is None else self.day(volume.ends, kept)
        due = day is not None and day <= self.today.date()
        archive = rule is not None and rule.archive
        size = round(volume.size * share)
        return Step(rule, day, due, self.is_soon(day), archive, size)


def outlook(now: datetime) -> Outlook:
    """What goes, when, and how much disk that frees; changes nothing."""
    rules, store = rules_set(), get_store()
    today = believed(now)
    effective = effective_from(rules, now)
    calendar = _Calendar(today, effective or today)
    groups = _groups(governed(rules))
    longest = _longest(groups)
    received = {one.begins: one.size for one in store.received_volumes()}
    shares = store.shares()
    months = []
    for volume in store.volumes():
        begins = volume.begins
        steps = _steps(volume, shares.get(begins, _UNKNOWN), groups, calendar)
        if begins > now or not steps:  # months made ahead are empty
            continue
        soon = longest is not None and calendar.is_soon(calendar.day(volume.ends, longest))
        months.append(Going(volume, steps, received.get(begins, 0), soon))
    return Outlook(
        effective=effective,
        months=tuple(months),
        hours=_hours(groups, today),
        goes=sum(one.goes for one in months),
        returned=sum(one.returned for one in months) if store.drops_whole_months() else 0,
        holds=sum(one.volume.size for one in months),
        received=sum(received.values()),
        received_stay=longest is None,
        believed=today if today < now else None,
    )


def _groups(rule_of: Mapping[int, RetentionRule]) -> list[_Group]:
    dropped = dict(KeptFrom.objects.values_list("device", "dropped_until"))
    devices: dict[RetentionRule | None, list[int]] = {}
    for device in Device.objects.values_list("pk", flat=True):
        devices.setdefault(rule_of.get(device), []).append(device)
    return [
        _Group(rule, some, min(dropped.get(one) or EPOCH for one in some))
        for rule, some in devices.items()
    ]


def _longest(groups: Collection[_Group]) -> int | None:
    """For how many days some device keeps its readings; None: for ever, or there are none."""
    kept = [None if one.rule is None else one.rule.readings_days for one in groups]
    known = [days for days in kept if days is not None]
    return max(known) if known and len(known) == len(kept) else None


def _steps(
    volume: Volume, shares: Shares, groups: Collection[_Group], calendar: _Calendar
) -> tuple[Step, ...]:
    """A month's steps still to come, soonest first."""
    steps = []
    for group in groups:
        share = sum(shares.of.get(device, 0.0) for device in group.devices)
        if group.gone < volume.ends and (share or not shares.counted):
            steps.append(calendar.step(group, volume, share))
    steps.sort(key=lambda one: (one.on is None, one.on or date.min, one.archive, str(one.rule)))
    return tuple(steps)


def _hours(groups: Collection[_Group], today: datetime) -> tuple[tuple[RetentionRule, date], ...]:
    return tuple(
        (one.rule, (today - timedelta(days=one.rule.hours_days)).date())
        for one in groups
        if one.rule is not None and one.rule.hours_days is not None
    )
