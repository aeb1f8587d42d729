"""One reading as JSON: the same in the API, in a page's first snapshot and in the live push."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from devices.models import Metric
from devices.readings.samples import Reading


@lru_cache(maxsize=1024)  # the values of one row share their time
def iso(at: datetime) -> str:
    """An aware instant as ISO 8601 in UTC with a Z; milliseconds only where there are any."""
    spec = "milliseconds" if at.microsecond >= 1000 else "seconds"
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=spec) + "Z"


def represent(reading: Reading, metric: Metric, device_uuid: UUID | str) -> dict[str, Any]:
    """The reading with its device's public uuid and its metric's canonical name.

    The value is in the metric's unit. The caller names the uuid, so that no query hides here.
    """
    return {
        "device": str(device_uuid),
        "metric": metric.name,
        "at": iso(reading.at),
        "value": reading.value,
        "sequence": reading.sequence,
        "origin": reading.origin.value,
        "revised": reading.revised,
    }
