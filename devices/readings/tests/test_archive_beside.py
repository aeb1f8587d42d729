"""A file of the archive is away: what hours and days can draw is drawn of them, and said."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client

from devices.models import DataType, Metric
from devices.readings.charts import Series, series
from devices.readings.models import ArchivedFile, DayZone
from devices.readings.samples import Tier
from devices.readings.staying import states
from devices.readings.store import ArchiveUnreadable, ReadingStore
from devices.readings.store.archive import files
from devices.readings.tests.archived import (
    APRIL,
    CUT,
    FEBRUARY,
    JANUARY,
    MARCH,
    NOW,
    drop,
    fill,
    network,
)

pytestmark = pytest.mark.django_db(transaction=True)

DAY = timedelta(days=1)
SINCE, UNTIL = JANUARY + timedelta(days=4, minutes=197), JANUARY + timedelta(days=24, minutes=245)
"""Twenty days whose edges are no whole hours."""


@pytest.fixture(autouse=True)
def archive(settings: Any, tmp_path: Path) -> Iterator[None]:
    """An archive of the test's own; the clock stands after everything that is written here."""
    settings.ARCHIVE_DIR = tmp_path / "archive"
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def level(store: ReadingStore) -> Metric:
    """A metric that said something for months, in a zone half an hour off."""
    found = network()
    fill(store, found)
    return Metric.objects.select_related("device__community").get(pk=found[0].pk)


def lose_a_file(month: datetime = JANUARY) -> str:
    name = ArchivedFile.objects.get(month=month).name
    files.path_of(name).unlink()
    return name


def extremes(chart: Series) -> tuple[float, float]:
    drawn = [point for point in chart.points if point.average is not None]
    return min(one.minimum or 0 for one in drawn), max(one.maximum or 0 for one in drawn)


@pytest.mark.parametrize(("points", "width"), [(600, 1), (100, 6), (60, 24), (6, 96)])
@pytest.mark.parametrize("hours", [None, CUT])
def test_hours_or_days_are_drawn_instead(
    store: ReadingStore, level: Metric, points: int, width: int, hours: datetime | None
) -> None:
    drop(store, CUT, hours)
    before = series(level, SINCE, UNTIL, points)
    lose_a_file()

    chart = series(level, SINCE, UNTIL, points)

    assert (before.away, "is missing" in chart.away) == ("", True)
    (part,) = chart.parts
    assert part.tier is (Tier.HOUR if width < 24 and hours is None else Tier.DAY)
    assert part.width == timedelta(hours=width if hours is None else max(width, 24))
    assert (part.since, part.until) == (SINCE, UNTIL)
    least, most = extremes(before)
    assert extremes(chart)[0] <= least
    assert extremes(chart)[1] >= most


def test_what_the_file_does_not_hold_is_drawn_as_ever(store: ReadingStore, level: Metric) -> None:
    drop(store)
    later = series(level, MARCH, MARCH + DAY, 600)
    lose_a_file()
    lose_a_file(FEBRUARY)

    assert series(level, MARCH, MARCH + DAY, 600) == later
    assert later.tier is Tier.ARCHIVE
    lose_a_file(MARCH)
    across = series(level, APRIL - 3 * DAY, APRIL + 3 * DAY, 600)
    assert [part.tier for part in across.parts] == [Tier.HOUR, Tier.RAW]
    assert across.parts[0].until == APRIL
    places = [point.at for point in across.points]
    assert places == sorted(places)
    assert all(one.until == other.since for one, other in pairwise(across.parts))


def test_the_api_names_what_it_drew(store: ReadingStore, level: Metric, client: Client) -> None:
    drop(store)
    lose_a_file()
    client.force_login(User.objects.create_superuser("admin"))
    asked = f"/api/v1/metrics/{level.pk}/series/?points=60&start=2026-01-05T03:17Z&end=-110d"

    answer = client.get(asked)

    assert answer.status_code == 200, answer.content
    told = answer.json()
    assert (told["tier"], [part["tier"] for part in told["parts"]]) == ("day", ["day"])
    hours = client.get(f"/api/v1/devices/{level.device.uuid}/export/?tier=hour&start=2026-01-05")
    assert hours.status_code == 200
    assert len(b"".join(hours)) > 1000


def test_where_nothing_else_answers_the_file_is_named(store: ReadingStore, level: Metric) -> None:
    """Hours are gone, and days are those of another zone."""
    drop(store, CUT, CUT)
    name = lose_a_file()
    DayZone.objects.update(zone="Europe/Berlin")

    with pytest.raises(ArchiveUnreadable, match=name):
        series(level, SINCE, UNTIL, 60)


def test_states_are_told_by_the_runs_that_they_left(store: ReadingStore, level: Metric) -> None:
    told = Metric.objects.select_related("device__type").filter(device=level.device)
    some = list(told.filter(data_type__in=[DataType.BOOLEAN, DataType.TEXT]))
    assert some
    drop(store, CUT)
    before = {one.pk: states(one, SINCE, UNTIL, DAY) for one in some}
    assert any(one.stays for one in before.values())
    lose_a_file()

    after = {one.pk: states(one, SINCE, UNTIL, DAY) for one in some}

    for key, one in after.items():
        assert (one.stays, one.lasted) == (before[key].stays, before[key].lasted)
        assert one.runs_until is not None  # and says so
