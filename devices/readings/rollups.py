"""Hours, days and months of every metric; the work itself is the store's (`store.rolling`)."""

from __future__ import annotations

from datetime import datetime

from devices.readings.store import get_store


def roll_up(now: datetime) -> int:
    """Bring all tiers up to date with what is stored; returns how many buckets changed.

    Called every minute; several callers at once do no harm. An hour is closed five minutes after
    its end; what arrives later, or changes, is brought in by the next call.
    """
    return get_store().roll_up(now)
