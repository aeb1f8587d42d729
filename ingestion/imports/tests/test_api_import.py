"""All history over the API: what it would cost, that it comes, and that it can be stopped."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from devices import jobs
from devices.jobs import work_on_jobs
from devices.models import Job, JobState, ThingSpeakChannel
from ingestion.imports import api_job
from ingestion.imports.tests.scene import minutes, stored
from ingestion.models import Gap, GapState, PollState, SourceEvent
from ingestion.tests import stack as network
from ingestion.tests.stack import Stack
from ingestion.verify import Severity
from simulator.testing import RunningSimulator

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(120)]


ENTRIES = 20_000  # three pages


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a channel that has been there for two weeks, long ago."""
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "tank.csv").write_bytes(minutes(ENTRIES))
    return folder


@pytest.fixture
def stack(recorded: Path, redis_socket: str, settings: Any) -> Iterator[Stack]:
    settings.REDIS_URL = f"unix://{redis_socket}"
    with RunningSimulator(replay=recorded) as simulator:
        yield Stack(simulator)


@pytest.fixture
def channel(stack: Stack) -> ThingSpeakChannel:
    """A channel that is read since an hour; what was before, nobody has asked for yet."""
    account = network.connection(stack.simulator)
    began = stack.at - timedelta(hours=1)
    catalogue = stack.simulator.control("catalogue")
    number = next(one["id"] for one in catalogue if one.get("file") == "tank.csv")
    fields = ("field1", "field2")
    found = network.channel(account, number, fields, interval_s=3600, history_from=began)
    stack.read_everything()
    return found


def look(stack: Stack, job: Job) -> Job:
    """The worker's next look at the job."""
    stack.advance(api_job.LOOK_AGAIN.total_seconds())
    work_on_jobs(lambda: stack.at, timedelta(seconds=1), only=job.pk)
    job.refresh_from_db()
    return job


def switch(channel: ThingSpeakChannel, what: str, *, on: bool) -> None:
    """Somebody switches the source, its device or its connection off or on."""
    row: Any = channel if what == "source" else getattr(channel, what)
    row.enabled = on
    row.save()


def test_the_preview_says_what_is_there_and_what_it_would_cost(
    stack: Stack, channel: ThingSpeakChannel
) -> None:
    found = api_job.preview_api(channel, stack.worker.equipment, stack.at)
    assert found.verification.severity is Severity.WARNING  # nothing new for months
    assert (found.verification.name, found.entries) == ("tank", ENTRIES)
    assert found.verification.facts is not None
    assert found.verification.facts.created_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert found.estimate is not None
    assert (found.estimate.requests, found.estimate.minutes is None) == (3, False)
    assert "Up to 20,000 entries in about 3 requests" in found.estimate.text
    assert [one.mapped for one in found.verification.proposals] == [True, True]


def test_a_budget_that_live_polling_uses_up_is_told(
    stack: Stack, channel: ThingSpeakChannel
) -> None:
    channel.connection.rate_limit, channel.interval_s = 1, 5
    channel.connection.save()
    channel.save()
    stack.advance(120)  # a request every minute: the next one is free again
    found = api_job.preview_api(channel, stack.worker.equipment, stack.at)
    assert found.estimate is not None
    assert "would wait for ever" in found.estimate.text


def test_a_channel_that_does_not_answer_has_no_estimate(
    stack: Stack, channel: ThingSpeakChannel
) -> None:
    stack.simulator.fault("status", code=500)
    found = api_job.preview_api(channel, stack.worker.equipment, stack.at)
    assert (found.entries, found.estimate) == (None, None)
    assert "error of its own" in found.verification.message


def test_the_whole_history_comes_and_is_reported(stack: Stack, channel: ThingSpeakChannel) -> None:
    entries = api_job.preview_api(channel, stack.worker.equipment, stack.at).entries
    job = api_job.start_import(channel, entries, None, stack.at).job
    assert job is not None
    look(stack, job)
    assert Gap.objects.get(state=GapState.OPEN).since.year == 1970
    look(stack, job)
    assert (job.state, job.percent) == (JobState.RUNNING, 0)
    assert "live polls go first" in job.message
    stack.run(1)
    look(stack, job)
    assert 0 < job.done < (job.total or 0)
    assert job.report["Requests"] >= 1
    stack.read_everything()
    look(stack, job)
    assert (job.state, job.percent) == (JobState.DONE, 100)
    assert job.report["Read back to (UTC)"] == "the beginning"
    assert (job.report["Requests"], job.report["New readings"]) == (3, 2 * ENTRIES)
    assert len(stored(channel)) == 2 * ENTRIES
    assert "All history was fetched" in SourceEvent.objects.get().text


