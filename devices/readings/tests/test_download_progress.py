"""How far a download is: told while it lasts, to whoever asked for it; and it takes no more memory
for more rows.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.test import Client

from devices.models import Device, Membership
from devices.readings import progress
from devices.readings.export import FORMATS, Column, Kind, Table, telling
from devices.readings.samples import Sample
from devices.readings.store import ReadingStore
from devices.readings.tests.network import START, device, metrics, minutes

LOCAL = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}


@pytest.fixture
def tank(store: ReadingStore, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Device:
    """Five entries, each of which is told of."""
    settings.CACHES = LOCAL
    monkeypatch.setattr(progress, "EVERY_S", -1.0)
    monkeypatch.setattr(telling, "ROWS_BETWEEN", 1)
    tank = device()
    (level,) = metrics(tank, 1)
    store.write([Sample(tank.pk, minutes(START, n), n, {level.pk: n / 4}) for n in range(5)])
    return tank


def signed_in(name: str, tank: Device) -> Client:
    user = User.objects.create_user(name)
    Membership.objects.create(community=tank.community, user=user)
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def export(client: Client, tank: Device, query: str) -> Any:
    return client.get(f"/api/v1/devices/{tank.uuid}/export/?start=2001-01-01&{query}")


def told(client: Client, name: object) -> Any:
    return client.get(f"/api/v1/downloads/{name}/")


@pytest.mark.django_db
def test_a_download_tells_how_far_it_is(tank: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    member, name = signed_in("member", tank), uuid4()
    seen = []
    note = progress.Notes._note

    def watch(notes: progress.Notes, one: progress.DownloadProgress) -> None:
        note(notes, one)
        seen.append(told(member, name).json())

    monkeypatch.setattr(progress.Notes, "_note", watch)
    assert b"".join(export(member, tank, f"as=csv&progress={name}").streaming_content)
    assert [(one["state"], one["rows"], one["percent"]) for one in seen] == [
        ("reading", 0, 0),
        ("reading", 1, 0),
        ("reading", 2, 25),
        ("reading", 3, 50),
        ("reading", 4, 75),
        ("reading", 5, 99),
        ("writing", 5, 100),
        ("done", 5, 100),
    ]
    assert seen[-1]["up_to"].startswith("2026-")


@pytest.mark.django_db
def test_a_workbook_is_read_before_its_first_byte_and_done_with_its_last(tank: Device) -> None:
    member, name = signed_in("member", tank), uuid4()
    answer = export(member, tank, f"as=xlsx&progress={name}")
    assert told(member, name).json()["state"] == "writing"
    assert b"".join(answer.streaming_content)
    assert told(member, name).json()["state"] == "done"


@pytest.mark.django_db
def test_what_nobody_takes_to_its_end_was_stopped(tank: Device) -> None:
    member, name = signed_in("member", tank), uuid4()
    notes = progress.Notes(User.objects.get(username="member"), name, START)
    portions = notes.portions(FORMATS["csv"].write(notes.table(_table(5_000))))
    assert next(portions)
    assert told(member, name).json()["state"] == "reading"
    del portions  # as a response that is given up
    assert told(member, name).json()["state"] == "stopped"


@pytest.mark.django_db
def test_a_download_is_told_of_to_whoever_asked_for_it_alone(tank: Device) -> None:
    member, mate, name = signed_in("member", tank), signed_in("mate", tank), uuid4()
    export(member, tank, f"as=csv&progress={name}")
    assert told(member, name).status_code == 200
    assert told(mate, name).status_code == 404
    assert told(Client(), name).status_code in (401, 403)
    assert told(member, uuid4()).status_code == 404
    assert export(member, tank, "progress=mine").status_code == 400


@pytest.mark.django_db
def test_a_download_goes_on_where_nothing_can_be_noted(tank: Device, settings: Any) -> None:
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://127.0.0.1:1",
        }
    }
    member, name = signed_in("member", tank), uuid4()
    assert b"".join(export(member, tank, f"as=csv&progress={name}").streaming_content)
    member.raise_request_exception = False
    answer = told(member, name)
    assert answer.status_code == 503
    assert "goes on" in answer.content.decode()


@pytest.mark.parametrize("form", FORMATS)
def test_more_rows_take_no_more_memory(form: str) -> None:
    few, many = (_peak(form, rows) for rows in (5_000, 50_000))
    assert many < few + 1_000_000


def _peak(form: str, rows: int) -> int:
    """Bytes that Python held at most while a table of so many rows became a file."""
    tracemalloc.start()
    try:
        assert sum(map(len, FORMATS[form].write(_table(rows)))) > rows
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _table(rows: int) -> Table:
    zone = ZoneInfo("Asia/Kolkata")
    columns = [
        Column("time", "Time", "", Kind.TIME),
        Column("level_cm", "Level (cm)", "cm", Kind.NUMBER),
        Column("state", "State", "", Kind.TEXT),
    ]

    def made() -> Iterator[tuple[Any, ...]]:
        for number in range(rows):
            at = START + timedelta(minutes=number)
            yield at.astimezone(zone), number / 7, f"state {number}"

    return Table(columns, made(), zone, {"device": "Tank"})
