"""How complete each day is: counted in the community's zone, told with its reason, over the API."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from devices.tests.scene import Scene, browser
from ingestion.gaps.completeness import days_of
from ingestion.gaps.days import Tally, add_to_days, entries_by_day, lost_by_day, spread
from ingestion.gaps.numbers import Hole, Row
from ingestion.models import EntryLedger, Gap, GapReason, GapState, PollState, SourceDay
from realtime.way_in import Day, DayState

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TODAY = date(2026, 11, 20)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
KOLKATA, BERLIN = ZoneInfo("Asia/Kolkata"), ZoneInfo("Europe/Berlin")
INSTANTS = st.integers(0, 2 * 365 * 86_400).map(lambda s: NOW - timedelta(seconds=s))


# --- arithmetic -------------------------------------------------------------------------------


def test_rows_are_counted_in_the_communitys_days_across_a_change_of_clocks() -> None:
    change = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # a day of 25 hours begins at 22:00 UTC
    rows = [Row(n, int((change + HOUR * (n - 26)).timestamp())) for n in range(51)]
    counts = entries_by_day(rows, BERLIN, NOW)
    assert counts[date(2026, 10, 25)] == 25
    assert sum(counts.values()) == 51
    ahead = [Row(1, None), Row(2, int((NOW + DAY).timestamp()))]
    assert not entries_by_day(ahead, BERLIN, NOW)


@given(st.integers(0, 10_000), INSTANTS, st.timedeltas(timedelta(0), 90 * DAY))
def test_spreading_keeps_the_sum_and_stays_within(count: int, at: datetime, span: Any) -> None:
    parts = spread(count, at, at + span, BERLIN)
    assert sum(parts.values()) == count
    assert min(parts.values()) >= 0
    assert len(parts) <= span.days + 3


def test_lost_numbers_lie_between_their_neighbours() -> None:
    noon = int(NOW.timestamp())
    holes = [Hole(5, 14, noon - 86_400, noon), Hole(20, 20, noon, noon - 3600)]
    assert lost_by_day(holes, ZoneInfo("UTC"), (NOW, NOW)) == {
        date(2026, 11, 19): 5,
        date(2026, 11, 20): 6,
    }


# --- days -------------------------------------------------------------------------------------


@pytest.fixture
def scene(db: None) -> Scene:
    """Hill's channel reports once a minute and was asked just now."""
    scene = Scene.make()
    PollState.objects.create(
        source=scene.hill.channel, connection=scene.hill.connection, next_poll_at=NOW + HOUR,
        cadence_s=60.0,
        last_success_at=NOW,
    )  # fmt: skip
    return scene


def days(scene: Scene, count: int = 3) -> list[Day]:
    sources = [scene.hill.channel.pk]
    return days_of(sources, KOLKATA, TODAY - DAY * (count - 1), TODAY, NOW)


def count(scene: Scene, back: int, entries: int, lost: int = 0) -> None:
    day = TODAY - DAY * back
    add_to_days({(scene.hill.channel.pk, day): Tally(entries, lost)})


def gap(scene: Scene, since: datetime, until: datetime, **changes: Any) -> Gap:
    return Gap.objects.create(
        source=scene.hill.channel, since=since, until=until, range_until=until, found_at=NOW,
        next_try_at=NOW, **changes,
    )  # fmt: skip


def test_counting_adds_up(scene: Scene) -> None:
    count(scene, 1, 1000)
    count(scene, 1, 440, lost=3)
    row = SourceDay.objects.get()
    assert (row.entries, row.lost) == (1440, 3)


def test_days_are_complete_lost_or_empty_and_say_so(scene: Scene) -> None:
    count(scene, 1, 1440)
    count(scene, 0, 999, lost=1)
    empty, full, lacking = days(scene)
    assert (empty.state, empty.percent) == (DayState.NOTHING, None)
    assert (full.state, full.percent, full.text) == (
        DayState.COMPLETE, 100, "Complete: 1,440 entries.",
    )  # fmt: skip
    assert (lacking.state, lacking.percent) == (DayState.LOST, 99)  # never rounded up
    assert "1 lost at the source" in lacking.text


