"""What has outlived its time goes, its statistics stay; on PostgreSQL whole months at a time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from devices.models import Device, DeviceType, Metric, ThingSpeakChannel
from devices.readings.charts import series
from devices.readings.keeping import Cut, Kept
from devices.readings.retention import cuts, prune
from devices.readings.samples import (
    AggregateRequest,
    IntegralRequest,
    PercentileRequest,
    Received,
    Sample,
    Tier,
)
from devices.readings.store import NotKept, ReadingStore
from devices.readings.tests.network import (
    FAR,
    device,
    in_the_database,
    metrics,
    source,
    tier_of,
)
from devices.readings.tests.retained import (
    DAYS,
    JANUARY,
    NOW,
    afterwards,
    daily,
    held,
    kept,
    rule,
    said_at,
    spoken,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    with afterwards():
        yield


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
    assert store.survey(level.pk).kept == Kept(kept_from)
    again = store.write(samples[:3])
    assert (again.new, list(again.expired)) == ([], samples[:3])
    store.roll_up(NOW)
    assert store.statistics(level.pk, JANUARY, NOW) == before


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
    assert store.survey(level.pk).kept == Kept(NOW - timedelta(days=40), hours_from)
    kept = [bucket.start for bucket in tier_of(Tier.HOUR, level.pk)]
    assert sum(start >= hours_from for start in kept) == 100
    # Outside the database hours go a month at a time as well.
    until = hours_from - timedelta(days=2)
    assert kept[0] >= (until if in_the_database() else until.replace(day=1, hour=0))
    with pytest.raises(NotKept, match="Days and months are kept"):
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
