"""Corrected mappings reach back: stored readings become what the entries say by today's rules."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from devices.jobs import cancel
from devices.models import DataType, FieldMapping, Job, JobState, Metric, ThingSpeakChannel
from devices.readings.models import Received
from devices.readings.rollups import roll_up
from devices.readings.samples import Origin, Sample
from devices.readings.store import get_store
from devices.readings.tests.network import recomputed, tier_of
from devices.readings.tests.test_rollups import TIERS, assert_same
from ingestion import rejections
from ingestion.models import EventKind, Gap, MappingPause, PollState, Rejection, SourceEvent
from ingestion.recalculation import request, working
from ingestion.recalculation.comparing import Differences, compare
from ingestion.tests.recalculated import FAR, START, Scene

pytestmark = pytest.mark.django_db


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_corrected_scale_reaches_back(scene: Scene) -> None:
    scene.receive(["1", "2", "3"], origin=Origin.PUSH)
    scene.correct(scale=10.0, offset=1.0)

    job = scene.recalculate()

    assert scene.values() == [11.0, 21.0, 31.0]
    assert all(one.revised and one.origin is Origin.PUSH for one in scene.readings())
    latest = get_store().latest([scene.level.pk])[scene.level.pk]
    assert (latest.value, latest.origin) == (31.0, Origin.PUSH)
    assert job.report["recomputed"] == job.report["changed"] == job.done == job.total == 3
    (event,) = SourceEvent.objects.filter(kind=EventKind.RECALCULATED)
    assert event.text == "Corrected. 3 entries recalculated: 3 changed."
    assert scene.recalculate().message == "3 entries recalculated: nothing differs."


def test_a_mapping_made_later_reads_what_was_received_before(scene: Scene) -> None:
    scene.receive([{"field1": "1", "field2": "20"}, {"field2": "21"}])
    warmth = scene.add("temperature_c", field="field2")

    job = scene.recalculate()

    assert scene.values(warmth) == [20.0, 21.0]
    assert [one.origin for one in scene.readings(warmth)] == [Origin.LIVE, Origin.BACKFILL]
    assert job.report["new"] == 2


def test_what_is_refused_now_goes_and_says_why(scene: Scene) -> None:
    scene.receive(["1", "200", "3"])
    scene.correct(maximum=100.0)

    job = scene.recalculate()

    assert scene.values() == [1.0, 3.0]
    assert job.report["removed"] == 1
    assert job.report["refused"] == {"out_of_range": 1}
    assert Rejection.objects.get().raw == "200"


def test_what_was_refused_and_is_right_now_is_no_rejection_any_more(scene: Scene) -> None:
    scene.correct(maximum=100.0)
    scene.receive(["1", "200", "bad"])

    scene.correct(maximum=None)
    scene.recalculate()

    assert scene.values() == [1.0, 200.0]
    assert [one.raw for one in Rejection.objects.all()] == ["bad"]


@pytest.mark.parametrize("how", ["off", "elsewhere", "deleted"])
def test_what_nobody_computes_any_more_goes(scene: Scene, how: str) -> None:
    scene.receive(["1", "2"])
    other = scene.add("flow")
    get_store().write([Sample(other.device_id, START, 0, {other.pk: 7.0})])
    if how == "deleted":
        scene.mapping.delete()
    else:
        scene.correct(**({"enabled": False} if how == "off" else {"metric": other}))

    scene.recalculate()

    assert scene.values() == []
    assert get_store().latest([scene.level.pk]) == {}
    assert scene.values(other) == ([1.0, 2.0] if how == "elsewhere" else [7.0])


def test_a_paused_mapping_keeps_its_readings(scene: Scene) -> None:
    """Its field changed: of entries that wait for a decision nothing could be said."""
    scene.receive(["1", "2", "3"])
    scene.correct(scale=10.0)
    MappingPause.objects.create(
        mapping=scene.mapping, source=scene.channel, kind="renamed", since=scene.at(1),
        found_at=START, text="The source's field1 was renamed.",
    )  # fmt: skip

    job = scene.recalculate()

    assert scene.values() == [10.0, 2.0, 3.0]
    assert "The source's field1 was renamed." in job.message


def test_only_the_stretch_that_was_asked_for_changes(scene: Scene) -> None:
    scene.receive(["1", "2", "3", "4"])
    scene.correct(scale=10.0)

    job = scene.recalculate(scene.at(1), scene.at(3))

    assert scene.values() == [1.0, 20.0, 30.0, 4.0]
    assert job.total == 2


def test_what_was_received_too_long_ago_is_said_never_hidden(scene: Scene) -> None:
    scene.receive(["1", "2", "3", "4"])
    Received.objects.filter(at__lt=scene.at(3)).delete()
    scene.correct(scale=10.0)

    job = scene.recalculate()

    assert scene.values() == [1.0, 2.0, 3.0, 40.0]
    assert job.report["not_recomputed"] == 3
    assert "3 older values before 2026-11-01 00:03 UTC stay as they were" in job.message


def test_another_channel_of_the_device_keeps_what_is_its_own(scene: Scene) -> None:
    """Two channels of one device may carry the same numbers and times."""
    twin = ThingSpeakChannel.objects.create(
        device=scene.village.device, connection=scene.village.connection, channel_id=102
    )
    scene.receive([{"field2": "5"}])
    scene.mapping.delete()
    FieldMapping.objects.create(source=twin, field="field1", metric=scene.level)
    scene.receive(["7"], source=twin)

    scene.recalculate()

    assert scene.values() == [7.0]


def test_a_metric_of_another_type_now(scene: Scene) -> None:
    scene.receive(["1", "0"])
    Metric.objects.filter(pk=scene.level.pk).update(data_type=DataType.BOOLEAN)
    scene.correct(data_type=DataType.BOOLEAN)

    job = scene.recalculate()
    roll_up(FAR)

    assert scene.values() == [True, False]
    assert (job.report["changed"], job.report["new"], job.report["removed"]) == (2, 0, 0)
    assert [(one.count, one.maximum) for one in tier_of(TIERS[0], scene.level.pk)] == [(2, 1.0)]


def test_hours_days_and_months_follow(scene: Scene) -> None:
    zone = scene.village.community.zone
    scene.receive([str(n % 90) for n in range(3000)])
    roll_up(scene.now)
    scene.correct(scale=0.5, maximum=40.0)

    scene.recalculate(scene.at(100), scene.at(2500))
    roll_up(scene.now)

    held = {(one.at, one.sequence): one.value for one in scene.readings()}
    assert len(held) < 3000
    for tier in TIERS:
        assert_same(tier_of(tier, scene.level.pk), recomputed(held, tier, ZoneInfo(zone)))


def test_a_killed_worker_goes_on_where_it_was(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    monkeypatch.setattr(working, "PAGE", 10)
    scene.receive([str(n) for n in range(35)])
    scene.correct(scale=2.0)
    job = scene.ask()
    pages = iter([1, 2])
    real = rejections.record

    def dies_in_the_third(*args: Any) -> Any:
        if next(pages, None) is None:
            raise Killed
        return real(*args)

    monkeypatch.setattr(rejections, "record", dies_in_the_third)
    with pytest.raises(Killed):
        scene.work()
    job.refresh_from_db()
    assert (job.done, job.total) == (20, 35)
    scene.now += timedelta(minutes=5)
    monkeypatch.setattr(rejections, "record", real)
    scene.work()

    job.refresh_from_db()
    assert (job.state, job.done, job.report["changed"]) == (JobState.DONE, 35, 34)  # 0 stays 0
    assert scene.values() == [2.0 * n for n in range(35)]


def test_what_a_stopped_job_did_stays_and_is_told(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working, "PAGE", 1)
    scene.receive(["1", "2", "3"])
    scene.correct(scale=10.0)
    job = scene.ask()
    scene.work(seconds=4)
    cancel(job, scene.now)
    scene.work()

    assert scene.values() == [10.0, 2.0, 3.0]
    (event,) = SourceEvent.objects.all()
    assert event.text == "Corrected. Stopped. 1 entry recalculated: 1 changed."


def test_an_entry_revised_meanwhile_has_the_last_word(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A poll brings a corrected entry between our reading it and our writing."""
    scene.receive(["1", "2"])
    scene.correct(scale=10.0)
    polls = iter(["5"])

    def slow(*args: Any) -> Differences:
        differences = compare(*args)
        for row in polls:
            scene.receive([row])
        return differences

    monkeypatch.setattr(working, "compare", slow)

    scene.recalculate()

    assert scene.values() == [50.0, 20.0]


