"""From when on readings are still to come of what was received: retention must leave it alone."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import chain

from devices.models import Source
from ingestion import recalculation
from ingestion.models import MappingPause

_EVER = datetime(1970, 1, 1, tzinfo=UTC)
"""Before every entry: none is taken that is older."""


def awaited() -> dict[int, datetime]:
    """By device: since when entries wait for somebody's decision, or to be computed after it."""
    # Pauses are asked for first: who ends one has entered the recalculation in the same moment.
    pauses = MappingPause.objects.filter(resolved_at=None).values_list("source_id", "since")
    orders = ((order.source, order.since or _EVER) for order in recalculation.unfinished())
    devices = dict(Source.objects.values_list("pk", "device_id"))
    found: dict[int, datetime] = {}
    for source, since in chain(pauses, orders):
        if device := devices.get(source):
            found[device] = min(found.get(device, since), since)
    return found
