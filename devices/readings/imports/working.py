"""Checking and importing a file as jobs: each portion of rows is one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AnonymousUser, User

from devices.jobs import JobFailed, Progress
from devices.models import Job
from devices.readings.imports.checking import findings, refuse_undecided
from devices.readings.imports.choices import Choices
from devices.readings.imports.columns import Plan, plan_of
from devices.readings.imports.files import forget_file, open_file
from devices.readings.imports.judging import Target
from devices.readings.imports.opening import opened
from devices.readings.imports.report import report
from devices.readings.imports.rows import Content
from devices.readings.imports.stepping import Position, next_portion
from devices.readings.imports.text import UnreadableFile
from devices.readings.models import ReadingImport
from devices.readings.samples import Sample
from devices.readings.store import get_store

IMPORT, CHECK = "import_readings", "check_readings"
Person = User | AnonymousUser | None


def start_check(imported: ReadingImport, by: Person) -> Job:
    """Have the worker check a file that is too large to wait for."""
    job = _job(CHECK, f"Check {imported}", imported, by)
    job.save()
    imported.check_job = job
    imported.save(update_fields=["check_job"])
    return job


def start_import(imported: ReadingImport, choices: Choices, by: Person) -> Job:
    """Have the worker import a file. Raises UnreadableFile when columns are not decided about."""
    with open_file(imported) as raw, opened(raw, choices.encoding) as content:
        refuse_undecided(plan_of(content.heading, imported.device, choices.columns))
        total, unit = content.total, content.unit
    job = _job(IMPORT, f"Import {imported}", imported, by)
    job.total, job.unit = total, unit
    job.params |= {"choices": choices.as_json()}
    job.save()
    imported.job = job
    imported.options = choices.as_json()
    imported.save(update_fields=["job", "options"])
    return job


def _job(kind: str, subject: str, imported: ReadingImport, by: Person) -> Job:
    return Job(
        kind=kind,
        subject=subject[:200],
        community_id=imported.device.community_id,
        params={"import": imported.pk},
        created_by=by if isinstance(by, User) else None,
    )


def import_step(job: Job, now: datetime) -> Progress:
    """Store the next portion of rows."""
    imported, choices = _import_of(job), Choices.of(job.params["choices"])
    position = Position.of(job.cursor)
    with _step(imported, choices) as step:
        refuse_undecided(step.plan)
        _store(next_portion(step.content, position, step.target, now))
        progress = _progress(position, step.content, replaced=choices.replace)
    if position.ended:
        forget_file(imported)
    return progress


def _store(samples: Sequence[Sample]) -> None:
    get_store().write(samples)


def check_step(job: Job, now: datetime) -> Progress:
    """Judge the next portion of rows; the last step leaves the findings with the import."""
    imported = _import_of(job)
    choices = Choices.of(imported.options)
    position = Position.of(job.cursor)
    with _step(imported, choices) as step:
        next_portion(step.content, position, step.target, now)
        if position.ended:
            found = findings(step.content, step.plan, choices, position.tally, now)
            ReadingImport.objects.filter(pk=imported.pk).update(findings=found)
        return _progress(position, step.content, replaced=choices.replace)


@dataclass(frozen=True, slots=True)
class _Step:
    """What a step works with."""

    content: Content
    plan: Plan
    target: Target


@contextmanager
def _step(imported: ReadingImport, choices: Choices) -> Iterator[_Step]:
    """The file, opened; what cannot be read ends the job with a sentence."""
    try:
        with open_file(imported) as raw, opened(raw, choices.encoding) as content:
            plan = plan_of(content.heading, imported.device, choices.columns)
            yield _Step(content, plan, Target.of(imported.device, plan, replace=choices.replace))
    except UnreadableFile as error:
        raise JobFailed(str(error)) from error


def _import_of(job: Job) -> ReadingImport:
    rows = ReadingImport.objects.select_related("device__community")
    imported = rows.filter(pk=job.params["import"]).first()
    if imported is None:
        raise JobFailed("What was to be imported, or its device, was deleted meanwhile.")
    return imported


def _progress(position: Position, content: Content, *, replaced: bool) -> Progress:
    return Progress(
        done=content.total if position.ended else position.done,
        total=content.total,
        cursor=position.as_json(),
        finished=position.ended,
        report=report(position.tally, replaced=replaced),
    )
