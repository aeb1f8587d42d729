"""The clock of ingestion: what Celery runs. Each task is a line; the work is elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from devices.jobs import work_on_jobs
from devices.readings.retention import prune as prune_readings
from devices.readings.rollups import roll_up
from ingestion import pulse
from ingestion.claims import Claim
from ingestion.dispatch import EXPIRES_S, Queues, dispatch
from ingestion.equipment import batch_equipment, equipment
from ingestion.housekeeping import prune_logs
from ingestion.trouble import resolve_obsolete
from ingestion.work import Worker

Row = tuple[int, int, float]
JOB_PATIENCE = timedelta(seconds=10)


def _queue_polls(claims: Sequence[Claim]) -> None:
    poll.apply_async(([astuple(claim) for claim in claims],), expires=EXPIRES_S)


def _queue_pages(claims: Sequence[Claim]) -> None:
    fill.apply_async(([astuple(claim) for claim in claims],), expires=EXPIRES_S)


@shared_task(name="ingestion.dispatch")
def run_dispatch() -> None:
    """Once a second: hand out what is due. No Redis, no budget: then nothing is asked."""
    dispatch(timezone.now, equipment().gate, Queues(polls=_queue_polls, pages=_queue_pages))
    pulse.beat(pulse.DISPATCH)


@shared_task(name="ingestion.poll", time_limit=90)
def poll(rows: list[Row]) -> None:
    """Poll the claimed sources."""
    Worker(batch_equipment()).poll([Claim(*row) for row in rows])


@shared_task(name="ingestion.fill", time_limit=90)
def fill(rows: list[Row]) -> None:
    """Fetch a page of each claimed gap."""
    Worker(batch_equipment()).fill([Claim(*row) for row in rows])


@shared_task(name="ingestion.roll_up")
def run_roll_up() -> None:
    """Bring hourly, daily and monthly rollups up to date, and alerts about what is switched off."""
    now = timezone.now()
    roll_up(now)
    resolve_obsolete(now)


@shared_task(name="ingestion.prune")
def run_prune() -> None:
    """Drop what has outlived its retention."""
    now = timezone.now()
    prune_readings(now)
    prune_logs(now)


@shared_task(name="ingestion.jobs", time_limit=180)
def run_jobs() -> None:
    """Carry on with long work that people asked for: imports, recalculations, exports."""
    work_on_jobs(timezone.now, JOB_PATIENCE)
