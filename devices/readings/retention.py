"""What is dropped by age. Readings are kept for ever until somebody asks for less."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from devices.readings.store import get_store


@dataclass(frozen=True, slots=True)
class Pruned:
    """About how many rows went."""

    rows: int
    received: int


def prune(now: datetime) -> Pruned:
    """Make room for the coming months, and drop what is older than people want to keep.

    Readings older than KEEP_READINGS_DAYS and entries older than KEEP_RECEIVED_DAYS go; where a
    setting is absent or None, nothing of the kind. Hours, days and months stay.
    """
    readings_days: int | None = getattr(settings, "KEEP_READINGS_DAYS", None)
    received_days: int | None = getattr(settings, "KEEP_RECEIVED_DAYS", None)
    rows = received = 0
    store = get_store()
    store.prepare(now)
    if readings_days is not None:
        rows = store.drop_before(now - timedelta(days=readings_days))
    if received_days is not None:
        received = store.drop_received_before(now - timedelta(days=received_days))
    return Pruned(rows, received)
