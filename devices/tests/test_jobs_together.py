"""Two workers and one job; a person who cancels while a step runs: on real connections."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import chain, repeat

import pytest
from django.db import connection
from django.utils import timezone

from devices import jobs
from devices.jobs import Progress, cancel, register, work_on_jobs
from devices.models import Community, Job, JobState

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("shared_database")]

STEPS = 60


@pytest.fixture(autouse=True)
def kinds() -> Iterator[None]:
    before = dict(jobs._steps)
    yield
    jobs._steps.clear()
    jobs._steps.update(before)


def on_its_own_connection(task: Callable[[], object]) -> object:
    try:
        return task()
    finally:
        connection.close()


def test_two_workers_do_each_step_of_a_job_once() -> None:
    inside, most = 0, 0
    counted = threading.Lock()

    def count_up(job: Job, now: object) -> Progress:
        nonlocal inside, most
        with counted:
            inside += 1
            most = max(most, inside)
        done = job.done + 1
        Community.objects.create(name=f"Village {done}", slug=f"village-{done}")
        with counted:
            inside -= 1
        return Progress(done, STEPS, {"at": done}, finished=done == STEPS)

    register("count", count_up)
    job = Job.objects.create(kind="count", subject="Counting", total=STEPS)
    ready = threading.Barrier(2)

    def worker() -> None:
        ready.wait()
        while Job.objects.filter(state__in=["waiting", "running"]).exists():
            # Turns end at once, so that the job changes hands all the time.
            work_on_jobs(timezone.now, timedelta(milliseconds=5))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(on_its_own_connection, [worker, worker]))
    job.refresh_from_db()
    assert (job.state, job.done, Community.objects.count()) == (JobState.DONE, STEPS, STEPS)
    assert most == 1


def test_cancelling_while_a_step_runs_leaves_nothing_half_done() -> None:
    """PostgreSQL undoes the step; SQLite, which has one writer, cancels when it has ended."""
    undone = connection.vendor != "sqlite"
    stored, cancelled = threading.Event(), threading.Event()

    def stores_then_waits(job: Job, now: object) -> Progress:
        Community.objects.create(name="Village", slug="village")
        stored.set()
        assert cancelled.wait(20)
        return Progress(1, 2, {})

    register("count", stores_then_waits)
    job = Job.objects.create(kind="count", subject="Counting", total=2)
    start = timezone.now()
    clock = chain([start] * 4, repeat(start + timedelta(minutes=1)))  # one step is a whole turn
    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(
            on_its_own_connection, lambda: work_on_jobs(lambda: next(clock), timedelta(seconds=1))
        )
        assert stored.wait(20)
        if undone:
            assert cancel(job, timezone.now())
        cancelled.set()
        if not undone:
            assert cancel(job, timezone.now())
        steps = work.result(20)
    job.refresh_from_db()
    kept = 0 if undone else 1
    assert (job.state, job.done, Community.objects.count()) == (JobState.CANCELLED, kept, kept)
    assert steps == kept
