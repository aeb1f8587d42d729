"""The clock of ingestion: what Celery runs. Each task is a line; the work is elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from billiard.exceptions import WorkerLostError
from celery import shared_task
from celery.signals import task_failure
from django.utils import timezone

from devices.jobs import work_on_jobs
from devices.models.connection import LONGEST_TRY_S
from devices.readings.believing import believed
from devices.readings.imports.files import forget_unused_files as forget_unused_readings
from devices.readings.retention import prune as prune_readings
from devices.readings.rollups import roll_up
from devices.readings.store import get_store
from ingestion import pulse
from ingestion.awaited import awaited
from ingestion.claims import Claim
from ingestion.dispatch import EXPIRES_S, Queues, dispatch, give_back
from ingestion.enrolment import align_with_alerts, reconcile
from ingestion.equipment import batch_equipment, equipment
from ingestion.errands import Filling, Polling
from ingestion.housekeeping import prune_logs
from ingestion.imports.files import forget_unused_files
from ingestion.observe.counting import count_up, prune_counts
from ingestion.observe.edges import watch_budgets
from ingestion.trouble import resolve_obsolete
from ingestion.work import Worker

Row = tuple[int, int, float]
TOO_SOON_S = 0.5
UNDER_WAY = timedelta(seconds=LONGEST_TRY_S)
JOB_PATIENCE = timedelta(seconds=10)


_ERRANDS: Mapping[str, Polling | Filling] = {
    "ingestion.poll": Polling(),
    "ingestion.fill": Filling(),
}
"""What claims are for, by the name of the task that carries them out."""


def queue_polls(claims: Sequence[Claim]) -> None:
    """Hand claimed sources to whichever worker is free."""
    _queue(poll, claims)


def queue_pages(claims: Sequence[Claim]) -> None:
    """Hand claimed gaps to whichever worker is free."""
    _queue(fill, claims)


def _queue(task: Any, claims: Sequence[Claim]) -> None:
    # Celery's own words for a hundred claims take longer than sending them.
    rows = [(one.pk, one.token, one.not_before) for one in claims]
    task.apply_async((rows,), expires=EXPIRES_S, argsrepr=f"{len(rows)} claims")


@shared_task(name="ingestion.dispatch")
def run_dispatch() -> None:
    """Once a second: hand out what is due. No Redis, no budget: then nothing is asked.

    A tick just after another (a second clock, or ticks that piled up) has nothing to do.
    """
    age_s = pulse.age_s(pulse.DISPATCH)
    if age_s is not None and age_s < TOO_SOON_S:
        return
    dispatch(timezone.now, equipment().gate, Queues(polls=queue_polls, pages=queue_pages))
    pulse.beat(pulse.DISPATCH)


@shared_task(name="ingestion.align")
def run_align() -> None:
    """Raise the priority of sources whose device is in alert, lower those that are well."""
    align_with_alerts()


@shared_task(name="ingestion.reconcile")
def run_reconcile() -> None:
    """Put right what passed by the models: a schedule in step with the configuration."""
    reconcile(timezone.now())


@shared_task(name="ingestion.poll", time_limit=90)
def poll(rows: list[Row]) -> None:
    """Poll the claimed sources."""
    Worker(batch_equipment()).poll([Claim(*row) for row in rows])


@shared_task(name="ingestion.fill", time_limit=90)
def fill(rows: list[Row]) -> None:
    """Fetch a page of each claimed gap."""
    Worker(batch_equipment()).fill([Claim(*row) for row in rows])


@task_failure.connect
def _give_back_what_was_lost(
    sender: Any, exception: BaseException, args: Sequence[Any], **_: Any
) -> None:
    """A worker's child is gone, killed or out of memory: nobody carries its claims out any more.

    Its requests may still be under way at the provider, for as long as we would have waited.
    """
    if not isinstance(exception, WorkerLostError) or sender.name not in _ERRANDS:
        return
    claims = [Claim(*row) for row in args[0]]
    give_back(_ERRANDS[sender.name].rows(), claims, timezone.now() + UNDER_WAY)


@shared_task(name="ingestion.roll_up")
def run_roll_up() -> None:
    """Bring hourly, daily and monthly rollups up to date, and alerts about what is switched off."""
    now = timezone.now()
    roll_up(now)
    resolve_obsolete(now)


@shared_task(name="ingestion.count")
def run_count() -> None:
    """Count the requests of settled minutes, also after a standstill; log edges of budgets."""
    while count_up(timezone.now()):
        pass
    watch_budgets(equipment().gate, pulse.client(), timezone.now())


@shared_task(name="ingestion.prune")
def run_prune() -> None:
    """Drop what has outlived its retention; last, as it may fail or take long, tidy what stays."""
    now = timezone.now()
    prune_readings(now, awaited())
    prune_logs(now, believed(now))
    forget_unused_files(now)
    forget_unused_readings(now)
    prune_counts(now)
    get_store().put_in_order(now)


@shared_task(name="ingestion.jobs", time_limit=180)
def run_jobs() -> None:
    """Carry on with long work that people asked for: imports, recalculations, exports."""
    work_on_jobs(timezone.now, JOB_PATIENCE)
