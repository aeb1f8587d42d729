"""Taking samples again that were refused because of a clock that was wrong.

A cut that lies ahead was made by a clock that had jumped. Nothing brings back what went by it, but
what is measured now must not be refused until the calendar has come so far.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime

from django.db import transaction
from django.db.models import Max

from devices.readings.instants import HOUR, hour_of
from devices.readings.models import KeptFrom, LatestRow, LatestText, Watermark
from devices.readings.store.dropping import KEPT_LONGER
from devices.readings.store.engine import Engine

_COLUMNS = (
    *("readings_from", "hours_from", "dropped_until"),
    *("archived_from", "archived_until", "runs_from", "runs_until"),
)


def take_again(engine: Engine, after: datetime) -> int:
    """See `ReadingStore.take_again`."""
    wrong = KeptFrom.objects.filter(readings_from__gt=after)
    if not wrong.exists():
        return 0
    with transaction.atomic():
        engine.hold_closed()
        ends = _heard_until()
        rows = list(wrong.select_for_update().order_by("device"))
        for row in rows:
            _set_back(row, ends.get(row.device_id))
        KeptFrom.objects.bulk_update(rows, _COLUMNS, batch_size=200)
        latest = KeptFrom.objects.aggregate(latest=Max("readings_from"))["latest"]
        Watermark.objects.update(kept_from=latest)
    return len(rows)


def _set_back(row: KeptFrom, end: datetime | None) -> None:
    """To where the device's readings end: nothing newer can have gone. Earlier where fewer went."""
    gone = row.dropped_until
    for name in _COLUMNS:
        setattr(row, name, _earlier(getattr(row, name), end))
    row.readings_from = _earlier(row.readings_from, None if gone is None else gone + KEPT_LONGER)


def _earlier(at: datetime | None, limit: datetime | None) -> datetime | None:
    return None if at is None or limit is None else min(at, limit)


def _heard_until() -> dict[int, datetime]:
    """The end of the hour in which each device said its newest; those never heard are absent.

    Newest readings stay when their rows go.
    """
    heard: dict[int, list[datetime]] = defaultdict(list)
    for model, device in ((LatestRow, "stream__device"), (LatestText, "metric__device")):
        for key, at in model.objects.values_list(device).annotate(newest=Max("at")):
            heard[key].append(at)
    return {key: hour_of(max(instants)) + HOUR for key, instants in heard.items()}
