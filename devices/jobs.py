"""Long work in short steps: each step and its place in the job are one transaction.

A kind of job is a function `(job, now) -> Progress`, registered by the app that owns it. A killed
worker loses the step it was in and nothing else; the next one goes on from `job.cursor`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F, Q

from devices.models.job import UNFINISHED, Job, JobState
from devices.phrases import shortened

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=120)
"""No step may take longer."""
FAILURES = 3
"""So many steps in a row that fail by our own fault end the job."""


class JobFailed(Exception):
    """The job cannot go on; the message says why and what to change."""


class _Overtaken(Exception):
    """Somebody else holds this job by now, or it was cancelled: this step is undone."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a job stands after a step. `report` adds to (and replaces in) the job's report.

    `again_in`: nothing can be done before then, because the job waits for something; meanwhile
    others have their turn.
    """

    done: int
    total: int | None
    cursor: Mapping[str, Any]
    finished: bool = False
    message: str = ""
    report: Mapping[str, Any] = field(default_factory=dict)
    again_in: timedelta | None = None


Step = Callable[[Job, datetime], Progress]
Undo = Callable[[Job, datetime], None]
_steps: dict[str, Step] = {}
_undo: dict[str, Undo] = {}


def register(kind: str, step: Step, cancelled: Undo | None = None) -> None:
    """Name the step function of a kind of job; called when its app is loaded.

    `cancelled` is called when somebody stops such a job, in the same transaction: for what the
    job has set going elsewhere.
    """
    _steps[kind] = step
    if cancelled is not None:
        _undo[kind] = cancelled


def work_on_jobs(
    clock: Callable[[], datetime],
    patience: timedelta,
    only: int | None = None,
    *,
    watched: bool = False,
) -> int:
    """Carry on with unfinished jobs (or with one, by its key) for about `patience`; steps done.

    New ones come first, then the one that has waited longest: a long job delays no short one.
    `watched`: somebody waits who can mend what is wrong with the database, and is told at once
    (OperationalError, InterfaceError); the step is undone and counts as no failure.
    """
    ends = clock() + patience
    steps = 0
    while clock() < ends:
        job = _claim(clock(), only)
        if job is None:
            return steps
        steps += _carry_on(job, clock, ends, watched=watched)
    return steps


def cancel(job: Job, now: datetime) -> bool:
    """Stop a job; what its steps did so far stays. Whether there was anything to stop."""
    with transaction.atomic():
        stopped = Job.objects.filter(pk=job.pk, state__in=UNFINISHED).update(
            state=JobState.CANCELLED, finished_at=now, lease_until=None, message=""
        )
        if stopped and job.kind in _undo:
            job.refresh_from_db()
            _undo[job.kind](job, now)
    return bool(stopped)


def _claim(now: datetime, only: int | None) -> Job | None:
    free = Q(lease_until__isnull=True) | Q(lease_until__lte=now)
    if only is not None:
        free &= Q(pk=only)
    # An ended lease tells when the job was last worked on.
    longest_waiting = (F("lease_until").asc(nulls_first=True), "created_at", "pk")
    with transaction.atomic():
        rows = Job.objects.select_for_update(skip_locked=True, of=("self",))
        job = rows.filter(free, state__in=UNFINISHED).order_by(*longest_waiting).first()
        if job is None:
            return None
        Job.objects.filter(pk=job.pk).update(
            state=JobState.RUNNING,
            started_at=job.started_at or now,
            lease_until=now + LEASE,
            claim_token=F("claim_token") + 1,
        )
        job.refresh_from_db()
    return job


def _carry_on(job: Job, clock: Callable[[], datetime], ends: datetime, *, watched: bool) -> int:
    """Steps of one job until it is finished or time is up; then others have their turn."""
    steps = 0
    while True:
        try:
            progress = _step(job, clock())
        except _Overtaken:
            return steps
        except JobFailed as error:
            _end(job, JobState.FAILED, str(error), clock())
            return steps
        except Exception as error:
            if watched and isinstance(error, OperationalError | InterfaceError):
                raise
            log.exception("job_step_failed", job=job.pk, kind=job.kind)
            _count_failure(job, clock())
            return steps
        steps += 1
        if progress.finished or progress.again_in is not None:
            return steps
        now = clock()
        if now >= ends:
            _held(job).update(lease_until=now)
            return steps


def _step(job: Job, now: datetime) -> Progress:
    step = _steps.get(job.kind)
    if step is None:
        raise JobFailed(f"This site does not know how to do “{job.kind}”.")
    with transaction.atomic():
        progress = step(job, now)
        job.done, job.total, job.cursor = progress.done, progress.total, dict(progress.cursor)
        job.report = {**job.report, **progress.report}
        changed = _held(job).update(
            done=job.done,
            total=job.total,
            cursor=job.cursor,
            report=job.report,
            message=shortened(progress.message),
            failures=0,
            state=JobState.DONE if progress.finished else JobState.RUNNING,
            finished_at=now if progress.finished else None,
            lease_until=None if progress.finished else now + (progress.again_in or LEASE),
        )
        if not changed:
            raise _Overtaken
    return progress


def _held(job: Job) -> Any:
    return Job.objects.filter(pk=job.pk, claim_token=job.claim_token, state=JobState.RUNNING)


def _end(job: Job, state: JobState, message: str, now: datetime) -> None:
    _held(job).update(state=state, message=shortened(message), finished_at=now, lease_until=None)


def _count_failure(job: Job, now: datetime) -> None:
    text = (
        "The site itself failed at this; the worker's log says why: look for job_step_failed. "
        "What was done so far stays."
    )
    if job.failures + 1 >= FAILURES:
        _end(job, JobState.FAILED, text, now)
    else:
        # The lease stays: the next try comes when it ends, not at once.
        _held(job).update(failures=F("failures") + 1, message=text)
