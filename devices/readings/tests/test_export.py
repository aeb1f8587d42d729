"""Readings as files: complete, in any format and tier, with units, for those who may see them."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import zipfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import duckdb
import pytest
import time_machine
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import AsyncClient, Client

from devices.models import DataType, Device, Membership, Metric
from devices.readings import paging
from devices.readings.export import table
from devices.readings.export import telling as export_telling
from devices.readings.export.table import ExportRequest
from devices.readings.keeping import Cut
from devices.readings.management.commands import export_readings
from devices.readings.samples import Sample, Tier
from devices.readings.store import ReadingStore
from devices.readings.tests.network import START, device, metrics, minutes

pytestmark = pytest.mark.django_db

HOURS = 30
NOW = START + timedelta(hours=HOURS)


@pytest.fixture
def tank(store: ReadingStore) -> Device:
    """Every ten minutes a level, at every third time a state; once two entries of one instant."""
    tank = device("Asia/Kolkata")
    (level,), (state,) = metrics(tank, 1), metrics(tank, 1, DataType.TEXT)
    Metric.objects.filter(pk=level.pk).update(name="level_cm", label="Level", unit="cm")
    Metric.objects.filter(pk=state.pk).update(name="state", label="State", unit="")
    samples = [
        Sample(tank.pk, minutes(START, 10 * n), n + 1, {level.pk: n / 4}) for n in range(HOURS * 6)
    ]
    samples += [
        Sample(tank.pk, minutes(START, 30 * n), 3 * n + 1, {state.pk: f'=cmd "{n}"\nsecond line'})
        for n in range(HOURS * 2)
    ]
    samples.append(Sample(tank.pk, START, 777, {level.pk: -1.5}))
    store.write(samples)
    return tank


@pytest.fixture
def member(client: Client, tank: Device) -> Client:
    user = User.objects.create_user("member")
    Membership.objects.create(community=tank.community, user=user)
    client.force_login(user)
    return client


def fetch(client: Client, tank: Device, query: str) -> Any:
    with time_machine.travel(NOW, tick=False):
        return client.get(f"/api/v1/devices/{tank.uuid}/export/?start=-40h&{query}")


def content(answer: Any) -> bytes:
    assert answer.status_code == 200, answer.content
    return b"".join(answer.streaming_content)


def test_csv_holds_every_reading_once_oldest_first(
    member: Client, tank: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "PAGE", 7)  # many pages, and one that ends with the readings

    answer = fetch(member, tank, "as=csv")
    head, *rows = csv.reader(io.StringIO(content(answer).decode()))

    assert head == ["Time (Asia/Kolkata)", "Entry number", "Level (cm)", "State"]
    assert len(rows) == HOURS * 6 + 1
    assert rows[0] == ["2026-11-20T15:30:00+05:30", "1", "0.0", '\'=cmd "0"\nsecond line']
    assert rows[1] == ["2026-11-20T15:30:00+05:30", "777", "-1.5", ""]
    assert [row[1] for row in rows[2:]] == [str(n) for n in range(2, HOURS * 6 + 1)]
    assert answer["Content-Disposition"].endswith('-20261120-raw.csv"')


def test_json_lines_say_first_what_they_are(member: Client, tank: Device) -> None:
    lines = [json.loads(line) for line in content(fetch(member, tank, "as=jsonl")).splitlines()]

    assert lines[0]["device"] == tank.name
    assert lines[0]["columns"][2] == {
        "name": "level_cm", "title": "Level (cm)", "unit": "cm", "kind": "number",
    }  # fmt: skip
    assert lines[2] == {"time": "2026-11-20T15:30:00+05:30", "entry": 777, "level_cm": -1.5}
    assert len(lines) == HOURS * 6 + 2


def test_days_are_those_of_the_community(
    member: Client, tank: Device, store: ReadingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(table._SPANS, Tier.DAY, timedelta(days=1))
    answer = fetch(member, tank, "as=csv&tier=day")
    head, *days = csv.reader(io.StringIO(content(answer).decode()))

    assert head[1:] == [
        "Level average (cm)", "Level minimum (cm)", "Level maximum (cm)", "Level count",
    ]  # fmt: skip
    # 15:30 to midnight, then the rest: no day is cut in two, no reading counts twice.
    assert [(day[0], day[4]) for day in days] == [
        ("2026-11-20T00:00:00+05:30", str(51 + 1)),
        ("2026-11-21T00:00:00+05:30", str(HOURS * 6 - 51)),
    ]
    assert (days[0][2], days[0][3]) == ("-1.5", str(50 / 4))


def test_old_days_are_exported_whole_and_dropped_hours_are_absent(store: ReadingStore) -> None:
    tank = device("Asia/Kolkata")
    (level,) = metrics(tank, 1)
    days = 150
    store.write(
        [Sample(tank.pk, START + timedelta(days=n), n, {level.pk: float(n)}) for n in range(days)]
    )
    end = START + timedelta(days=days)
    store.roll_up(end)
    store.drop({tank.pk: Cut(end - timedelta(days=40), end - timedelta(days=100))})

    def exported(tier: Tier, since: datetime, until: datetime) -> list[Any]:
        return list(table.table_of(ExportRequest(tank, [level], since, until, tier)).rows)

    cut = START + timedelta(days=9, minutes=1), START + timedelta(days=12, minutes=-1)
    assert [row[1] for row in exported(Tier.DAY, *cut)] == [9.0, 10.0, 11.0, 12.0]
    assert [row[4] for row in exported(Tier.MONTH, *cut)] == [11, 31]  # 20 November on
    assert sum(row[4] for row in exported(Tier.DAY, START, end)) == days
    hours = exported(Tier.HOUR, START, end)
    assert [row[1] for row in hours] == [float(n) for n in range(50, days)]


def test_a_workbook_opens_with_its_readings(
    member: Client, tank: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devices.readings.export.workbook.SHEET_ROWS", 101)
    book = zipfile.ZipFile(io.BytesIO(content(fetch(member, tank, "as=xlsx"))))

    names = book.read("xl/workbook.xml").decode()
    assert 'name="About"' in names
    assert 'name="Readings 2"' in names
    sheets = [book.read(f"xl/worksheets/sheet{n}.xml").decode() for n in (2, 3)]
    assert sum(sheet.count("<row ") - 1 for sheet in sheets) == HOURS * 6 + 1
    assert "<f>" not in "".join(sheets)  # no text became a formula


def test_parquet_keeps_types_units_and_facts(member: Client, tank: Device, tmp_path: Path) -> None:
    file = tmp_path / "readings.parquet"
    file.write_bytes(content(fetch(member, tank, "as=parquet")))

    with duckdb.connect() as connection:
        rows = connection.execute(f"SELECT * FROM '{file}' ORDER BY time, entry").fetchall()
        facts = dict(
            connection.execute(
                f"SELECT decode(key), decode(value) FROM parquet_kv_metadata('{file}')"
            ).fetchall()
        )
    assert len(rows) == HOURS * 6 + 1
    assert rows[1][0] == START
    assert rows[1][1:] == (777, -1.5, None)
    assert rows[0][3] == '=cmd "0"\nsecond line'
    assert (facts["unit:level_cm"], facts["device_uuid"]) == ("cm", str(tank.uuid))


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("as=pdf", "csv, xlsx"),
        ("tier=week", "hour"),
        ("metrics=level_cm,depth", "depth"),
        ("start=yesterday", "not a time"),
        ("shape=round", "no such parameter"),
    ],
)
def test_what_is_not_understood_is_told(
    member: Client, tank: Device, query: str, says: str
) -> None:
    answer = member.get(f"/api/v1/devices/{tank.uuid}/export/?{query}")
    assert answer.status_code == 400
    assert says in answer.content.decode()


def test_some_metrics_only(member: Client, tank: Device) -> None:
    text = content(fetch(member, tank, "metrics=state")).decode()
    assert text.partition("\r\n")[0] == "Time (Asia/Kolkata),Entry number,State"


def test_strangers_get_nothing(client: Client, tank: Device) -> None:
    assert fetch(client, tank, "as=csv").status_code in (401, 403)
    client.force_login(User.objects.create_user("stranger"))
    assert fetch(client, tank, "as=csv").status_code == 404


@pytest.mark.django_db(transaction=True)
def test_an_asynchronous_server_is_fed_portion_by_portion(tank: Device, tmp_path: Path) -> None:
    user = User.objects.create_user("member")
    Membership.objects.create(community=tank.community, user=user)
    client = AsyncClient()
    client.force_login(user)

    async def read() -> bytes:
        answer = await client.get(
            f"/api/v1/devices/{tank.uuid}/export/?start=2026-11-20T10:00:00Z&end={ends}&as=jsonl"
        )
        told = b"".join([portion async for portion in cast("Any", answer).streaming_content])
        await sync_to_async(connections.close_all)()  # a real server does so when the answer is out
        return told

    ends = f"{NOW:%Y-%m-%dT%H:%M:%SZ}"
    assert len(asyncio.run(read()).splitlines()) == HOURS * 6 + 2


def test_the_command_writes_a_file_for_each_device(tank: Device, tmp_path: Path) -> None:
    with time_machine.travel(NOW, tick=False):
        call_command(
            "export_readings", f"--community={tank.community.slug}", "--tier=hour",
            f"--into={tmp_path}", verbosity=0,
        )  # fmt: skip
    (file,) = tmp_path.iterdir()
    assert len(file.read_text().splitlines()) == HOURS + 1
    with pytest.raises(CommandError, match="no community"):
        call_command("export_readings", "--community=nowhere", f"--into={tmp_path}")
    with pytest.raises(CommandError, match="cannot be written"):
        call_command("export_readings", f"--device={tank.uuid}", f"--into={tmp_path / 'missing'}")


def test_the_command_tells_how_far_it_has_come(
    tank: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_readings, "TELL_EVERY_S", -1.0)
    monkeypatch.setattr(export_telling, "ROWS_BETWEEN", 60)
    out = io.StringIO()
    with time_machine.travel(NOW, tick=False):
        call_command("export_readings", f"--device={tank.uuid}", f"--into={tmp_path}", stdout=out)
    *told, done = out.getvalue().splitlines()
    # 15:30 in the community's zone and ten minutes between two entries; one instant has two.
    assert [line.partition(": ")[2] for line in told] == [
        "60 rows, up to 2026-11-21 01:10",
        "120 rows, up to 2026-11-21 11:10",
        "180 rows, up to 2026-11-21 21:10",
    ]
    assert done.endswith(": 8.0 KB")


def test_the_command_takes_a_name_and_says_how_small_a_file_is(
    tank: Device, tmp_path: Path
) -> None:
    out = io.StringIO()
    with time_machine.travel(NOW - timedelta(days=400), tick=False):
        words = [f"--device={tank.name}", f"--into={tmp_path}"]
        call_command("export_readings", *words, stdout=out)
    (file,) = tmp_path.iterdir()
    assert out.getvalue() == f"{file}: {file.stat().st_size} bytes\n"
    with pytest.raises(CommandError, match="no such device"):
        call_command("export_readings", "--device=Nobody's", f"--into={tmp_path}")
    device()  # of the same name
    with pytest.raises(CommandError, match=r"Several devices fit: .* Give the UUID"):
        call_command("export_readings", *words)


def test_an_empty_range_is_an_empty_table(member: Client, tank: Device) -> None:
    for form in ("csv", "xlsx", "jsonl", "parquet"):
        query = f"as={form}&start=2001-01-01&end=2001-01-02"
        answer = member.get(f"/api/v1/devices/{tank.uuid}/export/?{query}")
        assert content(answer)


def test_everything_there_is_can_be_asked_for_by_month(member: Client, tank: Device) -> None:
    """As the page's «Everything» does: the store refuses ranges of so many days at once."""
    with time_machine.travel(NOW, tick=False):
        answer = member.get(f"/api/v1/devices/{tank.uuid}/export/?start=1970-01-01&tier=month")
    assert len(content(answer).splitlines()) == 2
