"""Imports over the API: by those who operate the device, checked or carried out, and told of."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from devices.models import Job
from devices.readings.imports import files, uploads
from devices.readings.imports.tests.scene import carry_out
from devices.readings.models import ReadingImport
from devices.readings.samples import HistoryRequest
from devices.readings.store import get_store
from devices.readings.tests.network import FAR, LONG_AGO
from devices.tests.scene import Scene, browser

pytestmark = pytest.mark.django_db
DATA = b"time,entry,water_level_cm\n2026-01-01T00:00Z,1,20\n2026-01-01T00:01Z,2,21\n"


@pytest.fixture
def scene() -> Scene:
    return Scene.make()


def send(client: Client, scene: Scene, data: bytes = DATA, **parts: Any) -> Any:
    file = SimpleUploadedFile("readings.csv", data)
    path = f"/api/v1/devices/{scene.hill.device.uuid}/import/"
    return client.post(path, {"file": file, **parts}, headers={"accept": "application/json"})


def stored(scene: Scene) -> list[Any]:
    request = HistoryRequest(scene.hill.metric.pk, LONG_AGO, FAR)
    return [one.value for one in get_store().history(request)]


def test_a_dry_run_answers_with_its_report_and_stores_nothing(scene: Scene) -> None:
    answer = send(browser(scene.operator), scene, dry_run="true")
    assert answer.status_code == 200, answer.content
    found = answer.json()
    assert found["state"] == "checked"
    assert found["device"] == str(scene.hill.device.uuid)
    assert found["job"] is None
    check = found["check"]
    assert (check["report"]["Rows read"], check["report"]["New readings"]) == (2, 2)
    assert check["columns"][0]["metric"] == "water_level_cm"
    assert check["preview"][1] == {
        "at": "2026-01-01T00:01:00+00:00", "sequence": 2, "values": {"water_level_cm": 21.0},
    }  # fmt: skip
    assert not stored(scene)
    assert not Job.objects.exists()


def test_an_import_is_a_job_whose_end_can_be_asked_for(scene: Scene) -> None:
    client = browser(scene.operator)
    answer = send(client, scene, dry_run="false")
    assert answer.status_code == 202, answer.content
    begun = answer.json()
    assert (begun["state"], begun["job"]["percent"]) == ("waiting", 0)
    carry_out(Job.objects.get())
    ended = client.get(f"/api/v1/imports/{begun['id']}/").json()
    assert (ended["state"], ended["job"]["report"]["New readings"]) == ("done", 2)
    assert stored(scene) == [20.0, 21.0]
    assert Job.objects.get().created_by == scene.operator
    assert browser(scene.viewer).get(f"/api/v1/imports/{begun['id']}/").status_code == 200
    for stranger in (scene.stranger, None):
        answer = browser(stranger).get(f"/api/v1/imports/{begun['id']}/")
        assert answer.status_code == (404 if stranger else 403)


def test_a_large_file_is_checked_by_a_job(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "AT_ONCE", 10)
    client = browser(scene.operator)
    answer = send(client, scene, dry_run="true")
    assert (answer.status_code, answer.json()["state"]) == (202, "checking")
    carry_out(Job.objects.get())
    found = client.get(f"/api/v1/imports/{answer.json()['id']}/").json()
    assert (found["state"], found["check"]["report"]["New readings"]) == ("checked", 2)


def test_nobody_imports_into_what_they_do_not_operate(scene: Scene) -> None:
    for who, status in ((scene.viewer, 403), (scene.stranger, 404), (None, 403)):
        for dry_run in ("true", "false"):
            assert send(browser(who), scene, dry_run=dry_run).status_code == status
    assert not ReadingImport.objects.exists()
    assert not stored(scene)


def test_columns_and_replacing_are_said_in_words(scene: Scene) -> None:
    client = browser(scene.operator)
    data = DATA.replace(b"water_level_cm", b"Lvl")
    answer = send(client, scene, data, dry_run="false")
    assert answer.status_code == 400
    assert "“Lvl”: Tank of Hill has no such metric" in answer.json()["errors"][0]["detail"]
    answer = send(client, scene, data, dry_run="false", column=["Lvl=water_level_cm"])
    assert answer.status_code == 202, answer.content
    carry_out(Job.objects.get())
    changed = data.replace(b"20\n", b"30\n")
    answer = send(client, scene, changed, dry_run="true", column="Lvl=water_level_cm")
    assert answer.json()["check"]["differences"] == [
        "water_level_cm at 2026-01-01 00:00:00 UTC: stored 20.0, in the file 30.0"
    ]
    again = {"dry_run": "false", "replace": "true", "column": "Lvl=water_level_cm"}
    send(client, scene, changed, **again)
    carry_out(Job.objects.latest("pk"))
    assert stored(scene) == [30.0, 21.0]


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({}, "required"),
        ({"dry_run": "perhaps"}, "perhaps"),
        ({"dry_run": "true", "column": "Lvl"}, "TITLE=metric_name"),
        ({"dry_run": "true", "colour": "red"}, "no such part"),
        ({"dry_run": "true", "file": ""}, "file"),
        ({"dry_run": "true", "data": b"PK\x03\x04"}, "damaged"),
    ],
)
def test_what_is_not_understood_is_told(scene: Scene, parts: dict[str, Any], says: str) -> None:
    answer = send(browser(scene.operator), scene, **parts)
    assert answer.status_code == 400
    assert says in answer.content.decode()
    assert not ReadingImport.objects.exists()


def test_a_file_above_the_limit_is_refused(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devices.readings.api.imports.LARGEST", 10)
    answer = send(browser(scene.operator), scene, dry_run="true")
    assert answer.status_code == 400
    assert f"{files.LARGEST // 2**20} MB" in answer.json()["errors"][0]["detail"]
