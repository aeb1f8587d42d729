"""PostgreSQL's months: made ahead or on demand, safe beside each other, found by the planner."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.checks import Tags, run_checks
from django.db import connection, transaction

from devices.readings import checks
from devices.readings.retention import prune
from devices.readings.samples import AggregateRequest, HistoryRequest, Received, Sample
from devices.readings.store import ReadingStore, get_store, inserting, partitions
from devices.readings.store.partitions import Month, existing, month_of
from devices.readings.store.sql import SqlStore
from devices.readings.store.tables import RECEIVED, ROWS, TEXTS, Table
from devices.readings.tests.network import FAR, START, device, metrics
from devices.readings.tests.retained import DAYS, JANUARY, NOW, afterwards, daily

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    with afterwards():
        yield


def test_a_server_that_is_too_old_is_named_before_anything_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert run_checks(tags=[Tags.database], databases=["default"]) == []
    monkeypatch.setattr(checks, "OLDEST_POSTGRESQL", 99)
    (error,) = run_checks(tags=[Tags.database], databases=["default"])
    assert error.id == "readings.E002"
    assert "this needs 99 or newer" in error.msg


def forget_all_months() -> None:
    """As on a new site."""
    partitions._known.clear()
    with connection.cursor() as cursor:
        for table in (ROWS, TEXTS, RECEIVED):
            for month in existing(table.name):
                cursor.execute(f"DROP TABLE {table.name}_y{month.year:04}m{month.month:02}")


def test_the_coming_months_are_made_ahead(store: ReadingStore) -> None:
    forget_all_months()
    prune(NOW)
    for table in (ROWS, TEXTS, RECEIVED):
        assert existing(table.name) == [Month(2026, 5), Month(2026, 6), Month(2026, 7)]


def test_a_month_is_made_when_a_row_needs_it_and_stays_when_that_row_is_undone(
    store: ReadingStore,
) -> None:
    (level,) = metrics(device(), 1)
    old = Sample(level.device_id, datetime(1999, 12, 31, 23, 59, tzinfo=UTC), 1, {level.pk: 1.0})
    with transaction.atomic():
        store.write([old])
        transaction.set_rollback(True)
    assert store.history(HistoryRequest(level.pk, old.at, NOW)) == []
    store.write([old])
    assert Month(1999, 12) in existing(ROWS.name)
    assert [one.at for one in store.history(HistoryRequest(level.pk, old.at, NOW))] == [old.at]


def test_a_month_that_another_process_dropped_is_made_again(store: ReadingStore) -> None:
    (level,) = metrics(device(), 1)
    (sample,) = daily(level.pk, level.device_id)[40:41]
    store.write([sample])
    partitions.drop(ROWS.name, FAR)
    assert store.write([sample]).new == [sample]


def test_one_transaction_may_need_many_new_months(store: ReadingStore) -> None:
    """What it remembers of the table must not keep it from seeing the months made for it."""
    forget_all_months()
    (mode,) = metrics(device(), 1, "text")
    said = [
        Sample(
            mode.device_id, datetime(2020 + n // 12, 1 + n % 12, 2, tzinfo=UTC), 1, {mode.pk: "x"}
        )
        for n in range(40)
    ]
    with transaction.atomic():
        for sample in said:
            store.write([sample])
    told = store.history(HistoryRequest(mode.pk, said[0].at, NOW))
    assert [one.at for one in told] == [one.at for one in said]


def test_writers_of_one_new_month_do_not_get_in_each_others_way(store: ReadingStore) -> None:
    forget_all_months()
    level = [metrics(device(), 1)[0] for _ in range(4)]
    failures: list[BaseException] = []

    def write(place: int) -> None:
        try:
            get_store().write(daily(level[place].pk, level[place].device_id))
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [len(store.history(HistoryRequest(one.pk, JANUARY, NOW))) for one in level] == [DAYS] * 4


def test_a_day_is_read_from_its_own_month_only(store: ReadingStore) -> None:
    (level,) = metrics(device(), 1)
    store.write(daily(level.pk, level.device_id))
    with connection.cursor() as cursor:
        cursor.execute(
            f"EXPLAIN SELECT * FROM {ROWS.name} WHERE stream_id = 1 "
            "AND at >= '2026-03-05Z' AND at < '2026-03-06Z'"
        )
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "readings_row_y2026m03" in plan
    assert "readings_row_y2026m04" not in plan


def test_months_follow_each_other_over_the_years() -> None:
    assert month_of(datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)).following == Month(2027, 1)
    assert Month(2027, 1).begins == datetime(2027, 1, 1, tzinfo=UTC)


def every_second(count: int) -> tuple[int, list[Sample]]:
    """A new metric, and samples of it."""
    tank = device()
    (level,) = (metric.pk for metric in metrics(tank, 1))
    return level, [
        Sample(tank.pk, START + timedelta(seconds=number), number, {level: float(number)})
        for number in range(count)
    ]


@pytest.fixture
def untaught(store: ReadingStore, monkeypatch: pytest.MonkeyPatch) -> ReadingStore:
    """A store that has met nothing yet."""
    assert isinstance(store, SqlStore)
    monkeypatch.setattr(store.engine, "_inserter", inserting.Inserter())
    return store


def test_a_copy_that_meets_what_is_stored_looks_and_the_next_ones_look_before(
    untaught: ReadingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    level, samples = every_second(3_000)
    copied: list[int] = []
    copy = inserting.copy_in

    def counted(table: Table, keys: Any, records: Any) -> None:
        copied.append(len(keys))
        copy(table, keys, records)

    monkeypatch.setattr(inserting, "copy_in", counted)
    untaught.write(samples[:600])
    copied.clear()

    result = untaught.write(samples[:1_000])
    assert (list(result.new), result.unchanged) == (samples[600:1_000], 600)
    assert untaught.write(samples[:1_000]).unchanged == 1_000
    assert copied == [1_000, 400]  # once in vain, and then not again

    edge = untaught.write(samples[999:2_000])  # as the pages of a hole meet
    assert (list(edge.new), edge.unchanged) == (samples[1_000:2_000], 1)
    untaught.write(samples[2_000:])
    assert copied == [1_000, 400, 1_000, 1_000]
    assert untaught.held([level], START, START + timedelta(hours=1)) == 3_000


def test_whoever_meets_nothing_for_a_while_looks_no_more(
    untaught: ReadingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    level, samples = every_second(6_000)
    untaught.write(samples[:1_000])
    untaught.write(samples[999:2_000])
    looks: list[int] = []
    look = inserting._near

    def counted(table: Table, keys: Any, span: Any) -> Any:
        looks.append(len(keys))
        return look(table, keys, span)

    monkeypatch.setattr(inserting, "_near", counted)
    for start in range(2_000, 6_000, 600):
        untaught.write(samples[start : start + 600])
    assert len(looks) == inserting.LOOKS
    assert untaught.held([level], START, START + timedelta(hours=2)) == 6_000


def test_a_month_made_in_the_middle_of_a_transaction_is_found_by_it(store: ReadingStore) -> None:
    """The transaction holds the table already, so nothing tells it of what was attached since."""
    owner = device()
    (metric,) = metrics(owner, 1)
    with transaction.atomic():
        for number in range(150):
            at = datetime(1971 + number // 12, number % 12 + 1, 5, tzinfo=UTC)
            store.write([Sample(owner.pk, at, 1, {metric.pk: 1.0})])
    assert store.held([metric.pk], datetime(1970, 1, 1, tzinfo=UTC), START) == 150


def test_a_month_made_for_a_connection_that_has_written_before_is_found(
    store: ReadingStore,
) -> None:
    owner = device()
    (metric,) = metrics(owner, 1)
    for number in range(40):
        at = datetime(1985 + number // 12, number % 12 + 1, 5, tzinfo=UTC)
        store.write([Sample(owner.pk, at, 1, {metric.pk: 1.0})])
    assert store.held([metric.pk], datetime(1970, 1, 1, tzinfo=UTC), START) == 40


def test_nothing_is_compiled_to_ask_years_of_months(store: ReadingStore) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW jit")
        assert cursor.fetchone() == ("off",)


def months_touched_by(work: Callable[[], object]) -> set[Month]:
    """The months of which the planner or the executor locked anything; the work is undone."""
    with transaction.atomic():
        work()
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT c.relname FROM pg_locks l JOIN pg_class c ON c.oid = l.relation "
                "WHERE l.pid = pg_backend_pid()"
            )
            names = [name for (name,) in cursor.fetchall()]
        transaction.set_rollback(True)
    found = (re.search(r"_y(\d{4})m(\d{2})", name) for name in names)
    return {Month(int(one[1]), int(one[2])) for one in found if one}


def test_what_is_done_with_a_month_touches_none_before_it(store: ReadingStore) -> None:
    """A site with years of readings is as fast as a new one."""
    tank = device()
    level, mode = metrics(tank, 1)[0].pk, metrics(tank, 1, "text")[0].pk
    at = datetime(2026, 5, 11, 10, tzinfo=UTC)
    now = [
        Sample(tank.pk, at + timedelta(minutes=n), 1, {level: 1.0, mode: "on"}) for n in range(3)
    ]
    entries = [Received(9, tank.pk, at, 1, {"field1": "1"})]
    store.write([*daily(level, tank.pk), *daily(mode, tank.pk, "off")])
    store.roll_up(NOW)
    store.write(now, entries)
    corrected = now[0]._replace(values={level: 2.0, mode: "off"})
    work: dict[str, Callable[[], object]] = {
        "written again": lambda: store.write(now, entries),
        "completed": lambda: store.write(
            [corrected], [entries[0]._replace(fields={"field2": "2"})]
        ),
        "taken out": lambda: store.correct([], now[:1]),
        "newest": lambda: store.latest([level, mode]),
        "found by their times": lambda: store.stored([level, mode], [(one.at, 1) for one in now]),
        "rolled up": lambda: store.roll_up(NOW + timedelta(minutes=1)),
        "summed": lambda: store.aggregate(
            AggregateRequest(level, at, at + timedelta(hours=1), timedelta(minutes=5))
        ),
    }
    touched = {name: months_touched_by(one) for name, one in work.items()}
    assert {name: min(months) for name, months in touched.items()} == dict.fromkeys(
        work, Month(2026, 5)
    )


def test_a_question_may_reach_to_the_end_of_time(store: ReadingStore) -> None:
    (level,) = metrics(device(), 1)
    store.write(daily(level.pk, level.device_id))
    begin, end = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, tzinfo=UTC)
    (whole,) = store.aggregate(AggregateRequest(level.pk, begin, end, None)).buckets
    assert whole.count == DAYS
