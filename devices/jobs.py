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
from django.db import transaction
from django.db.models import F, Q

from devices.models.job import UNFINISHED, Job, JobState

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

    `pause`: the next step comes no sooner; others have their turn meanwhile.
    """

    done: int
    total: int | None
    cursor: Mapping[str, Any]
    finished: bool = False
    message: str = ""
    report: Mapping[str, Any] = field(default_factory=dict)
    pause: timedelta = timedelta()


Step = Callable[[Job, datetime], Progress]
_steps: dict[str, Step] = {}


def register(kind: str, step: Step) -> None:
    """Name the step function of a kind of job; called when its app is loaded."""
    _steps[kind] = step


def work_on_jobs(clock: Callable[[], datetime], patience: timedelta) -> int:
    """Carry on with unfinished jobs, oldest first, for about `patience`; returns steps done."""
    ends = clock() + patience
    steps = 0
    while clock() < ends:
        job = _claim(clock())
        if job is None:
            return steps
        steps += _carry_on(job, clock, ends)
    return steps


def cancel(job: Job, now: datetime) -> bool:
    """Stop a job; what its steps did so far stays. Whether there was anything to stop."""
    return bool(
        Job.objects.filter(pk=job.pk, state__in=UNFINISHED).update(
            state=JobState.CANCELLED, finished_at=now, lease_until=None
        )
    )


def _claim(now: datetime) -> Job | None:
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=now)
    with transaction.atomic():
        rows = Job.objects.select_for_update(skip_locked=True, of=("self",))
        job = rows.filter(free, state__in=UNFINISHED).order_by("created_at", "pk").first()
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


def _carry_on(job: Job, clock: Callable[[], datetime], ends: datetime) -> int:
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
        except Exception:
            log.exception("job_step_failed", job=job.pk, kind=job.kind)
            _count_failure(job, clock())
            return steps
        steps += 1
        if progress.finished or progress.pause:
            return steps
        if clock() >= ends:
            _held(job).update(lease_until=None)
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
            message=progress.message[:500],
            failures=0,
            state=JobState.DONE if progress.finished else JobState.RUNNING,
            finished_at=now if progress.finished else None,
            lease_until=None if progress.finished else now + (progress.pause or LEASE),
        )
        if not changed:
            raise _Overtaken
    return progress


def _held(job: Job) -> Any:
    return Job.objects.filter(pk=job.pk, claim_token=job.claim_token, state=JobState.RUNNING)


def _end(job: Job, state: JobState, message: str, now: datetime) -> None:
    _held(job).update(state=state, message=message[:500], finished_at=now, lease_until=None)


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
