"""Checking and importing a CSV file as jobs: each portion of rows is one transaction."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.auth.models import AnonymousUser, User

from devices.jobs import JobFailed, Progress
from devices.models import Job
from devices.phrases import shortened
from devices.readings.imports.text import UnreadableFile
from ingestion import gaps
from ingestion.imports.checking import findings
from ingestion.imports.choices import Choices
from ingestion.imports.files import forget_file, open_file
from ingestion.imports.portion import Target
from ingestion.imports.report import report, sentence
from ingestion.imports.stepping import Place, next_portion
from ingestion.models import EventKind, Import, SourceEvent
from ingestion.pipeline import ingest

IMPORT, CHECK = "import_csv", "check_csv"

Person = User | AnonymousUser | None


def start_check(imported: Import, by: Person) -> Job:
    """Have the worker check a file that is too large to wait for."""
    job = _job(CHECK, f"Check {imported.file_name} for {imported.source.device}", imported, by)
    job.total, job.unit = imported.size, "bytes"
    job.save()
    imported.check_job = job
    imported.save(update_fields=["check_job"])
    return job


def start_import(imported: Import, choices: Choices, rows: int | None, by: Person) -> Job:
    """Have the worker import a file; `rows` is how many it has, if known."""
    job = _job(IMPORT, f"Import {imported.file_name} into {imported.source.device}", imported, by)
    job.total, job.unit = rows, "rows"
    job.params |= {"choices": choices.as_json()}
    job.save()
    imported.job = job
    imported.options = choices.as_json()
    imported.save(update_fields=["job", "options"])
    return job


def _job(kind: str, subject: str, imported: Import, by: Person) -> Job:
    return Job(
        kind=kind,
        subject=subject[:200],
        community_id=imported.source.device.community_id,
        params={"import": imported.pk},
        created_by=by if isinstance(by, User) else None,
    )


def import_step(job: Job, now: datetime) -> Progress:
    """Store the next portion of rows."""
    imported, choices = _import_of(job), Choices.of(job.params["choices"])
    place = Place.of(job.cursor)
    target = Target(imported.source, choices.replace)
    try:
        with open_file(imported) as raw:
            delivery = next_portion(raw, choices.options(), place, target, now)
    except UnreadableFile as error:
        raise JobFailed(str(error)) from error
    ingest(delivery, now)
    gaps.note_entries(imported.source, delivery.entries, now)
    if place.ended:
        _finish(imported, job, place, now)
    return _progress(place, place.row, job.total, replaced=choices.replace)


def check_step(job: Job, now: datetime) -> Progress:
    """Judge the next portion of rows; the last step leaves the findings with the import."""
    imported = _import_of(job)
    choices = Choices.of(imported.options)
    place = Place.of(job.cursor)
    try:
        with open_file(imported) as raw:
            next_portion(raw, choices.options(), place, Target(imported.source), now)
            if place.ended:
                found = findings(raw, imported.source, choices, place.tally, now)
                Import.objects.filter(pk=imported.pk).update(findings=found)
    except UnreadableFile as error:
        raise JobFailed(str(error)) from error
    return _progress(place, place.offset, imported.size, replaced=choices.replace)


def _import_of(job: Job) -> Import:
    rows = Import.objects.select_related("source__device")
    imported = rows.filter(pk=job.params["import"]).first()
    if imported is None:
        raise JobFailed("What was to be imported, or its channel, was deleted meanwhile.")
    return imported


def _finish(imported: Import, job: Job, place: Place, now: datetime) -> None:
    forget_file(imported)
    SourceEvent.objects.create(
        source=imported.source,
        at=now,
        kind=EventKind.IMPORTED,
        text=shortened(sentence(imported.file_name, place.tally)),
        by_id=job.created_by_id,
    )


def _progress(place: Place, done: int, total: int | None, *, replaced: bool) -> Progress:
    found: dict[str, Any] = report(place.tally, replaced=replaced)
    return Progress(
        done=done,
        total=done if place.ended else total,
        cursor=place.as_json(),
        finished=place.ended,
        report=found,
    )