def test_requests_that_have_not_begun_become_one(scene: Scene) -> None:
    scene.receive(["1", "2", "3"])
    first = scene.ask(scene.at(1), scene.at(2))
    again = request(scene.channel, scene.at(2), None, None, "Another scale.", scene.now)
    apart = request(scene.channel, None, scene.at(0), None, "Long ago.", scene.now)

    assert first.pk == again.pk != apart.pk
    assert (again.params["since"], again.params["until"]) == (scene.at(1).isoformat(), None)
    assert again.params["why"] == ["Corrected.", "Another scale."]
    scene.work()
    assert list(Job.objects.values_list("state", flat=True)) == [JobState.DONE] * 2


def test_a_request_after_one_that_has_begun_follows_it(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working, "PAGE", 1)
    scene.receive(["1", "2", "3"])
    scene.correct(scale=10.0)
    first = scene.ask()
    scene.work(seconds=4)
    first.refresh_from_db()
    assert 0 < first.done < 3

    scene.correct(scale=100.0)
    second = scene.ask()
    Job.objects.filter(pk=first.pk).update(lease_until=FAR)  # another worker is at it
    scene.work(seconds=5)
    second.refresh_from_db()
    assert second.pk != first.pk
    assert (second.done, second.message) == (
        0,
        "Waits for an earlier recalculation of the same source.",
    )
    Job.objects.filter(pk=first.pk).update(lease_until=None)
    scene.work()

    second.refresh_from_db()
    assert second.state == JobState.DONE
    assert scene.values() == [100.0, 200.0, 300.0]


