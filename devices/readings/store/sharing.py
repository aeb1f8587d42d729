"""Whose the readings of a month are: the share of its disk that each device takes up."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime

from devices.readings.keeping import Shares
from devices.readings.store.dropping import OWNERS
from devices.readings.store.engine import Engine


def shares(engine: Engine) -> dict[datetime, Shares]:
    """See `ReadingStore.shares`."""
    sizes: defaultdict[datetime, Counter[int]] = defaultdict(Counter)
    estimated: set[datetime] = set()
    for table, owners in OWNERS.items():
        device_of = dict(engine.query(owners))
        for part in engine.parts(table):
            if part.owner in device_of:  # else nobody's any more, and soon swept away
                sizes[part.begins][device_of[part.owner]] += round(part.size)
            if not part.counted:
                estimated.add(part.begins)
    return {month: _shares(each, month not in estimated) for month, each in sizes.items()}


def _shares(sizes: Counter[int], counted: bool) -> Shares:
    whole = max(sizes.total(), 1)
    return Shares({device: size / whole for device, size in sizes.items()}, counted)
