"""Which import brought a reading, as far as imports and their jobs are still there.

Nothing is remembered for this: an entry is noted with the time of its arrival, and a job with when
it ran. A value of an exported file has no entry: the file's first and last time tell.
"""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q

from devices.models import Device, Source
from devices.readings.imports.tally import Tally
from devices.readings.instants import MILLISECOND
from devices.readings.models import ReadingImport
from ingestion.models import Import, ImportWay


def of_entry(source: Source, arrived: datetime) -> list[Import]:
    """Imports of files into the source that ran when the entry arrived."""
    running = Q(job__finished_at=None) | Q(job__finished_at__gte=arrived)
    rows = Import.objects.filter(
        running, source=source, way=ImportWay.CSV, job__started_at__lte=arrived + MILLISECOND
    )
    return list(rows.select_related("job", "created_by", "source__device"))


def of_value(device: Device, at: datetime) -> list[ReadingImport]:
    """Imports of exported files into the device that may hold a reading of that time."""
    rows = ReadingImport.objects.filter(device=device, job__started_at__isnull=False)
    found = []
    for one in rows.select_related("job", "created_by", "device"):
        tally = Tally.of(one.findings.get("tally", {}))
        if tally.first is not None and tally.last is not None and tally.first <= at <= tally.last:
            found.append(one)
    return found
