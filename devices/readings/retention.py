"""How long readings are kept: the rules that people set, what goes by them, and when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import structlog

from devices.models import Device
from devices.readings.archiving import remember
from devices.readings.believing import believed, remember_doubt
from devices.readings.instants import EPOCH
from devices.readings.keeping import Cut, Dropped, Volume
from devices.readings.models import KeptFrom, RetentionRule
from devices.readings.store import get_store
from devices.readings.store.dropping import KEPT_LONGER

log = structlog.get_logger(__name__)

NOTICE = timedelta(days=7)
"""Nothing goes by a rule that was changed less than so long ago: time to see what will go."""
SOON = timedelta(days=30)
Rules = Mapping[tuple[int | None, int | None], RetentionRule]
Holds = Mapping[int, datetime]
"""From when on nothing of a device may go, whatever its age: something is still to come of it."""
_NO_HOLDS: Holds = {}


@dataclass(frozen=True, slots=True)
class Pruned:
    """About how many rows went."""

    dropped: Dropped
    received: int


@dataclass(frozen=True, slots=True)
class Step:
    """When the readings of a month go of the devices that a rule governs; never: None."""

    rule: RetentionRule
    on: date | None
    due: bool
    """Whether that day has come: it goes within the hour."""
    archive: bool
    """Whether it goes to the archive."""


@dataclass(frozen=True, slots=True)
class Going:
    """A month of readings: what it takes up and when it goes, rule by rule, soonest first."""

    volume: Volume
    steps: tuple[Step, ...]
    soon: bool
    """Whether the last of it goes within SOON."""
    received: int
    """Bytes that its entries as received take up; they go with the last readings."""

    @property
    def rows(self) -> str:
        """How many rows, for people; nothing while the engine has not counted."""
        return f"{self.volume.rows:,}" if self.volume.rows else ""

    @property
    def last(self) -> Step:
        """The step with which the month's disk is free."""
        return self.steps[-1]


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the rules in force will drop."""

    effective: datetime | None
    """When the newest change begins to count; None when it does."""
    months: tuple[Going, ...]
    hours: tuple[tuple[RetentionRule, date], ...]
    """Rules that let hours go, and the day before which they do today."""
    frees: int
    """Bytes that become free within SOON."""
    holds: int
    """Bytes that all readings take up."""
    received: int
    """Bytes that all entries as received take up."""
    received_stay: bool
    """Whether these stay for ever, because some device keeps its readings so long."""
    believed: datetime | None
    """What time it is taken to be, where the server's clock is not believed; None: it is."""


def prune(now: datetime, holds: Holds = _NO_HOLDS) -> Pruned:
    """Make room for the coming months, and drop what is older than people want to keep.

    Readings and hours go by the rules (RetentionRule), readings into the archive where these say
    so; entries as received once no device keeps readings that they could explain or give anew.
    Days and months stay. What is over age is told by a time that can be believed (believing).
    Of a device that somebody `holds`, readings are still taken, and entries as received stay, from
    that instant on.
    """
    store = get_store()
    store.prepare(now)
    today = believed(now)
    remember_doubt(now, today)
    resumed = store.take_again(today)
    if resumed:
        log.warning("cuts_set_back", devices=resumed)
    going = cuts(now, holds)
    dropped = store.drop(going)
    remember(dropped.trouble, any(cut.archive for cut in going.values()), now)
    unneeded = _received_until(holds)
    received = 0 if unneeded is None else store.drop_received_before(unneeded)
    return Pruned(dropped, received)


def cuts(now: datetime, holds: Holds = _NO_HOLDS) -> dict[int, Cut]:
    """What is over age now and not held, by device; nothing while a changed rule gives notice.

    A clock that is not believed makes nothing older: see `believed`.
    """
    rules = _rules()
    if effective_from(rules, now) is not None:
        return {}
    today = believed(now).replace(hour=0, minute=0, second=0, microsecond=0)
    found = {}
    for device, rule in _governed(rules).items():
        readings, hours = (
            None if days is None else _held(today - timedelta(days=days), holds.get(device))
            for days in (rule.readings_days, rule.hours_days)
        )
        if readings is not None:
            found[device] = Cut(readings, hours, rule.archive)
    return found


def _held(at: datetime, hold: datetime | None) -> datetime:
    return at if hold is None else min(at, hold)


