"""Long work in steps: it survives killed workers, tells how far it is, and can be stopped."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db import InterfaceError, OperationalError

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
    before, undo = dict(jobs._steps), dict(jobs._undo)
    yield
    for kept, then in ((jobs._steps, before), (jobs._undo, undo)):
        kept.clear()
        kept.update(then)  # type: ignore[arg-type]


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
        return Progress(done, 2, {"at": done}, finished=done == 2, again_in=timedelta(minutes=1))

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


def test_a_cancelled_job_does_nothing_more_and_can_be_cancelled_once(kinds: None) -> None:
    register("count", count_up)
    mine = job(total=30)
    clock = Clock()
    work_on_jobs(clock, PATIENCE)
    mine.refresh_from_db()
    assert mine.state == JobState.RUNNING
    done = mine.done
    assert 0 < done < 30
    assert cancel(mine, clock())
    assert not cancel(mine, clock())
    assert work_on_jobs(clock, PATIENCE) == 0
    mine.refresh_from_db()
    assert (mine.state, mine.done, Community.objects.count()) == (JobState.CANCELLED, done, done)
    assert mine.finished_at is not None


def test_what_a_job_set_going_is_told_of_its_end(kinds: None) -> None:
    told: list[tuple[int, int]] = []
    register("count", count_up, cancelled=lambda job, now: told.append((job.pk, job.done)))
    mine = job(total=30)
    clock = Clock()
    work_on_jobs(clock, PATIENCE)
    assert cancel(mine, clock())  # `mine` is older than what is stored
    assert told == [(mine.pk, Job.objects.get().done)]
    assert not cancel(mine, clock())
    assert len(told) == 1


def test_a_long_job_does_not_delay_a_short_one(kinds: None) -> None:
    register("count", count_up)
    long = job(total=1000)
    clock = Clock()
    work_on_jobs(clock, PATIENCE)
    Job.objects.filter(pk=long.pk).update(kind="long")
    register("long", lambda job, now: Progress(job.done + 1, 1000, {}))
    short = Job.objects.create(kind="short", subject="Short", total=100)
    register("short", lambda job, now: Progress(job.done + 1, 100, {}))
    for _ in range(4):
        work_on_jobs(clock, PATIENCE)
    long.refresh_from_db()
    short.refresh_from_db()
    assert short.done > 0
    assert abs(short.done - (long.done - 10)) <= 20  # turn and turn about


def test_a_job_that_waits_leaves_its_turn_to_others(kinds: None) -> None:
    register(
        "count", lambda job, now: Progress(job.done + 1, None, {}, again_in=timedelta(seconds=30))
    )
    mine = job()
    clock = Clock()
    assert work_on_jobs(clock, PATIENCE) == 1
    assert work_on_jobs(clock, PATIENCE) == 0
    clock.at += timedelta(seconds=30)
    assert work_on_jobs(clock, PATIENCE) == 1
    mine.refresh_from_db()
    assert (mine.done, mine.state, mine.percent) == (2, JobState.RUNNING, None)


def test_one_job_alone_can_be_carried_on(kinds: None) -> None:
    register("count", count_up)
    other, mine = job(), job()
    work_on_jobs(Clock(), timedelta(minutes=5), only=mine.pk)
    other.refresh_from_db()
    mine.refresh_from_db()
    assert (other.state, mine.state) == (JobState.WAITING, JobState.DONE)


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


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_who_watches_is_told_of_the_database_and_the_job_goes_on(
    kinds: None, error: type[Exception]
) -> None:
    full = [True]

    def step(job: Job, now: datetime) -> Progress:
        progress = count_up(job, now)
        if progress.done == 2 and full:
            raise error("database or disk is full")
        return progress

    register("count", step)
    mine = job()
    with pytest.raises(error):
        work_on_jobs(Clock(), timedelta(minutes=5), only=mine.pk, watched=True)
    mine.refresh_from_db()
    assert (mine.state, mine.done, mine.failures, mine.message) == (JobState.RUNNING, 1, 0, "")
    full.clear()
    later = Clock()
    later.at += jobs.LEASE * 2
    work_on_jobs(later, timedelta(minutes=5))
    mine.refresh_from_db()
    assert (mine.state, mine.done, Community.objects.count()) == (JobState.DONE, 3, 3)
