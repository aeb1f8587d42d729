"""Long work in steps: it survives killed workers, tells how far it is, and can be stopped."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from devices import jobs
from devices.jobs import JobFailed, Progress, cancel, register, work_on_jobs
from devices.models import Community, Job, JobState

pytestmark = pytest.mark.django_db

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
PATIENCE = timedelta(seconds=10)


class Clock:
    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at


@pytest.fixture
def kinds() -> Iterator[None]:
    """Kinds of this test only."""
    before = dict(jobs._steps)
    yield
    jobs._steps.clear()
    jobs._steps.update(before)


def count_up(job: Job, now: datetime) -> Progress:
    """Writes a row a step, so that lost and doubled steps show."""
    done = job.done + 1
    Community.objects.create(name=f"Village {done}", slug=f"village-{done}")
    return Progress(done, job.total, {"at": done}, finished=done == job.total)


def job(total: int = 3) -> Job:
    return Job.objects.create(kind="count", subject="Counting", total=total)


def test_steps_follow_until_the_job_is_done(kinds: None) -> None:
    register("count", count_up)
    mine = job()
    work_on_jobs(Clock(), timedelta(minutes=5))
    mine.refresh_from_db()
    assert (mine.state, mine.done, mine.percent) == (JobState.DONE, 3, 100)
    assert mine.cursor == {"at": 3}
    assert mine.finished_at is not None
    assert Community.objects.count() == 3


def test_a_job_longer_than_one_turn_goes_on_in_the_next(kinds: None) -> None:
    register("count", count_up)
    mine = job(total=30)
    clock = Clock()
    turns = 0
    while not Job.objects.filter(state=JobState.DONE).exists():
        work_on_jobs(clock, PATIENCE)
        turns += 1
    assert turns > 1
    mine.refresh_from_db()
    assert Community.objects.count() == mine.done == 30


def test_a_job_that_waits_lets_others_pass(kinds: None) -> None:
    def waits(job: Job, now: datetime) -> Progress:
        done = job.done + 1
        return Progress(done, 2, {"at": done}, finished=done == 2, pause=timedelta(minutes=1))

    register("wait", waits)
    register("count", count_up)
    first, second = Job.objects.create(kind="wait", subject="Waiting"), job()
    clock = Clock()
    work_on_jobs(clock, PATIENCE)
    for one in (first, second):
        one.refresh_from_db()
    assert (first.state, first.done, second.state) == (JobState.RUNNING, 1, JobState.DONE)
    clock.at += timedelta(minutes=1)
    work_on_jobs(clock, PATIENCE)
    first.refresh_from_db()
    assert (first.state, first.done) == (JobState.DONE, 2)


def test_a_killed_worker_loses_only_its_step(kinds: None) -> None:
    class Killed(BaseException):
        pass

    def dies(job: Job, now: datetime) -> Progress:
        count_up(job, now)
        raise Killed

    mine = job()
    register("count", dies)
    clock = Clock()
    with pytest.raises(Killed):
        work_on_jobs(clock, PATIENCE)
    register("count", count_up)
    assert work_on_jobs(clock, PATIENCE) == 0  # its lease still holds
    clock.at += jobs.LEASE
    work_on_jobs(clock, timedelta(minutes=5))
    mine.refresh_from_db()
    assert (mine.state, Community.objects.count()) == (JobState.DONE, 3)


def test_a_cancelled_job_undoes_the_step_under_way(kinds: None) -> None:
    def cancelled_meanwhile(job: Job, now: datetime) -> Progress:
        cancel(job, now)
        return count_up(job, now)

    register("count", cancelled_meanwhile)
    mine = job()
    work_on_jobs(Clock(), PATIENCE)
    mine.refresh_from_db()
    # On one connection the cancellation is part of the step, so it is undone with it.
    assert mine.state == JobState.RUNNING
    assert Community.objects.count() == 0
    assert cancel(mine, START)
    mine.refresh_from_db()
    assert mine.state == JobState.CANCELLED
    assert not cancel(mine, START)
    register("count", count_up)
    assert work_on_jobs(Clock(), PATIENCE) == 0


def test_a_job_that_cannot_go_on_says_why(kinds: None) -> None:
    def refuses(job: Job, now: datetime) -> Progress:
        raise JobFailed("The file has no time column. Add one.")

    register("count", refuses)
    mine = job()
    work_on_jobs(Clock(), PATIENCE)
    mine.refresh_from_db()
    assert (mine.state, mine.message) == (JobState.FAILED, "The file has no time column. Add one.")


def test_our_own_defect_ends_a_job_after_three_tries(kinds: None) -> None:
    def broken(job: Job, now: datetime) -> Progress:
        raise ZeroDivisionError

    register("count", broken)
    mine = job()
    clock = Clock()
    for _ in range(jobs.FAILURES):
        work_on_jobs(clock, PATIENCE)
        clock.at += jobs.LEASE + timedelta(seconds=1)
    mine.refresh_from_db()
    assert mine.state == JobState.FAILED
    assert "job_step_failed" in mine.message


def test_an_unknown_kind_is_told(kinds: None) -> None:
    mine = job()
    jobs._steps.pop("count", None)
    work_on_jobs(Clock(), PATIENCE)
    mine.refresh_from_db()
    assert mine.state == JobState.FAILED
    assert "count" in mine.message