def test_polls_that_began_before_the_change_end_first(scene: Scene) -> None:
    """They know the old mapping and may still store by it; later ones know the new one."""
    scene.receive(["1"])
    held = scene.now + timedelta(seconds=30)
    state = PollState.objects.create(
        source=scene.channel,
        connection=scene.channel.connection,
        next_poll_at=FAR,
        lease_until=FAR,
        claim_token=7,
    )
    Gap.objects.create(
        source=scene.channel, since=START, until=FAR, range_until=FAR, found_at=START,
        next_try_at=FAR, lease_until=held,
    )  # fmt: skip
    job = scene.ask()
    scene.work(seconds=5)
    job.refresh_from_db()
    assert (job.done, job.message) == (0, "Waits for a poll that began before the change.")

    state.claim_token = 8  # claimed anew since: that poll has the new mapping
    state.save()
    scene.work(seconds=5)
    job.refresh_from_db()
    assert job.done == 0
    again = scene.ask()
    assert again.pk == job.pk

    scene.now = held
    scene.work(seconds=5)
    job.refresh_from_db()
    assert job.done == 0, "asked again meanwhile: the poll of then counts"
    state.claim_token = 9
    state.save()
    scene.now += timedelta(seconds=5)
    scene.work()
    job.refresh_from_db()
    assert (job.state, job.done) == (JobState.DONE, 1)


def test_a_deleted_source_is_told(scene: Scene) -> None:
    job = scene.ask()
    scene.channel.delete()
    scene.work()
    job.refresh_from_db()
    assert (job.state, job.message[:22]) == (JobState.FAILED, "The source was deleted")


def test_nonsense_is_refused(scene: Scene) -> None:
    with pytest.raises(ValueError, match="must end after it begins"):
        scene.ask(START, START)