def test_what_was_refused_is_reported_by_what_was_wrong(
    stack: Stack, channel: ThingSpeakChannel
) -> None:
    channel.device.metrics.filter(name="field1").update(maximum=-1_000_000.0)
    job = api_job.start_import(channel, ENTRIES, None, stack.at).job
    assert job is not None
    look(stack, job)
    stack.read_everything()
    look(stack, job)
    assert job.state == JobState.DONE
    assert job.report["Newly refused"] == ENTRIES
    assert job.report["Refused"] == {"Out of range": ENTRIES}


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("source", "the source is switched off"),
        ("device", "its device “Device {number}” is switched off"),
        ("connection", "its connection “ThingSpeak” is switched off"),
    ],
)
def test_what_is_switched_off_is_not_begun(
    stack: Stack, channel: ThingSpeakChannel, what: str, words: str
) -> None:
    switch(channel, what, on=False)
    with pytest.raises(api_job.SwitchedOff, match=words.format(number=channel.channel_id)):
        api_job.preview_api(channel, stack.worker.equipment, stack.at)
    with pytest.raises(api_job.SwitchedOff, match=words.format(number=channel.channel_id)):
        api_job.start_import(channel, None, None, stack.at)
    assert not Job.objects.exists()


def test_all_that_is_switched_off_is_named_at_once(
    stack: Stack, channel: ThingSpeakChannel
) -> None:
    switch(channel, "source", on=False)
    switch(channel, "connection", on=False)
    said = "the source and its connection “ThingSpeak” are switched off. Switch that on"
    with pytest.raises(api_job.SwitchedOff, match=said):
        api_job.start_import(channel, None, None, stack.at)


@pytest.mark.parametrize("what", ["source", "device", "connection"])
def test_what_is_switched_off_meanwhile_is_told_and_goes_on_when_it_is_back(
    stack: Stack, channel: ThingSpeakChannel, what: str
) -> None:
    job = api_job.start_import(channel, ENTRIES, None, stack.at).job
    assert job is not None
    switch(channel, what, on=False)
    for _ in range(2):  # the first look opens the gap
        look(stack, job)
        assert (job.state, job.done) == (JobState.RUNNING, 0)
        assert job.message.startswith("Waits: ")
        assert job.message.endswith("is switched off.")
        stack.run(3)
    switch(channel, what, on=True)
    look(stack, job)
    assert "live polls go first" in job.message
    stack.read_everything()
    assert look(stack, job).state == JobState.DONE


def test_an_import_of_a_channel_that_fails_says_that_it_waits_for_an_answer(
    stack: Stack, channel: ThingSpeakChannel
) -> None:
    job = api_job.start_import(channel, ENTRIES, None, stack.at).job
    assert job is not None
    look(stack, job)
    stack.simulator.fault("status", code=500)
    PollState.objects.filter(pk=channel.pk).update(next_poll_at=stack.at)
    stack.run(60)
    look(stack, job)
    assert job.message == "Waits until the source answers again."


def test_a_cancelled_import_asks_for_nothing_more(stack: Stack, channel: ThingSpeakChannel) -> None:
    job = api_job.start_import(channel, None, None, stack.at).job
    assert job is not None
    look(stack, job)
    stack.run(1)
    assert jobs.cancel(job, stack.at)
    assert not Gap.objects.filter(state__in=["open", "filling"]).exists()
    look(stack, job)
    assert job.state == JobState.CANCELLED


def test_cancelling_leaves_a_gap_that_was_there_before(
    stack: Stack, channel: ThingSpeakChannel
) -> None:
    hole = Gap.objects.create(
        source=channel, since=stack.at - timedelta(days=2), until=stack.at - timedelta(days=1),
        range_until=stack.at - timedelta(days=1), found_at=stack.at,
        next_try_at=stack.at + timedelta(days=1),
    )  # fmt: skip
    job = api_job.start_import(channel, None, None, stack.at).job
    assert job is not None
    look(stack, job)
    assert jobs.cancel(job, stack.at)
    assert Gap.objects.filter(pk=hole.pk).exists()


def test_a_deleted_channel_ends_its_import_with_a_reason(
    stack: Stack, channel: ThingSpeakChannel
) -> None:
    job = api_job.start_import(channel, None, None, stack.at).job
    assert job is not None
    channel.delete()
    look(stack, job)
    assert (job.state, job.message) == (JobState.FAILED, "The channel was deleted meanwhile.")
