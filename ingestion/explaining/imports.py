"""Which import brought a reading, as far as imports and their jobs are still there.

Nothing is remembered for this: an entry is noted with the time of its arrival, and a job with when
it ran. A value of a file of readings has no entry: what the job read so far tells.
"""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q

from devices.models import Metric, Source
from devices.readings.imports.stepping import Position
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


def of_value(metric: Metric, at: datetime) -> list[ReadingImport]:
    """Imports of files of readings that may have brought a reading of the metric at that time.

    Asked is what a job has read: it is there for every way in, and a check that nobody carried out
    brought nothing.
    """
    rows = ReadingImport.objects.filter(device=metric.device_id, job__started_at__isnull=False)
    return [
        one
        for one in rows.select_related("job", "created_by", "device")
        if one.job is not None and _reaches(Position.of(one.job.cursor), metric, at)
    ]


def _reaches(read: Position, metric: Metric, at: datetime) -> bool:
    tally = read.tally
    if tally.first is None or tally.last is None or str(metric.pk) not in tally.metrics:
        return False
    return tally.first <= at <= tally.last
