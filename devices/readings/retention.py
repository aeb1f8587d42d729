"""How long readings are kept: the rules that people set, and dropping what is older."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from devices.models import Device
from devices.readings.archiving import remember
from devices.readings.believing import believed, remember_doubt
from devices.readings.keeping import Cut, Dropped
from devices.readings.models import KeptFrom, RetentionRule
from devices.readings.store import get_store
from devices.readings.store.dropping import KEPT_LONGER

log = structlog.get_logger(__name__)

NOTICE = timedelta(days=7)
"""Nothing goes by a rule that was changed less than so long ago: time to see what will go."""
Rules = Mapping[tuple[int | None, int | None], RetentionRule]
Holds = Mapping[int, datetime]
"""From when on nothing of a device may go, whatever its age: something is still to come of it."""
_NO_HOLDS: Holds = {}


@dataclass(frozen=True, slots=True)
class Pruned:
    """About how many rows went."""

    dropped: Dropped
    received: int


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
    rules = rules_set()
    if effective_from(rules, now) is not None:
        return {}
    today = believed(now).replace(hour=0, minute=0, second=0, microsecond=0)
    found = {}
    for device, rule in governed(rules).items():
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


def rules_set() -> Rules:
    """What people set, by community and type."""
    rows = RetentionRule.objects.select_related("community", "type")
    return {(rule.community_id, rule.type_id): rule for rule in rows}


def governed(rules: Rules) -> dict[int, RetentionRule]:
    """The rule of each device, the most particular one that fits it; without one it is absent."""
    by_kind: dict[tuple[int, int], list[int]] = defaultdict(list)
    for device, community, kind in Device.objects.values_list("pk", "community_id", "type_id"):
        by_kind[community, kind].append(device)
    found: dict[int, RetentionRule] = {}
    for (community, kind), devices in by_kind.items():
        places = ((community, kind), (community, None), (None, kind), (None, None))
        rule = next((rules[place] for place in places if place in rules), None)
        if rule is not None:
            found |= dict.fromkeys(devices, rule)
    return found
