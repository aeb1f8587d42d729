"""What is dropped by age. Readings are kept for ever until somebody asks for less."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from devices.readings.models import Received
from devices.readings.store import get_store


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows went."""

    rows: int
    received: int


def prune(now: datetime) -> Pruned:
    """Drop readings older than KEEP_READINGS_DAYS and entries older than KEEP_RECEIVED_DAYS.

    Either setting may be absent or None: then nothing of the kind is dropped, whatever its age.
    Hours, days and months stay.
    """
    readings_days: int | None = getattr(settings, "KEEP_READINGS_DAYS", None)
    received_days: int | None = getattr(settings, "KEEP_RECEIVED_DAYS", None)
    rows = received = 0
    if readings_days is not None:
        rows = get_store().drop_before(now - timedelta(days=readings_days))
    if received_days is not None:
        received, _ = Received.objects.filter(at__lt=now - timedelta(days=received_days)).delete()
    return Pruned(rows, received)
