"""States as files: which value of a text or on/off metric held from when to when."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import call_command

from devices.models import DataType, Device, Metric
from devices.readings.export import FORMATS, ExportRequest, table_of
from devices.readings.export.table import STATES
from devices.readings.imports.opening import opened
from devices.readings.imports.text import UnreadableFile
from devices.readings.keeping import Cut
from devices.readings.samples import Sample, Value
from devices.readings.store import ReadingStore
from devices.readings.tests.archived import CUT, JANUARY, NOW
from devices.readings.tests.network import device, metrics

pytestmark = pytest.mark.django_db(transaction=True)

HOUR = timedelta(hours=1)
HEAD = ["Time (Asia/Kolkata)", "Until", "Metric", "Name", "State", "Seconds"]


@pytest.fixture(autouse=True)
def afterwards() -> Iterator[None]:
    """The clock stands after everything that is written here."""
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def well(store: ReadingStore) -> Device:
    """A level, a pump and a mode, each hour for five days; silence for seven hours."""
    owner = device("Asia/Kolkata")
    (level,) = metrics(owner, 1)
    pump, mode = (metrics(owner, 1, kind)[0] for kind in (DataType.BOOLEAN, DataType.TEXT))
    for one, name, label in (
        (level, "cm", "Level"),
        (pump, "pump", "Pump"),
        (mode, "mode", "Mode"),
    ):
        Metric.objects.filter(pk=one.pk).update(name=name, label=label, unit="")
    Metric.objects.filter(device=owner).update(expected_every_s=3600)
    samples = []
    for n in range(120):
        if 60 <= n < 67:
            continue
        said: dict[int, Value] = {level.pk: n / 4, pump.pk: n % 24 < 6}
        if n % 2 == 0:
            said[mode.pk] = "=auto" if n < 80 else "hand"
        samples.append(Sample(owner.pk, JANUARY + n * HOUR, n, said))
    samples.append(Sample(owner.pk, CUT, 999, {level.pk: 1.0}))
    store.write(samples)
    store.roll_up(NOW)
    return owner


def exported(owner: Device, form: str = "csv") -> bytes:
    owner = Device.objects.get(pk=owner.pk)
    wanted = ExportRequest(owner, list(owner.metrics.order_by("pk")), JANUARY, NOW, STATES)
    return b"".join(FORMATS[form].write(table_of(wanted)))


def test_each_row_is_a_state_and_how_long_it_held(well: Device) -> None:
    head, *rows = csv.reader(io.StringIO(exported(well).decode()))
    assert head == HEAD
    pump = ["2026-01-01T05:30:00+05:30", "2026-01-01T11:30:00+05:30"]
    assert rows[0] == [*pump, "Pump", "pump", "on", "21600.0"]
    assert [row[4] for row in rows if row[3] == "mode"] == ["'=auto", "'=auto", "hand"]
    (hand,) = (row[:2] for row in rows if row[4] == "hand")
    assert hand == ["2026-01-04T13:30:00+05:30", "2026-01-06T03:30:00+05:30"]
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    on = sum(float(row[5]) for row in rows if row[4] == "on")
    off = sum(float(row[5]) for row in rows if row[4] == "off")
    assert (on, on + off) == (5 * 6 * 3600, (119 - 8) * 3600)  # nothing across the silence


def test_the_file_is_the_same_when_the_readings_are_gone(well: Device, store: ReadingStore) -> None:
    before = exported(well)
    store.drop({well.pk: Cut(CUT)})
    assert exported(well) == before
    Metric.objects.update(expected_every_s=60)  # finer than what is known of that time
    rows = csv.DictReader(io.StringIO(exported(well).decode()))
    assert sum(float(row["Seconds"]) for row in rows if row["State"] == "on") == 5 * 5 * 3600


def test_where_nobody_knows_the_pace_no_length_is_told(well: Device) -> None:
    Metric.objects.filter(name="mode").update(expected_every_s=None)
    lines = [json.loads(line) for line in exported(well, "jsonl").splitlines()]
    modes = [line for line in lines[1:] if line["name"] == "mode"]
    assert len(modes) == 60 - 4
    assert modes[0] == {
        "time": "2026-01-01T05:30:00+05:30", "metric": "Mode", "name": "mode", "state": "=auto",
    }  # fmt: skip
    assert {"until", "seconds"} <= lines[1].keys()  # of the pump it is known


@pytest.mark.parametrize("form", FORMATS)
def test_states_are_no_readings_to_import(well: Device, form: str) -> None:
    file = io.BytesIO(exported(well, form))
    with pytest.raises(UnreadableFile, match="holds states, which the site"), opened(file):
        pass


def test_the_command_writes_states(well: Device, tmp_path: Path, capsys: Any) -> None:
    asked = ["--since", "2026-01-01", "--tier", "states", "--into", str(tmp_path)]
    call_command("export_readings", "--device", str(well.uuid), *asked)
    (file,) = tmp_path.iterdir()
    assert file.read_bytes() == exported(well)
