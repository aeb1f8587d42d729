"""After a move nobody writes where the readings were: what was written there would be lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from devices.models import Device
from devices.readings.address import Address
from devices.readings.models import Watermark
from devices.readings.moving.move import writers_held
from devices.readings.outages import outage_of
from devices.readings.samples import HistoryRequest, Sample
from devices.readings.store import RowsMoved, store_at
from devices.readings.store.watermark import rows_are_in
from devices.readings.tests.network import FAR, LONG_AGO, START, device, metrics

pytestmark = pytest.mark.django_db


@pytest.fixture
def tank() -> Device:
    return device()


@pytest.fixture
def moved(
    sides: Any, elsewhere_url: str, tank: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Moved from the database to ClickHouse, in which somebody pressed Enter."""
    file = tmp_path / "address"
    file.write_text(f"{elsewhere_url}\n")
    monkeypatch.setattr("builtins.input", lambda: "")
    call_command("move_readings", to=f"@{file}", switch=True, stdout=StringIO())


def sample(tank: Device, value: float = 7.0) -> Sample:
    metric = tank.metrics.first() or metrics(tank, 1)[0]
    return Sample(tank.pk, START, 1, {metric.pk: value})


@pytest.mark.usefixtures("moved")
@pytest.mark.parametrize(
    "change",
    [
        lambda store, tank: store.write([sample(tank)]),
        lambda store, tank: store.correct([sample(tank)], []),
        lambda store, tank: store.roll_up(START + timedelta(days=2)),
    ],
)
def test_a_process_that_was_not_started_anew_is_refused(
    change: Callable[..., object], tank: Device
) -> None:
    with pytest.raises(
        RowsMoved, match=r"moved to ClickHouse.*would write to the database"
    ) as said:
        change(store_at(None), tank)
    outage = outage_of(said.value)
    assert outage is not None
    assert outage.code == "readings_away"


@pytest.mark.usefixtures("moved")
def test_the_new_place_takes_readings(elsewhere: Address, tank: Device) -> None:
    store_at(elsewhere).write([sample(tank)])
    (metric,) = tank.metrics.all()
    assert len(store_at(elsewhere).history(HistoryRequest(metric.pk, LONG_AGO, FAR))) == 1


@pytest.mark.usefixtures("moved")
def test_the_same_engine_may_get_another_address(settings: Any, tank: Device) -> None:
    settings.READINGS_ADDRESS = None
    output = StringIO()
    call_command("move_readings", here=True, stdout=output)
    assert "Readings are written to the database." in output.getvalue()
    store_at(None).write([sample(tank)])


def test_a_site_that_never_moved_is_asked_nothing(tank: Device) -> None:
    store_at(None).write([sample(tank)])
    store_at(None).roll_up(START + timedelta(days=2))
    assert Watermark.objects.get().rows_at == ""


@pytest.mark.usefixtures("shared_database")
def test_a_writer_who_waited_through_the_switch_is_refused(elsewhere: Address) -> None:
    tank = device()
    one = sample(tank)
    failed: list[BaseException] = []
    began = threading.Event()

    def write() -> None:
        began.set()
        try:
            store_at(None).write([one])
        except RowsMoved as error:
            failed.append(error)
        finally:
            connection.close()

    writer = threading.Thread(target=write)
    books = store_at(None).engine
    with writers_held(books):
        writer.start()
        began.wait()
        rows_are_in(store_at(elsewhere).engine)
    writer.join()
    assert len(failed) == 1
    (metric,) = tank.metrics.all()
    assert not store_at(None).history(HistoryRequest(metric.pk, LONG_AGO, FAR))
