"""The big tables on their way from one engine to another: whole, resumable, and proved equal."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from devices.models import DataType, Device
from devices.readings.address import Address
from devices.readings.moving import Move, MoveFailed, Progress
from devices.readings.moving.clickhouse import Clickhouse
from devices.readings.moving.move import Pass
from devices.readings.moving.pages import TABLES, Carrier, Page
from devices.readings.samples import (
    AggregateRequest,
    HistoryRequest,
    Received,
    ReceivedRequest,
    Sample,
    Tier,
    Value,
)
from devices.readings.store import ReadingStore, store_at
from devices.readings.tests.network import FAR, LONG_AGO, START, device, metrics, source

pytestmark = pytest.mark.django_db
Sides = tuple[Carrier, Carrier]


@pytest.fixture
def tank(sides: Sides) -> Device:
    """Three months of every kind of reading, rolled up."""
    channel = source()
    tank = channel.device
    level, flow = (metric.pk for metric in metrics(tank, 2))
    (state,), (pump,) = metrics(tank, 1, DataType.TEXT), metrics(tank, 1, DataType.BOOLEAN)
    chance = random.Random(5)
    samples, received = [], []
    for n in range(300):
        at = START + timedelta(hours=7 * n, milliseconds=n)
        values: dict[int, Value] = {
            level: chance.random(),
            state.pk: f"Füllstand {n}",
            pump.pk: n % 2 == 0,
        }
        if n % 3:
            values[flow] = -chance.random() * 1e9
        samples.append(Sample(tank.pk, at, n, values))
        received.append(Received(channel.pk, tank.pk, at, n, {"z": "1", "a": None, "ü": "\"'"}, at))
    store_at(None).write(samples, received)
    store_at(None).roll_up(FAR)
    return tank


def quiet(_: str) -> None:
    """Nobody listens."""


def moved(
    sides: Sides, tmp_path: Path, tell: Callable[[str], object] = quiet, way: str = "there"
) -> Pass:
    return Move(*sides, Progress(tmp_path / "progress.json", way), tell).run()


def everything(store: ReadingStore, tank: Device) -> list[object]:
    """What people may ask of a device."""
    answers: list[object] = []
    for metric in tank.metrics.order_by("pk"):
        answers.append(store.history(HistoryRequest(metric.pk, LONG_AGO, FAR, limit=10_000)))
        if metric.data_type != DataType.TEXT:
            until = START + timedelta(days=120)
            for width in (timedelta(hours=6), Tier.DAY, Tier.MONTH):
                request = AggregateRequest(metric.pk, START - timedelta(days=30), until, width)
                answers.append(store.aggregate(request))
    (channel,) = tank.sources.all()
    answers.append(store.received(ReceivedRequest(channel.pk, limit=10_000)))
    return answers


def test_all_of_it_goes_there_and_back(
    sides: Sides, tank: Device, elsewhere: Address, tmp_path: Path
) -> None:
    before = everything(store_at(None), tank)

    there = moved(sides, tmp_path)
    assert everything(store_at(elsewhere), tank) == before
    assert there.carried == there.rows > 1000

    for table in TABLES:  # as in a database that is set up anew
        store_at(None).engine.change(f"DELETE FROM {table.name}")
    back = moved((sides[1], sides[0]), tmp_path, way="back")
    assert everything(store_at(None), tank) == before
    assert back.carried == there.carried


def test_what_is_there_is_not_carried_again_and_what_changed_is(
    sides: Sides, tank: Device, elsewhere: Address, tmp_path: Path
) -> None:
    moved(sides, tmp_path)
    level = tank.metrics.order_by("pk")[0].pk
    store = store_at(None)
    (first, second, *_) = store.history(HistoryRequest(level, LONG_AGO, FAR))

    again = moved(sides, tmp_path)
    assert (again.carried, again.removed) == (0, 0)

    store.write([Sample(tank.pk, first.at, first.sequence, {level: 77.0})])
    store.correct([], [Sample(tank.pk, second.at, second.sequence, {level: second.value})])
    store.write([Sample(tank.pk, START + timedelta(days=200), 1, {level: 3.0})])
    store.roll_up(FAR + timedelta(hours=1))
    changed = moved(sides, tmp_path)

    assert 0 < changed.carried < 20
    assert changed.removed > 0, "an hour that has no reading any more is gone there too"
    assert everything(store_at(elsewhere), tank) == everything(store, tank)


def test_whoever_is_stopped_goes_on_where_he_was(
    sides: Sides, tank: Device, elsewhere: Address, tmp_path: Path
) -> None:
    lines: list[str] = []

    def tell(line: str) -> None:
        lines.append(line)
        if len(lines) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        moved(sides, tmp_path, tell)
    rest = moved(sides, tmp_path)

    assert 0 < rest.carried < moved(sides, tmp_path, way="anew").rows
    assert everything(store_at(elsewhere), tank) == everything(store_at(None), tank)


def test_a_target_that_gives_back_something_else_is_told(
    sides: Sides, tank: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def put(self: Clickhouse, table: object, page: Page, rows: object) -> None:
        """As a disk that loses what it was given."""

    monkeypatch.setattr(Clickhouse, "put", put)
    with pytest.raises(MoveFailed, match="is not what was written"):
        moved(sides, tmp_path)


def test_a_series_of_many_rows_goes_day_by_day(
    sides: Sides, tank: Device, elsewhere: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devices.readings.moving.pages.PAGE", 50)
    moved(sides, tmp_path)
    assert everything(store_at(elsewhere), tank) == everything(store_at(None), tank)


def test_the_command_says_what_to_do_next(
    sides: Sides,
    tank: Device,
    elsewhere_url: str,
    elsewhere: Address,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / "address"
    file.write_text(f"{elsewhere_url}\n")
    output = StringIO()

    call_command("move_readings", to=f"@{file}", stdout=output)
    assert "run the same with --switch" in output.getvalue()
    assert "2026-12: " in output.getvalue()

    monkeypatch.setattr("builtins.input", lambda: "")
    call_command("move_readings", to=f"@{file}", switch=True, stdout=output)
    assert "0 rows carried over" in output.getvalue()
    assert "Set READINGS_URL" in output.getvalue()
    assert everything(store_at(elsewhere), tank) == everything(store_at(None), tank)


@pytest.mark.parametrize(
    ("to", "words"),
    [
        ("database", "are there already"),
        ("mysql://u:hush@h/d", "--to cannot be used"),
        ("@/nowhere", "cannot be read"),
        ("clickhouse://u:hush@127.0.0.1:9/d", "cannot be reached.*correct --to"),
    ],
)
def test_a_way_that_cannot_be_gone_is_refused(sides: Sides, to: str, words: str) -> None:
    with pytest.raises(CommandError, match=words) as refused:
        call_command("move_readings", to=to, stdout=StringIO())
    assert "hush" not in str(refused.value)


def test_devices_of_others_stay_apart(sides: Sides, tank: Device, tmp_path: Path) -> None:
    other = device()
    (level,) = metrics(other, 1)
    moved(sides, tmp_path)
    store_at(None).write([Sample(other.pk, START, 1, {level.pk: 1.0})])

    late = moved(sides, tmp_path)

    assert (late.carried, late.removed) == (1, 0)


def test_a_switch_that_nobody_confirms_says_that_writing_goes_on(
    sides: Sides, elsewhere_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "address"
    file.write_text(f"{elsewhere_url}\n")
    monkeypatch.setattr("sys.stdin", StringIO())  # as of a script: it has no terminal
    with pytest.raises(CommandError, match=r"writing goes on.*run --switch again"):
        call_command("move_readings", to=f"@{file}", switch=True, stdout=StringIO())