def _received_until(holds: Holds) -> datetime | None:
    """Up to when no device keeps (or is to have) readings; None while some device keeps all."""
    kept = dict(KeptFrom.objects.values_list("device", "readings_from"))
    begins = {device: kept.get(device) for device in Device.objects.values_list("pk", flat=True)}
    known = [_held(at, holds.get(device)) for device, at in begins.items() if at is not None]
    return min(known) - KEPT_LONGER if known and len(known) == len(begins) else None


def effective_from(rules: Rules, now: datetime) -> datetime | None:
    """When the newest change of a rule begins to count; None when it does already."""
    newest = max((rule.changed_at for rule in rules.values()), default=None)
    if newest is None or newest + NOTICE <= now:
        return None
    return newest + NOTICE


def outlook(now: datetime) -> Outlook:
    """What goes, when, and how much disk that frees; changes nothing."""
    rules, store = _rules(), get_store()
    today = believed(now)
    effective = effective_from(rules, now)
    governed = _governed(rules)
    gone = _gone(governed)
    received = {one.begins: one.size for one in store.received_volumes()}
    stay = not _all_let_go(governed)
    months = tuple(
        going
        for volume in store.volumes()
        if volume.begins <= now  # months made ahead are empty
        and (going := _going(volume, received, gone, effective or today, today)) is not None
    )
    return Outlook(
        effective=effective,
        months=months,
        hours=tuple(
            (rule, (today - timedelta(days=rule.hours_days)).date())
            for rule in gone
            if rule.hours_days is not None
        ),
        frees=sum(one.volume.size + (0 if stay else one.received) for one in months if one.soon),
        holds=sum(one.volume.size for one in months),
        received=sum(received.values()),
        received_stay=stay,
        believed=today if today < now else None,
    )


def _all_let_go(governed: Mapping[int, RetentionRule]) -> bool:
    """Whether every device lets its readings go some day."""
    patient = any(rule.readings_days is None for rule in governed.values())
    return not patient and Device.objects.count() == len(governed)


def _gone(governed: Mapping[int, RetentionRule]) -> dict[RetentionRule, datetime]:
    """Up to when the readings of all devices of a rule are gone already, rule by rule."""
    dropped = dict(KeptFrom.objects.values_list("device", "dropped_until"))
    gone: dict[RetentionRule, datetime] = {}
    for device, rule in governed.items():
        until = dropped.get(device) or EPOCH
        gone[rule] = min(gone.get(rule, until), until)
    return gone


def _going(
    volume: Volume,
    received: Mapping[datetime, int],
    gone: Mapping[RetentionRule, datetime],
    earliest: datetime,
    now: datetime,
) -> Going | None:
    """A month's steps still to come; None when there are none."""
    days: dict[tuple[date | None, bool], RetentionRule] = {}
    for rule, until in gone.items():
        day = None
        if rule.readings_days is not None:
            over_age = volume.ends + timedelta(days=rule.readings_days) + KEPT_LONGER
            day = max(over_age, earliest).date()
        if until < volume.ends:
            days.setdefault((day, rule.archive), rule)
    if not days:
        return None
    ordered = sorted(days, key=lambda one: (one[0] is None, one[0] or date.min, one[1]))
    steps = tuple(
        Step(days[day, archive], day, day is not None and day <= now.date(), archive)
        for day, archive in ordered
    )
    last = steps[-1].on
    soon = last is not None and last <= (now + SOON).date()
    return Going(volume, steps, soon, received.get(volume.begins, 0))


def _rules() -> Rules:
    rows = RetentionRule.objects.select_related("community", "type")
    return {(rule.community_id, rule.type_id): rule for rule in rows}


def _governed(rules: Rules) -> dict[int, RetentionRule]:
    """The rule of each device, the most particular one that fits it; without one it is absent."""
    by_kind: dict[tuple[int, int], list[int]] = defaultdict(list)
    for device, community, kind in Device.objects.values_list("pk", "community_id", "type_id"):
        by_kind[community, kind].append(device)
    governed: dict[int, RetentionRule] = {}
    for (community, kind), devices in by_kind.items():
        places = ((community, kind), (community, None), (None, kind), (None, None))
        rule = next((rules[place] for place in places if place in rules), None)
        if rule is not None:
            governed |= dict.fromkeys(devices, rule)
    return governed
