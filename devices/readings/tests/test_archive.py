"""What was archived before it was dropped is read as if it were still there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest
import time_machine
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as how
from hypothesis import strategies as st

from devices.models import Metric
from devices.readings.charts import series
from devices.readings.keeping import Cut
from devices.readings.models import ArchivedFile, KeptFrom
from devices.readings.samples import AggregateRequest, HistoryRequest, Sample, Tier
from devices.readings.store import NotKept, ReadingStore, get_store
from devices.readings.tests.archived import (
    APRIL,
    CUT,
    FEBRUARY,
    JANUARY,
    MARCH,
    NOW,
    answers,
    drop,
    fill,
    network,
)
from devices.readings.tests.network import device, metrics, undone

pytestmark = pytest.mark.django_db(transaction=True)

DAY = timedelta(days=1)
RANGES = [
    (JANUARY - 3 * DAY, NOW),
    (JANUARY + timedelta(days=19, minutes=197), FEBRUARY + timedelta(days=2, minutes=245)),
    (APRIL - timedelta(days=9, minutes=13), APRIL + timedelta(days=9, minutes=3)),
]


@pytest.fixture(autouse=True)
def archive(settings: Any, tmp_path: Path) -> Iterator[Path]:
    """An archive of the test's own; the clock stands after everything that is written here."""
    settings.ARCHIVE_DIR = tmp_path / "archive"
    with time_machine.travel(NOW, tick=False):
        yield settings.ARCHIVE_DIR


@pytest.mark.parametrize("hours", [None, FEBRUARY + 9 * DAY, CUT])
def test_every_answer_is_the_same_as_before(store: ReadingStore, hours: datetime | None) -> None:
    found = network()
    fill(store, found)
    before = [answers(store, one, *bounds) for one in found for bounds in RANGES]
    latest = store.latest([one.pk for one in found])
    held = store.held([one.pk for one in found], JANUARY, APRIL)

    dropped = drop(store, CUT, hours)

    assert (dropped.trouble, dropped.archived) == (None, held)
    assert store.held([one.pk for one in found], JANUARY, APRIL) == 0
    assert store.held([one.pk for one in found], APRIL, NOW) > 0
    after = [answers(store, one, *bounds) for one in found for bounds in RANGES]
    for old, new in zip(before, after, strict=True):
        for asked, answer in old.items():
            assert new[asked] == answer, asked
    assert store.latest([one.pk for one in found]) == latest
    assert list(ArchivedFile.objects.values_list("month", flat=True)) == [JANUARY, FEBRUARY, MARCH]

    assert drop(store, CUT, hours).archived == 0  # the second time there is nothing left to do


_values = {"float": st.sampled_from([0.5, -3.25, 7.0]), "integer": st.integers(-2, 2),
           "boolean": st.booleans(), "text": st.sampled_from(["", "open", "zu"])}  # fmt: skip


