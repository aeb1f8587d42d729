"""Ranges that cut hours in two whose readings were dropped by age: what does not count is named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client

from devices.models import Metric
from devices.readings.charts import series
from devices.readings.instants import HOUR
from devices.readings.periods import Span
from devices.readings.samples import AggregateRequest, Bucket, Buckets, Sample, Tier
from devices.readings.store import ReadingStore
from devices.readings.store.edges import sorted_out
from devices.readings.tests.network import device, drop_before, metrics

pytestmark = pytest.mark.django_db

MARCH = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = 12
NOW = MARCH + timedelta(days=60)
DROPPED = MARCH + timedelta(days=40)
WIDTHS = (None, Tier.DAY, Tier.MONTH, timedelta(hours=6))
RANGES = [
    (timedelta(days=4), timedelta(days=4, hours=18.5)),
    (timedelta(days=3, hours=19), timedelta(days=4, hours=18.5)),
    (timedelta(days=3, hours=18.5), timedelta(days=4, hours=18.5)),
    (timedelta(days=2, minutes=17), timedelta(days=9, hours=7, minutes=40)),
    (timedelta(days=5, minutes=62), timedelta(days=5, minutes=70)),
    (timedelta(days=5, minutes=40), timedelta(days=5, minutes=75)),
]


@pytest.fixture(autouse=True)
def afterwards() -> Iterator[None]:
    """The clock stands after everything that is written here."""
    with time_machine.travel(NOW, tick=False):
        yield


def said(store: ReadingStore, every: timedelta, zone: str = "Asia/Kolkata") -> Metric:
    (level,) = metrics(device(zone), 1)
    many = timedelta(days=DAYS) // every
    first = MARCH + timedelta(minutes=2)
    store.write(
        [Sample(level.device_id, first + every * n, n, {level.pk: float(n)}) for n in range(many)]
    )
    store.roll_up(NOW)
    return Metric.objects.select_related("device__community").get(pk=level.pk)


def asked(store: ReadingStore, level: Metric, since: Any, until: Any, width: Any) -> Buckets:
    return store.aggregate(AggregateRequest(level.pk, MARCH + since, MARCH + until, width))


def counted(answer: Buckets) -> int:
    return sum(bucket.count for bucket in answer.buckets)


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "Asia/Kathmandu", "UTC"])
def test_what_is_counted_and_what_is_left_out_is_all_there_was(
    store: ReadingStore, zone: str
) -> None:
    level = said(store, timedelta(minutes=10), zone)
    requests = [(*bounds, width) for bounds in RANGES for width in WIDTHS]
    before = [asked(store, level, *one) for one in requests]
    assert not any(answer.left_out for answer in before)
    at = [MARCH + timedelta(minutes=n) for n in range(2, DAYS * 24 * 60, 10)]

    drop_before(store, DROPPED)

    for request, told in zip(requests, before, strict=True):
        answer = asked(store, level, *request)
        lost = [one for one in at if any(a <= one < b for a, b in answer.left_out)]
        assert counted(answer) == counted(told) - len(lost), request
        assert all(b - a < HOUR for a, b in answer.left_out)
        if not answer.left_out:
            assert answer.buckets == told.buckets


def test_a_day_is_whole_where_hours_are_not(store: ReadingStore) -> None:
    """Midnight in India is half past six in UTC, in whose hours the tier counts."""
    level = said(store, timedelta(minutes=10))
    drop_before(store, DROPPED)
    midnight = MARCH + RANGES[0][1]

    part, whole = (asked(store, level, *bounds, Tier.DAY) for bounds in (RANGES[0], RANGES[2]))

    assert (counted(part), part.left_out) == (108, [(midnight - HOUR / 2, midnight)])
    assert (counted(whole), whole.left_out) == (144, [])


def test_an_hour_that_said_everything_on_one_side_counts_there(store: ReadingStore) -> None:
    level = said(store, HOUR)
    requests = [(*bounds, width) for bounds in RANGES for width in WIDTHS]
    before = [asked(store, level, *one).buckets for one in requests]

    drop_before(store, DROPPED)

    for request, buckets in zip(requests, before, strict=True):
        answer = asked(store, level, *request)
        assert answer.buckets == buckets, request
        assert not answer.left_out


def test_readings_that_are_over_age_and_still_there_count(store: ReadingStore) -> None:
    """Rows stay two days longer than samples are taken, on some engines a month."""
    level = said(store, timedelta(minutes=10))
    before = asked(store, level, *RANGES[3], Tier.DAY)

    drop_before(store, MARCH + timedelta(days=1, hours=23))
    assert asked(store, level, *RANGES[3], Tier.DAY) == before

    cut = MARCH + timedelta(days=10)
    drop_before(store, cut)
    newest = (timedelta(days=9, minutes=10), timedelta(days=9, minutes=45))
    assert counted(asked(store, level, *newest, None)) == 4


def test_a_chart_draws_its_first_and_last_hour_whole(store: ReadingStore) -> None:
    level = said(store, timedelta(minutes=10))
    since, until = (MARCH + edge for edge in RANGES[3])
    drop_before(store, DROPPED)

    hours = series(level, since, until, 300).points
    days = series(level, since, until, 8).points

    assert (hours[0].minimum, hours[-1].maximum) == (2 * 144, (9 * 24 + 8) * 6 - 1)
    midnights = (2 * 144 - 33, 10 * 144 - 34)  # in India
    assert (days[0].minimum, days[-1].maximum) == midnights


def test_the_api_says_what_its_statistics_lack(store: ReadingStore, client: Client) -> None:
    level = said(store, timedelta(minutes=10))
    drop_before(store, DROPPED)
    client.force_login(User.objects.create_superuser("admin"))
    asked = f"/api/v1/metrics/{level.pk}/measures/?width=day&measures=count&start="

    cut = client.get(f"{asked}2026-03-05T00:00Z&end=2026-03-05T18:30Z").json()
    whole = client.get(f"{asked}2026-03-04T18:30Z&end=2026-03-05T18:30Z").json()

    assert cut["measures"]["count"]["values"] == [108]
    begins = datetime(2026, 3, 5, 18, tzinfo=UTC).timestamp()
    assert cut["left_out"] == [{"start": begins, "end": begins + 1800}]
    assert (whole["measures"]["count"]["values"], whole["left_out"]) == ([144], [])


def test_what_is_kept_stays_in_one_part_up_to_the_end_of_time() -> None:
    """A part for each hour of it would be seventy million."""
    end = datetime(9999, 12, 31, 23, tzinfo=UTC)
    whole = Span(MARCH, MARCH + HOUR / 2, end)
    nothing: list[Bucket] = []
    asked: list[Sequence[Span]] = []

    def hours_of(spans: Sequence[Span]) -> Sequence[Bucket]:
        asked.append(spans)
        return nothing

    edges = sorted_out([whole], MARCH + 3 * HOUR, [], hours_of, hours_of)
    assert edges.readings == [whole._replace(since=MARCH + 3 * HOUR)]
    assert [len(one) for one in asked] == [3]
    assert sorted_out([whole], None, [], hours_of, hours_of).readings == [whole]
