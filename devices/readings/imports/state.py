"""Where an import stands: one description for the API and the command."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from devices.models import Job, Metric
from devices.readings.imports.report import difference, report, warnings
from devices.readings.imports.tally import Tally
from devices.readings.models import ReadingImport


def described(imported: ReadingImport, now: datetime) -> dict[str, Any]:
    """An import as JSON: what it is of, what its check found, how far its job is."""
    job = imported.job or imported.check_job
    return {
        "id": imported.pk,
        "device": str(imported.device.uuid),
        "file_name": imported.file_name,
        "state": state_of(imported),
        "check": checked(imported.findings, imported, now) if imported.findings else None,
        "job": job and described_job(job),
    }


def state_of(imported: ReadingImport) -> str:
    """checking, checked, or the state of the job that imports (or failed to check)."""
    if imported.job is not None:
        return str(imported.job.state)
    if imported.findings:
        return "checked"
    job = imported.check_job
    return "checking" if job is None or job.state in ("waiting", "running", "done") else job.state


def checked(found: Mapping[str, Any], imported: ReadingImport, now: datetime) -> dict[str, Any]:
    """What a dry run found: the report, the columns, what to know, and the first rows."""
    tally = Tally.of(found["tally"])
    metrics = names_of(tally)
    return {
        "report": report(tally, replaced=bool(found["choices"]["replace"])),
        "columns": found["columns"],
        "to_know": warnings(found, imported.device, now),
        "differences": [difference(one, metrics) for one in tally.differences],
        "preview": preview(tally, metrics),
    }


def names_of(tally: Tally) -> dict[int, Metric]:
    """The metrics that a tally speaks of, by key."""
    return Metric.objects.in_bulk([int(one) for one in tally.metrics])


def preview(tally: Tally, metrics: Mapping[int, Metric]) -> list[dict[str, Any]]:
    """The first rows as they would be stored, by names of metrics."""
    return [
        {
            "at": row["at"],
            "sequence": row["sequence"],
            "values": {
                metrics[int(key)].name: value
                for key, value in row["values"].items()
                if int(key) in metrics
            },
        }
        for row in tally.preview
    ]


def described_job(job: Job) -> dict[str, Any]:
    """Progress and report of a job."""
    return {
        "id": job.pk,
        "state": job.state,
        "percent": job.percent,
        "done": job.done,
        "total": job.total,
        "unit": job.unit,
        "message": job.message,
        "report": job.report,
    }
