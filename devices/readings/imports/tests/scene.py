"""A device with metrics of every kind, files as the export writes them, and imports of them."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from django.contrib.auth.models import User
from django.utils import timezone

from devices.jobs import work_on_jobs
from devices.models import DataType, Device, Job, Metric
from devices.readings.export import FORMATS, ExportRequest, table_of
from devices.readings.imports import uploads, working
from devices.readings.imports.choices import Choices
from devices.readings.models import ReadingImport
from devices.readings.samples import HistoryRequest, Reading, Sample, Tier, Value
from devices.readings.store import get_store
from devices.readings.tests.network import START, device

SINCE, UNTIL = datetime(1970, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
KINDS = {
    "level_cm": ("Level", "cm", DataType.FLOAT),
    "depth_cm": ("Level", "cm", DataType.FLOAT),
    "litres": ("Counter", "L", DataType.INTEGER),
    "pump_on": ("Pump", "", DataType.BOOLEAN),
    "state": ("State", "", DataType.TEXT),
}


@dataclass
class Tank:
    """A device, its metrics by name, and what to do with them."""

    device: Device
    metrics: dict[str, Metric]

    @classmethod
    def make(cls, zone: str = "Asia/Kolkata") -> Self:
        owner = device(zone)
        metrics = {
            name: Metric.objects.create(
                device=owner, name=name, label=label, unit=unit, data_type=kind, position=place
            )
            for place, (name, (label, unit, kind)) in enumerate(KINDS.items())
        }
        return cls(owner, metrics)

    def write(self, at: datetime, sequence: int = 0, **values: Value) -> None:
        by_key = {self.metrics[name].pk: value for name, value in values.items()}
        get_store().write([Sample(self.device.pk, at, sequence, by_key)])

    def fill(self, rows: int) -> None:
        """A row a minute, from START on."""
        for number in range(rows):
            at = START + timedelta(minutes=number)
            self.write(at, number + 1, level_cm=number / 4, pump_on=bool(number % 2), state="ok")

    def exported(
        self,
        form: str,
        tier: Tier = Tier.RAW,
        names: tuple[str, ...] = (),
        since: datetime = SINCE,
    ) -> bytes:
        """As a file."""
        self.device.refresh_from_db()
        metrics = [one for name, one in self.metrics.items() if not names or name in names]
        wanted = ExportRequest(self.device, metrics, since, UNTIL, tier)
        return b"".join(FORMATS[form].write(table_of(wanted)))

    def readings(self, name: str) -> list[Reading]:
        request = HistoryRequest(self.metrics[name].pk, SINCE, UNTIL, limit=100_000)
        return list(get_store().history(request))

    def values(self, name: str) -> list[Value]:
        return [one.value for one in self.readings(name)]

    def check(self, data: bytes, **choices: Any) -> Mapping[str, Any]:
        """The findings of a dry run."""
        found: Mapping[str, Any] = self.uploaded(data, **choices).findings
        return found

    def uploaded(self, data: bytes, by: User | None = None, **choices: Any) -> ReadingImport:
        """A file that is kept and checked."""
        now = timezone.now()
        imported = uploads.keep(self.device, "file", io.BytesIO(data), by, now)
        uploads.check(imported, Choices(**choices), by, now)
        imported.refresh_from_db()
        return imported

    def imported(self, data: bytes, **choices: Any) -> Job:
        """A file brought in by a job that ran to its end."""
        job = working.start_import(self.uploaded(data), Choices(**choices), None)
        carry_out(job)
        return job


def carry_out(job: Job) -> None:
    """Work on a job until it has ended."""
    while work_on_jobs(timezone.now, timedelta(seconds=5), only=job.pk):
        pass
    job.refresh_from_db()
