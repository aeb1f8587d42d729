"""A run of the archive: months of devices into files, and the files into the catalogue.

A file counts once the catalogue names it, in the same transaction that says up to when its devices
are archived; from that moment its readings are read from there, and their rows may go. Whatever is
cut off before leaves a file that nobody knows, and the next run makes the same one again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from django.db import transaction
from django.utils import timezone

from devices.models import Metric
from devices.readings.keeping import Trouble
from devices.readings.models import ArchivedFile, ArchivedMetric, KeptFrom
from devices.readings.store.alike import NEVER, Instants, groups
from devices.readings.store.archive import files
from devices.readings.store.archive.writing import Named, Written, write
from devices.readings.store.engine import Engine
from devices.readings.store.partitions import Month, month_of
from devices.readings.store.tables import ROWS, TEXTS

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Run:
    """Up to when each device is archived, how many readings that took, and what stopped it."""

    until: dict[int, datetime] = field(default_factory=dict)
    readings: int = 0
    trouble: Trouble | None = None


def archive(engine: Engine, until: Instants) -> Run:
    """Archive the readings of each device before the beginning of a month.

    Where another process is at it, or something is in the way, the run says how far it came.
    """
    run = Run(_begin(engine, until))
    found = groups(until, run.until)
    if not found:
        return run
    try:
        with files.only_writer() as ours:
            for devices, ends in found if ours else ():
                _archive(engine, devices, ends, run)
    except files.ArchiveFailed as error:
        run.trouble = error.trouble
    return run


def _begin(engine: Engine, devices: Collection[int]) -> dict[int, datetime]:
    """Up to when each device is archived. What is kept of it now counts as never to be lost: the
    archive begins where readings have gone without it, or before all time.
    """
    if not devices:
        return {}
    with transaction.atomic():
        rows = KeptFrom.objects.select_for_update().filter(device__in=devices).order_by("device")
        found, begun = {}, []
        for row in rows:
            gone = None if row.dropped_until is None else engine.gone_until(row.dropped_until)
            if row.archived_until is None or row.archived_until < (gone or NEVER):
                row.archived_from, row.archived_until = gone, gone or NEVER
                begun.append(row)
            found[row.device_id] = row.archived_until
        KeptFrom.objects.bulk_update(begun, ["archived_from", "archived_until"], batch_size=200)
    return found


def _archive(engine: Engine, devices: Sequence[int], until: datetime, run: Run) -> None:
    """Month by month: each is in the catalogue before the next one is written."""
    metrics = _named(devices)
    after = run.until[devices[0]]
    while (at := _earliest(engine, metrics, after, until)) is not None:
        month = month_of(at)
        after = month.following.begins
        written = write(engine, metrics, month)
        _enter(devices, month, written)
        run.until |= dict.fromkeys(devices, after)
        if written is not None:
            run.readings += written.readings
            log.info("archived", file=written.name, readings=written.readings, size=written.size)
    _mark(devices, until)
    run.until |= dict.fromkeys(devices, until)


def _named(devices: Sequence[int]) -> list[Named]:
    rows = Metric.objects.filter(device__in=devices).order_by("pk")
    return [
        Named(metric, name, unit, str(uuid), device, stream, position)
        for metric, name, unit, uuid, device, stream, position in rows.values_list(
            "pk", "name", "unit", "device__uuid", "device__name", "slot__stream", "slot__position"
        )
    ]


def _earliest(
    engine: Engine, metrics: Sequence[Named], since: datetime, until: datetime
) -> datetime | None:
    """The first instant of any of the metrics in the range; None: there is none."""
    owners = {
        ROWS: sorted({one.stream for one in metrics if one.stream is not None}),
        TEXTS: [one.metric for one in metrics],
    }
    found = (engine.earliest(table, some, since, until) for table, some in owners.items() if some)
    return min((at for at in found if at is not None), default=None)


@transaction.atomic
def _enter(devices: Sequence[int], month: Month, written: Written | None) -> None:
    """Make the file part of the archive, and say that its devices are archived so far."""
    if written is not None:
        file, _ = ArchivedFile.objects.update_or_create(
            name=written.name,
            defaults={
                "month": month.begins,
                "readings": written.readings,
                "size": written.size,
                "checksum": written.checksum,
                "written_at": timezone.now(),
            },
        )
        file.metrics.all().delete()
        there = set(
            Metric.objects.filter(pk__in=[held.metric for held in written.metrics]).values_list(
                "pk", flat=True
            )
        )
        ArchivedMetric.objects.bulk_create(
            ArchivedMetric(
                file=file,
                metric_id=held.metric,
                readings=held.readings,
                first_at=held.first_at,
                last_at=held.last_at,
            )
            for held in written.metrics
            if held.metric in there
        )
    _mark(devices, month.following.begins)


def _mark(devices: Sequence[int], until: datetime) -> None:
    """From now on readings before this are read from the archive."""
    KeptFrom.objects.filter(device__in=devices).update(archived_until=until)