def test_an_open_gap_is_waited_for(scene: Scene) -> None:
    count(scene, 1, 720)
    noon = datetime(2026, 11, 19, 12, tzinfo=KOLKATA)
    gap(scene, noon, noon + 12 * HOUR, expected=720, state=GapState.FILLING)
    day = days(scene)[1]
    assert (day.state, day.waiting, day.percent) == (DayState.FILLING, 720, 50)
    assert "About 720 entries being read now" in day.text


def test_a_gap_without_numbers_is_judged_by_the_cadence(scene: Scene) -> None:
    count(scene, 1, 720)
    noon = datetime(2026, 11, 19, 12, tzinfo=KOLKATA)
    gap(scene, noon, noon + 12 * HOUR)
    assert (days(scene)[1].waiting, days(scene)[1].state) == (720, DayState.OPEN)


def test_what_nobody_knows_the_place_of_burdens_no_day(scene: Scene) -> None:
    count(scene, 1, 1440)
    gap(scene, NOW - 9 * DAY, NOW, reason=GapReason.NUMBERS, expected=50)
    gap(scene, NOW - 9 * DAY, NOW, reason=GapReason.REQUESTED, expected=50)
    assert days(scene)[1].state == DayState.COMPLETE


def test_a_history_that_is_not_read_yet_is_not_called_complete(scene: Scene) -> None:
    count(scene, 0, 500)
    gap(scene, datetime(1970, 1, 1, tzinfo=UTC), NOW - 3 * HOUR, expected=90_000)
    assert [one.state for one in days(scene)] == [DayState.OPEN] * 3
    assert days(scene)[2].percent == 99


def test_numbers_that_prove_nothing_leave_it_to_the_cadence(scene: Scene) -> None:
    EntryLedger.objects.create(source=scene.hill.channel, proves=False)
    count(scene, 1, 720)
    day = days(scene)[1]
    assert (day.state, day.percent) == (DayState.PARTIAL, 50)
    assert "50 % of what the device usually sends" in day.text


def test_a_source_that_stopped_answering_is_not_complete(scene: Scene) -> None:
    count(scene, 1, 1440)
    count(scene, 0, 500)
    PollState.objects.update(failures=3, last_success_at=NOW - 2 * HOUR)
    _, full, today = days(scene)
    assert full.state == DayState.COMPLETE
    assert (today.state, today.waiting) == (DayState.OPEN, 120)


def test_any_number_of_gaps_and_sources_costs_one_query(scene: Scene) -> None:
    for back in range(3):
        count(scene, back, 100)
        gap(scene, NOW - DAY * (back + 1), NOW - DAY * back, expected=10)
    with CaptureQueriesContext(connection) as queries:
        found = days(scene)
    assert len(queries) == 1
    assert [one.entries for one in found] == [100] * 3


# --- API --------------------------------------------------------------------------------------


def test_the_api_tells_each_day(scene: Scene) -> None:
    count(scene, 1, 1440)
    count(scene, 0, 90, lost=10)
    path = f"/api/v1/devices/{scene.hill.device.uuid}/completeness/"
    with time_machine.travel(NOW, tick=False):
        answer = browser(scene.viewer).get(path, {"start": "-1d"}).json()
    assert (answer["zone"], answer["percent"]) == ("Asia/Kolkata", 99)
    assert [one["day"] for one in answer["results"]] == ["2026-11-19", "2026-11-20"]
    assert answer["results"][1] | {"text": ""} == {
        "day": "2026-11-20", "state": "lost", "percent": 90, "entries": 90, "lost": 10,
        "waiting": 0, "text": "",
    }  # fmt: skip


@pytest.mark.parametrize("query", ["start=-400d", "start=now&end=-1d", "start=soon", "days=7"])
def test_the_api_refuses_what_makes_no_sense(scene: Scene, query: str) -> None:
    path = f"/api/v1/devices/{scene.hill.device.uuid}/completeness/?{query}"
    answer = browser(scene.viewer).get(path)
    assert answer.status_code == 400
    assert answer.json()["errors"]
