"""A channel to import into, files, and jobs carried out as the worker does."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from devices.jobs import work_on_jobs
from devices.models import (
    Community,
    Connection,
    Device,
    DeviceType,
    FieldMapping,
    Job,
    Metric,
    ThingSpeakChannel,
)
from devices.readings.samples import HistoryRequest
from devices.readings.store import get_store
from ingestion.gaps import BEGINNING, END
from ingestion.imports import csv_job, uploads
from ingestion.imports.choices import Choices
from ingestion.models import Import

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
HEAD = "created_at,entry_id,field1,field2,latitude,longitude,elevation,status"


def channel(number: int = 4711, fields: Iterable[str] = ("field1", "field2")) -> ThingSpeakChannel:
    """A channel whose fields feed metrics of the same name."""
    place, _ = Community.objects.get_or_create(slug="hill", defaults={"name": "Hill"})
    kind, _ = DeviceType.objects.get_or_create(slug="generic", defaults={"name": "Generic"})
    account, _ = Connection.objects.get_or_create(name="ThingSpeak")
    device = Device.objects.create(community=place, type=kind, name=f"Device {number}")
    source = ThingSpeakChannel.objects.create(device=device, connection=account, channel_id=number)
    for position, name in enumerate(fields):
        metric = Metric.objects.create(device=device, name=name, label=name, position=position)
        FieldMapping.objects.create(source=source, field=name, metric=metric)
    return source


def minutes(count: int, first: int = 0) -> bytes:
    """A file with an entry a minute."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    lines = [
        f"{start + timedelta(minutes=n):%Y-%m-%dT%H:%M:%S}+00:00,{n + 1},{n},{n / 2},,,,"
        for n in range(first, first + count)
    ]
    return "\n".join([HEAD, *lines, ""]).encode()


def upload(source: ThingSpeakChannel, data: bytes, name: str = "feeds.csv") -> Import:
    """As the page takes a file."""
    pieces = [data[start : start + 65_536] for start in range(0, len(data), 65_536)]
    return uploads.take_file(source, name, pieces, None, NOW)


def start(imported: Import, **choices: Any) -> Job:
    """Press «Import»."""
    known = Choices.of(imported.findings["choices"]).as_json()
    wanted = Choices.of({**known, **choices})
    return csv_job.start_import(imported, wanted, imported.findings["tally"]["rows"], None)


def carry_out(job: Job, patience: timedelta = timedelta(hours=1)) -> Job:
    """Let the worker work on this job."""
    work_on_jobs(lambda: NOW, patience, only=job.pk)
    job.refresh_from_db()
    return job


def stored(source: ThingSpeakChannel) -> dict[tuple[datetime, int, str], Any]:
    """Every stored reading of the channel's device: (time, entry number, metric) -> value."""
    found = {}
    for metric in source.device.metrics.all():
        request = HistoryRequest(metric.pk, BEGINNING, END, limit=1_000_000)
        for one in get_store().history(request):
            found[one.at, one.sequence, metric.name] = one.value
    return found