@given(
    said=st.lists(
        st.tuples(
            st.integers(0, 139 * 48), st.integers(0, 1),
            st.fixed_dictionaries({}, optional=_values),
        ),
        max_size=50,
    ),
    zone=st.sampled_from(["UTC", "Asia/Kathmandu", "Europe/Berlin"]),
    cuts=st.lists(st.integers(10, 139), min_size=1, max_size=2),
    gone=st.integers(0, 139),
    asked=st.tuples(st.integers(0, 100 * 24), st.integers(1, 60 * 24)),
)  # fmt: skip
@how(
    max_examples=8,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_whatever_was_said_and_whenever_it_went(
    store: ReadingStore, said: Any, zone: str, cuts: list[int], gone: int, asked: tuple[int, int]
) -> None:
    with undone():
        found = network(zone)
        by_type = {one.data_type: one.pk for one in found}
        for half_hours, sequence, values in said:  # one by one: repeats revise
            at = JANUARY + timedelta(minutes=30 * half_hours, milliseconds=sequence)
            told = {by_type[kind]: value for kind, value in values.items()}
            store.write([Sample(found[0].device_id, at, sequence, told)])
        store.roll_up(NOW)
        since = JANUARY + timedelta(hours=asked[0])
        until = since + timedelta(hours=asked[1])
        before = [answers(store, one, since, until) for one in found]

        for cut in sorted(cuts):
            hours = JANUARY + min(gone, cut) * DAY
            assert drop(store, JANUARY + cut * DAY, hours).trouble is None

        assert [answers(store, one, since, until) for one in found] == before


def test_a_chart_says_what_comes_from_the_archive(store: ReadingStore) -> None:
    found = network()
    fill(store, found)
    level = Metric.objects.select_related("device__community").get(pk=found[0].pk)
    since, until = APRIL - 3 * DAY, APRIL + 3 * DAY
    points = [series(level, since, until, many).points for many in (600, 20)]

    drop(store)

    for many, drawn in zip((600, 20), points, strict=True):
        chart = series(level, since, until, many)
        assert chart.points == drawn
        assert all(one.until == other.since for one, other in pairwise(chart.parts))
    single = series(level, since, until, 600)
    assert [(one.tier, one.width) for one in single.parts] == [
        (Tier.ARCHIVE, None), (Tier.RAW, None),
    ]  # fmt: skip
    assert single.parts[0].until == APRIL
    assert single.tier is Tier.ARCHIVE
    half_hours = AggregateRequest(level.pk, since, until, timedelta(minutes=30))
    assert store.aggregate(half_hours).tier is Tier.ARCHIVE


def test_any_tool_can_open_the_files(store: ReadingStore, archive: Path) -> None:
    found = network()
    Metric.objects.filter(pk=found[0].pk).update(name="water_level_cm")
    fill(store, found)
    drop(store)

    files = sorted(archive.rglob("*.parquet"))
    assert [file.parent.name for file in files] == ["2026"] * 3
    assert [file.name[:16] for file in files] == [
        f"readings-2026-0{month}"[:16] for month in (1, 2, 3)
    ]
    assert all(file.stat().st_mode & 0o077 == 0 for file in files)
    with duckdb.connect() as tool:
        tool.execute("SET TimeZone = 'UTC'")
        rows = tool.execute(
            "SELECT metric_id, device, device_name, metric, unit, CAST(time AS VARCHAR), sequence, "
            "origin, revised, number, text, flag FROM read_parquet(?)", [str(files[0])]
        ).fetchall()  # fmt: skip
        packed = tool.execute(
            "SELECT DISTINCT compression FROM parquet_metadata(?)", [str(files[0])]
        ).fetchall()
    assert packed == [("ZSTD",)]
    identities = [(row[0], row[5], row[6]) for row in rows]
    assert identities == sorted(identities)
    level = [row for row in rows if row[3] == "water_level_cm"]
    owner = found[0].device
    assert level[2][1:5] == (str(owner.uuid), owner.name, "water_level_cm", "cm")
    assert level[2][5:9] == ("2026-01-01 07:18:00.001+00", 1, "backfill", False)
    assert level[2][9:] == (1 / 7, None, None)
    assert [(row[8], row[9]) for row in level if row[6] == 4] == [(True, 99.25)]
    assert {row[10] for row in rows if row[10]} == {f"mode {n} “°”" for n in range(3)}
    assert {row[11] for row in rows if row[11] is not None} == {True, False}


def test_a_metric_that_is_gone_is_never_shown_to_whoever_gets_its_number(
    store: ReadingStore,
) -> None:
    level, *_ = found = network()
    fill(store, found)
    drop(store)
    number, owner = level.pk, level.device
    level.delete()
    (newer,) = metrics(owner, 1)
    assert newer.pk > number  # numbers are not given twice

    other = Metric.objects.create(pk=number, device=owner, name="restored", label="By hand")
    stranger = Metric.objects.create(pk=number + 10_000, device=device(), name="x", label="x")

    for one in (newer, other, stranger):
        assert store.history(HistoryRequest(one.pk, JANUARY, NOW)) == []
    owner.delete()
    assert not KeptFrom.objects.filter(device=owner.pk).exists()
    assert store.history(HistoryRequest(stranger.pk, JANUARY, NOW)) == []


def test_what_went_without_the_archive_leaves_a_hole_that_is_told(store: ReadingStore) -> None:
    level, *_ = found = network()
    fill(store, found)
    owner = level.device_id
    drop(store, FEBRUARY + 2 * DAY)  # January is archived
    store.drop({owner: Cut(MARCH + 2 * DAY)})  # February is not
    drop(store)  # March is again

    kept = store.survey(level.pk).kept
    assert (kept.readings_from, kept.archived_until) == (MARCH, APRIL)
    months = {one.at.month for one in store.history(HistoryRequest(level.pk, JANUARY, NOW))}
    assert months == {1, 3, 4, 5}
    exact = AggregateRequest(level.pk, MARCH, NOW, timedelta(minutes=30))
    assert store.aggregate(exact).tier is Tier.ARCHIVE
    with pytest.raises(NotKept, match="those before 2026-03-01 00:00 UTC are too old"):
        store.aggregate(AggregateRequest(level.pk, JANUARY, MARCH, timedelta(minutes=30)))


def test_who_keeps_longer_keeps_longer_and_who_wants_no_archive_has_none(
    store: ReadingStore,
) -> None:
    archived, plain, forever = (network() for _ in range(3))
    for found in (archived, plain, forever):
        fill(store, found)
    before = [answers(store, one, JANUARY, NOW) for one in (*archived, *forever)]

    for _ in range(2):
        store.drop(
            {
                archived[0].device_id: Cut(CUT, archive=True),
                plain[0].device_id: Cut(CUT),
            }
        )

    assert [answers(store, one, JANUARY, NOW) for one in (*archived, *forever)] == before
    assert store.held([one.pk for one in archived], JANUARY, APRIL) == 0
    left = get_store().history(HistoryRequest(plain[0].pk, JANUARY, NOW))
    assert min(one.at for one in left) >= APRIL
    with pytest.raises(NotKept):
        store.aggregate(AggregateRequest(plain[0].pk, JANUARY, NOW, timedelta(minutes=30)))
