"""What has outlived its time goes, its statistics stay; on PostgreSQL whole months at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from structlog.testing import capture_logs

from devices.models import Device, DeviceType, Metric, Source, ThingSpeakChannel
from devices.readings.charts import series
from devices.readings.keeping import Cut, Kept
from devices.readings.models import RetentionRule
from devices.readings.retention import NOTICE, cuts, outlook, prune
from devices.readings.samples import (
    AggregateRequest,
    HistoryRequest,
    IntegralRequest,
    PercentileRequest,
    Received,
    ReceivedRequest,
    Sample,
    Tier,
)
from devices.readings.store import NotKept, ReadingStore, partitions
from devices.readings.tests.network import FAR, device, in_the_database, metrics, source, tier_of

pytestmark = pytest.mark.django_db(transaction=True)

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 150  # to the end of May
NOW = JANUARY + timedelta(days=DAYS)


def daily(metric: int, owner: int, said: str | None = None) -> list[Sample]:
    return [
        Sample(owner, JANUARY + timedelta(days=day, hours=5), day, {metric: said or float(day)})
        for day in range(DAYS)
    ]


@pytest.fixture(autouse=True)
def afterwards() -> Iterator[None]:
    """The clock stands after everything that is written here."""
    with time_machine.travel(NOW, tick=False):
        yield
    partitions._known.clear()  # some go on to months in which those that were not over are dropped


def rule(readings: int | None, hours: int | None = None, **of: Any) -> RetentionRule:
    """A rule that has long been in force; of the whole site unless it names somebody."""
    RetentionRule.objects.filter(**({"community": None, "type": None} | of)).delete()
    made = RetentionRule.objects.create(readings_days=readings, hours_days=hours, **of)
    RetentionRule.objects.update(changed_at=JANUARY)
    return made


def held(store: ReadingStore, metric: Metric) -> list[datetime]:
    request = HistoryRequest(metric.pk, JANUARY, NOW)
    return [one.at for one in store.history(request)]


def spoken(store: ReadingStore, zone: str = "Asia/Kolkata") -> Metric:
    """A metric that said something every day, all of it rolled up."""
    (level,) = metrics(device(zone), 1)
    store.write(daily(level.pk, level.device_id))
    store.roll_up(NOW)
    return level


def test_dropped_readings_leave_their_tiers_and_do_not_come_back(store: ReadingStore) -> None:
    level = spoken(store)
    samples = daily(level.pk, level.device_id)
    before = store.statistics(level.pk, JANUARY, NOW)
    rule(80)

    prune(NOW)  # from 12 March on

    kept_from = NOW - timedelta(days=80)
    left = held(store, level)
    assert {one.at for one in samples if one.at >= kept_from} <= set(left)
    assert min(left) >= datetime(2026, 3, 1, tzinfo=UTC)
    assert store.statistics(level.pk, JANUARY, NOW) == before
    assert store.survey(level.pk, JANUARY, NOW, 1).kept == Kept(kept_from)
    again = store.write(samples[:3])
    assert (again.new, list(again.expired)) == ([], samples[:3])
    store.roll_up(NOW)
    assert store.statistics(level.pk, JANUARY, NOW) == before


def test_nothing_goes_while_a_changed_rule_gives_notice(store: ReadingStore) -> None:
    level = spoken(store)
    made = rule(30)
    made.save()  # now, as the clock of this test has it
    for days in (0, 6):
        prune(NOW + timedelta(days=days))
        assert len(held(store, level)) == DAYS
    assert outlook(NOW).effective == NOW + NOTICE

    other = rule(999, community=device().community)
    RetentionRule.objects.update(changed_at=JANUARY)
    other.delete()  # whose rule takes over gives notice too
    prune(NOW)
    assert len(held(store, level)) == DAYS

    prune(NOW + NOTICE)
    assert len(held(store, level)) < DAYS


def test_what_is_not_rolled_up_stays(store: ReadingStore) -> None:
    (level,) = metrics(device(), 1)
    store.write(daily(level.pk, level.device_id))
    rule(10)
    prune(NOW)
    assert len(held(store, level)) == DAYS


def test_who_keeps_longer_keeps_longer(store: ReadingStore) -> None:
    usual, patient, forever = (spoken(store) for _ in range(3))
    rule(40)
    rule(100, community=patient.device.community)
    rule(None, community=forever.device.community)

    for _ in range(2):  # the second time there is nothing left to do
        prune(NOW)

    assert len(held(store, forever)) == DAYS
    assert held(store, patient)[0] >= datetime(2026, 2, 1, tzinfo=UTC)
    assert held(store, patient)[0] <= NOW - timedelta(days=100)
    assert held(store, usual)[0] >= datetime(2026, 4, 1, tzinfo=UTC)
    late = store.write([one for m in (usual, forever) for one in daily(m.pk, m.device_id)[:1]])
    assert [one.device for one in late.expired] == [usual.device_id]
    assert late.unchanged == 1


def test_the_most_particular_rule_counts(store: ReadingStore) -> None:
    owners = [device() for _ in range(3)]
    kind = DeviceType.objects.create(name="Meter", slug="meter")
    Device.objects.filter(pk__in=[owners[1].pk, owners[2].pk]).update(type=kind)
    rule(90, 730)
    rule(30, type=kind)
    rule(20, 200, type=kind, community=owners[2].community)

    found = cuts(NOW)

    assert {key: found[key] for key in sorted(found)} == {
        owners[0].pk: Cut(NOW - timedelta(days=90), NOW - timedelta(days=730)),
        owners[1].pk: Cut(NOW - timedelta(days=30)),
        owners[2].pk: Cut(NOW - timedelta(days=20), NOW - timedelta(days=200)),
    }


def test_hours_go_later_and_days_stay(store: ReadingStore) -> None:
    level = spoken(store)
    days = AggregateRequest(level.pk, JANUARY - timedelta(hours=5.5), NOW, Tier.DAY)
    before = store.aggregate(days)
    rule(40, 100)

    prune(NOW)

    assert store.aggregate(days) == before
    hours_from = NOW - timedelta(days=100)
    assert store.survey(level.pk, JANUARY, NOW, 1).kept == Kept(
        NOW - timedelta(days=40), hours_from
    )
    kept = [bucket.start for bucket in tier_of(Tier.HOUR, level.pk)]
    assert sum(start >= hours_from for start in kept) == 100
    # Outside the database hours go a month at a time as well.
    until = hours_from - timedelta(days=2)
    assert kept[0] >= (until if in_the_database() else until.replace(day=1, hour=0))
    with pytest.raises(NotKept, match="days and months are kept"):
        store.aggregate(AggregateRequest(level.pk, JANUARY, NOW, timedelta(hours=6)))
    with pytest.raises(NotKept, match="single readings"):
        store.aggregate(AggregateRequest(level.pk, JANUARY, NOW, timedelta(minutes=30)))
    with pytest.raises(NotKept, match="Percentiles"):
        store.percentiles(PercentileRequest(level.pk, JANUARY, NOW, Tier.DAY, [50]))


def test_what_only_days_are_kept_of_still_counts_whatever_the_bucket(store: ReadingStore) -> None:
    level = spoken(store)
    midnight = JANUARY + timedelta(days=9, hours=18, minutes=30)  # in the community's zone
    ranges = [
        (JANUARY, NOW),  # cuts days in which nothing was said at its edges
        (midnight, NOW),
        (midnight, midnight + timedelta(days=31)),
        (JANUARY + timedelta(days=70), NOW - timedelta(hours=40)),
    ]
    widths = (None, Tier.DAY, Tier.MONTH)
    requests = [AggregateRequest(level.pk, *part, width) for part in ranges for width in widths]
    before = [store.aggregate(one).buckets for one in requests]
    complete = store.completeness(level.pk, *ranges[0])
    rule(40, 100)

    prune(NOW)

    for request, buckets in zip(requests, before, strict=True):
        assert store.aggregate(request).buckets == buckets, request
    assert store.statistics(level.pk, *ranges[0]) == before[0][0]
    assert store.completeness(level.pk, *ranges[0]) == complete
    assert store.aggregate(requests[0]).tier is Tier.DAY
    recent = AggregateRequest(level.pk, NOW - timedelta(days=99), NOW, None)
    assert store.aggregate(recent).tier is Tier.HOUR


def test_a_day_that_only_the_day_tier_knows_is_not_cut_in_two(store: ReadingStore) -> None:
    level = spoken(store)
    noon = JANUARY + timedelta(days=10, hours=12)
    store.write([Sample(level.device_id, noon, 1, {level.pk: 99.0})])
    store.roll_up(NOW)
    rule(40, 100)
    prune(NOW)

    for since, until in ((noon - timedelta(hours=1), NOW), (JANUARY, noon)):
        for width in (None, Tier.DAY, Tier.MONTH):
            with pytest.raises(NotKept, match="2026-01-11 is cut in two"):
                store.aggregate(AggregateRequest(level.pk, since, until, width))
    with pytest.raises(NotKept, match="Asia/Kolkata"):
        store.statistics(level.pk, noon, NOW)


def test_charts_and_integrals_reach_back_through_every_tier(store: ReadingStore) -> None:
    level = spoken(store)
    rule(40, 100)
    prune(NOW)

    chart = series(Metric.objects.get(pk=level.pk), JANUARY, NOW, 6000)
    line = store.integrate(IntegralRequest(level.pk, JANUARY, NOW, Tier.MONTH, timedelta(days=2)))

    assert [part.tier for part in chart.parts] == [Tier.DAY, Tier.HOUR, Tier.RAW]
    drawn = [point.average for point in chart.points if point.average is not None]
    assert drawn == [float(day) for day in range(DAYS)]
    assert line.tier is Tier.DAY
    # One a day, a value higher by one each day: whatever it was read from, the line is the same.
    assert sum(one.change for one in line.buckets) == pytest.approx(DAYS - 1)
    assert sum(one.area for one in line.buckets) == pytest.approx(86_400 * (DAYS - 1) ** 2 / 2)


def test_history_of_a_new_device_is_taken_whole_before_it_goes(store: ReadingStore) -> None:
    first = spoken(store)
    rule(40)
    prune(NOW)

    second = spoken(store)  # imported later, and older than what is kept of others
    assert len(held(store, second)) == DAYS
    before = store.statistics(second.pk, JANUARY, NOW)
    prune(NOW)

    assert len(held(store, second)) == len(held(store, first)) < DAYS
    assert store.statistics(second.pk, JANUARY, NOW) == before


def test_what_will_go_is_told_before(store: ReadingStore) -> None:
    usual, patient = spoken(store), spoken(store)
    rule(90, 730)
    rule(400, community=patient.device.community)

    told = outlook(NOW)

    months = [one for one in told.months if JANUARY <= one.volume.begins < NOW]
    assert [one.volume.begins.month for one in months] == [1, 2, 3, 4, 5]
    assert told.holds >= sum(one.volume.size for one in months) > 0
    january = months[0]
    assert [(str(step.rule), step.due) for step in january.steps] == [
        ("Whole site", True),
        (str(patient.device.community), False),
    ]
    assert january.steps[0].on == NOW.date()  # over age already
    assert january.last.on == datetime(2027, 3, 10, tzinfo=UTC).date()
    assert not january.soon
    assert months[4].steps[0].on == datetime(2026, 9, 1, tzinfo=UTC).date()
    assert len(held(store, usual)) == DAYS  # told, not done
    assert told.hours[0][1] == (NOW - timedelta(days=730)).date()

    prune(NOW)
    (still, *_) = [one for one in outlook(NOW).months if one.volume.begins == JANUARY]
    assert [str(step.rule) for step in still.steps] == [str(patient.device.community)]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"readings_days": 90, "hours_days": 30}, "at least as long"),
        ({"readings_days": None, "hours_days": 30}, "at least as long"),
        ({"readings_days": 3, "hours_days": 30}, "greater than or equal to 7"),
        ({"readings_days": 90, "hours_days": None}, "of the whole site already"),
    ],
)
def test_rules_that_cannot_work_are_refused(given: dict[str, int | None], words: str) -> None:
    rule(90, 730)
    with pytest.raises(ValidationError, match=words):
        RetentionRule(**given).full_clean()


def test_entries_as_received_stay_while_a_device_keeps_readings(store: ReadingStore) -> None:
    channel = source()
    other = ThingSpeakChannel.objects.create(
        device=device(), connection=channel.connection, channel_id=10
    )
    both = [
        Received(one.pk, one.device_id, JANUARY + timedelta(days=day), day, {"field1": "1"})
        for one in (channel, other)
        for day in range(DAYS)
    ]
    store.write([], both)
    store.roll_up(NOW)
    rule(28)
    rule(None, community=other.device.community)
    prune(FAR)
    assert len(kept(store, channel, other)) == 2 * DAYS

    rule(58, community=other.device.community)  # from 3 April on, and two days more
    prune(NOW)
    instants = kept(store, channel, other)
    assert min(instants) == datetime(2026, 4, 1, tzinfo=UTC)
    assert max(instants) == JANUARY + timedelta(days=DAYS - 1)

    store.write([], both[:2])  # a late backfill brings an old month again
    assert min(kept(store, channel, other)) == JANUARY


def test_what_is_held_stays_and_is_still_taken(store: ReadingStore) -> None:
    channel = source()
    other = spoken(store)
    (level,) = metrics(channel.device, 1)
    days = [JANUARY + timedelta(days=day) for day in range(DAYS)]
    store.write(
        daily(level.pk, level.device_id)[:-1],
        [Received(channel.pk, level.device_id, at, 1, {}) for at in days],
    )
    rule(40)
    hold = JANUARY + timedelta(days=40, hours=7)
    store.roll_up(NOW)

    prune(NOW, {level.device_id: hold})

    assert {at for at in days if at >= hold} <= set(kept(store, channel))
    assert len([at for at in held(store, level) if at >= hold]) == DAYS - 41 - 1
    waits = said_at(level, hold)
    early, theirs = (said_at(one, hold - timedelta(hours=9)) for one in (level, other))
    assert store.write([waits, early, theirs]).expired == [early, theirs]
    assert cuts(NOW)[level.device_id].readings_before == NOW - timedelta(days=40)

    prune(NOW)  # it has been decided
    assert store.write([waits._replace(sequence=1)]).expired != []
    assert max(at for at in days if at not in kept(store, channel)) < NOW - timedelta(days=42)
    assert min(kept(store, channel)) > JANUARY


A_YEAR_ON = NOW + timedelta(days=365)


def said_at(level: Metric, at: datetime) -> Sample:
    return Sample(level.device_id, at, 10_000, {level.pk: 48.0})


def test_a_clock_that_jumps_ahead_destroys_nothing(store: ReadingStore) -> None:
    channel = source()
    level = metrics(channel.device, 1)[0]
    store.write(
        daily(level.pk, level.device_id),
        [
            Received(channel.pk, level.device_id, JANUARY + timedelta(days=day), day, {})
            for day in range(DAYS)
        ],
    )
    rule(90, 120)
    with time_machine.travel(A_YEAR_ON, tick=False):
        for _ in range(2):
            store.roll_up(A_YEAR_ON)
            prune(A_YEAR_ON)

    since = NOW - timedelta(days=90)
    assert len([at for at in held(store, level) if at >= since]) == 90
    assert len([at for at in kept(store, channel) if at >= since]) == 90
    live, late = said_at(level, NOW), said_at(level, NOW - timedelta(days=80))
    assert store.write([live, late]).expired == []
    store.roll_up(NOW)  # which went ahead with the clock, and follows what comes now
    whole = AggregateRequest(level.pk, JANUARY, NOW + timedelta(days=40), Tier.DAY)
    assert sum(bucket.count for bucket in store.aggregate(whole).buckets) == DAYS + 2
    hours = AggregateRequest(level.pk, NOW, NOW + timedelta(hours=1), timedelta(hours=1))
    assert [bucket.sum for bucket in store.aggregate(hours).buckets] == [48.0]


def test_where_nobody_measures_any_more_everything_may_stay(store: ReadingStore) -> None:
    level = spoken(store)
    mode = metrics(level.device, 1, "text")[0]
    rule(90)
    prune(NOW)
    before = held(store, level)
    later = NOW + timedelta(days=20)
    store.roll_up(later)
    with capture_logs() as lines:
        prune(later)
        prune(later + timedelta(hours=1))
    assert held(store, level) == before
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("clock_not_believed", "warning")
    ]
    assert "put it right" in lines[0]["message"]
    assert outlook(later).believed == JANUARY + timedelta(days=DAYS, hours=5)

    store.write([Sample(mode.device_id, later, 1, {mode.pk: "running"})])  # a text counts as well
    with capture_logs() as lines:
        prune(later)
        prune(later + timedelta(hours=1))
    assert [line["event"] for line in lines] == ["clock_believed_again"]
    assert outlook(later).believed is None
    assert store.survey(level.pk, JANUARY, NOW, 1).kept == Kept(later - timedelta(days=90))


def test_a_reading_that_is_a_little_ahead_does_not_matter(store: ReadingStore) -> None:
    level = spoken(store)
    store.write([said_at(level, NOW + timedelta(minutes=10))])
    rule(90)
    assert cuts(NOW)[level.device_id] == Cut(NOW - timedelta(days=90))


@pytest.mark.parametrize("archive", [False, True])
def test_a_site_that_was_hit_before_takes_readings_again(
    store: ReadingStore, archive: bool, settings: Any, tmp_path: Path
) -> None:
    settings.ARCHIVE_DIR = tmp_path / "archive"
    level, silent = spoken(store), metrics(device(), 1)[0]
    total = store.statistics(level.pk, JANUARY, NOW)
    assert total is not None
    rule(90)
    RetentionRule.objects.update(archive=archive)
    with time_machine.travel(A_YEAR_ON, tick=False):  # as it was done once: the clock was believed
        store.roll_up(A_YEAR_ON)
        cut = Cut(A_YEAR_ON - timedelta(days=90), None, archive)
        store.drop({level.device_id: cut, silent.device_id: cut})
    old = daily(level.pk, level.device_id) if archive else []
    assert len(held(store, level)) == len(old)
    live = [said_at(level, NOW), said_at(silent, NOW)]
    assert store.write(live).expired == live

    with capture_logs() as lines:
        prune(NOW)
        prune(NOW)

    assert [(line["event"], line["devices"]) for line in lines] == [("cuts_set_back", 2)]
    assert store.write(live).new == live
    missed = said_at(level, NOW - timedelta(hours=15))  # after the last one that was stored
    assert store.write([missed]).new == [missed]
    gone = daily(level.pk, level.device_id)[-1:]
    assert archive or store.write(gone).expired == gone
    store.roll_up(NOW)
    after = store.statistics(level.pk, JANUARY, NOW + timedelta(days=1))
    assert after is not None
    assert (after.count, after.first, after.last) == (DAYS + 2, total.first, 48.0)
    request = HistoryRequest(level.pk, JANUARY, NOW + timedelta(days=1))
    assert [one.at for one in store.history(request)] == [
        *(one.at for one in old), missed.at, NOW,
    ]  # fmt: skip

    for month in range(1, 6):  # and they go when they are old, as ever
        now = NOW + timedelta(days=30 * month)
        with time_machine.travel(now, tick=False):
            store.write([said_at(level, now)])
            store.roll_up(now)
            prune(now)
    there = [one.at for one in store.history(replace(request, until=now))]
    assert (NOW in there, missed.at in there) == (archive, archive)
    assert now - timedelta(days=60) in there
    assert len(there) == len(set(there))


def kept(store: ReadingStore, *sources: Source) -> list[datetime]:
    """When the entries that are kept of the sources were made."""
    return [
        entry.at for one in sources for entry in store.received(ReceivedRequest(one.pk, limit=9999))
    ]
