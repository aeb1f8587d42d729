"""Imports of readings in the admin: upload, look, decide, import; by whom, and what is told."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from devices.models import Device, Job
from devices.readings.export import FORMATS, ExportRequest, table_of
from devices.readings.imports import uploads
from devices.readings.imports.tests.scene import SINCE, UNTIL, carry_out
from devices.readings.models import ReadingImport
from devices.readings.samples import HistoryRequest, Sample
from devices.readings.store import get_store
from devices.readings.tests.network import START
from devices.tests.scene import Scene, browser

pytestmark = pytest.mark.django_db
ADD = "admin:readings_readingimport_add"
DATA = (
    b"Time (Asia/Kolkata),Entry number,Water level (cm)\n"
    b"2026-01-01 05:30:00,1,20\n2026-01-01 05:31:00,2,21.5\n"
)


@pytest.fixture
def scene() -> Scene:
    return Scene.make()


def text_of(page: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", unescape(page.content.decode())))


def send(client: Client, device: Device | None, data: bytes = DATA, name: str = "r.csv") -> Any:
    file = SimpleUploadedFile(name, data)
    return client.post(reverse(ADD), {"device": device.pk if device else "", "file": file})


def page_of(imported: ReadingImport) -> str:
    return reverse("admin:readings_readingimport_change", args=[imported.pk])


def stored(device: Device) -> list[Any]:
    (metric,) = device.metrics.all()
    return [one.value for one in get_store().history(HistoryRequest(metric.pk, SINCE, UNTIL))]


def test_a_file_is_checked_then_imported_by_a_job(scene: Scene) -> None:
    client, device = browser(scene.operator), scene.hill.device
    answer = send(client, device)
    imported = ReadingImport.objects.get()
    assert (answer.status_code, answer.headers["Location"]) == (302, page_of(imported))
    shown = text_of(client.get(page_of(imported)))
    assert "2 readings are new" in shown
    assert "as they would be stored (times in Asia/Kolkata)" in shown
    assert "From 2026-01-01 05:30:00 Asia/Kolkata To 2026-01-01 05:31:00 Asia/Kolkata" in shown
    assert "2026-01-01 05:31:00 2 21.5" in shown
    assert not stored(device)

    assert client.post(page_of(imported), {"_import": "1"}).status_code == 302
    job = Job.objects.get()
    assert (job.created_by, job.community) == (scene.operator, scene.hill.community)
    assert "Waiting 0 %" in text_of(client.get(page_of(imported)))
    carry_out(job)
    shown = text_of(client.get(page_of(imported)))
    assert "New readings 2" in shown
    assert "100 %" in shown
    assert stored(device) == [20.0, 21.5]
    client.post(page_of(imported), {"_import": "1"})  # an old page: nothing happens twice
    assert Job.objects.count() == 1
    assert "Import started." in LogEntry.objects.get().get_change_message()
    send(client, device, DATA.replace(b"1,20", b"1,25"))
    shown = text_of(client.get(page_of(ReadingImport.objects.latest("pk"))))
    assert "at 2026-01-01 05:30:00 Asia/Kolkata: stored 20.0, in the file 25.0" in shown


def test_a_file_finds_its_device_among_those_one_operates(scene: Scene) -> None:
    device = scene.hill.device
    get_store().write([Sample(device.pk, START, 1, {scene.hill.metric.pk: 5.0})])
    wanted = ExportRequest(device, [scene.hill.metric], SINCE, UNTIL)
    data = b"".join(FORMATS["jsonl"].write(table_of(wanted)))
    send(browser(scene.operator), None, data)
    assert ReadingImport.objects.get().device == device
    refused = text_of(send(browser(scene.stranger), None, data))
    assert "none of those that you operate here" in refused
    assert ReadingImport.objects.count() == 1


def test_columns_are_decided_about_and_checked_before_anything_is_imported(scene: Scene) -> None:
    client, device = browser(scene.operator), scene.hill.device
    send(client, device, DATA.replace(b"Water level (cm)", b"Lvl"))
    imported = ReadingImport.objects.get()
    shown = client.get(page_of(imported))
    assert "“Lvl”: Tank of Hill has no such metric" in text_of(shown)
    assert re.search(r'name="_import"[^>]*disabled', shown.content.decode())
    answer = client.post(page_of(imported), {"column_0": "?", "_import": "1"})
    assert "It is not clear what some columns are" in text_of(answer)
    wanted = {"column_0": "water_level_cm"}
    answer = client.post(page_of(imported), {**wanted, "_import": "1"}, follow=True)
    assert "You changed something, so the file was checked again" in text_of(answer)
    assert "2 readings are new" in text_of(answer)
    assert not Job.objects.exists()
    client.post(page_of(imported), {**wanted, "_import": "1"})
    carry_out(Job.objects.get())
    assert stored(device) == [20.0, 21.5]


def test_mistakes_are_told_where_they_are(scene: Scene) -> None:
    client = browser(scene.operator)
    assert "no column called “time”" in text_of(send(client, scene.hill.device, b"a,b\n1,2\n"))
    assert "submitted file is empty" in text_of(send(client, scene.hill.device, b""))
    assert "Choose the device" in text_of(send(client, None))
    assert "is damaged" in text_of(send(client, scene.hill.device, b"PK\x03\x04 nothing"))
    assert not ReadingImport.objects.exists()


def test_only_people_who_operate_the_device_import_into_it(scene: Scene) -> None:
    device = scene.hill.device
    assert send(browser(scene.viewer), device).status_code == 403
    assert "Select a valid choice" in text_of(send(browser(scene.stranger), device))
    assert not ReadingImport.objects.exists()
    send(browser(scene.operator), device)
    imported = ReadingImport.objects.get()
    assert "2 readings are new" in text_of(browser(scene.viewer).get(page_of(imported)))
    assert "Import 2 rows" not in text_of(browser(scene.viewer).get(page_of(imported)))
    assert browser(scene.viewer).post(page_of(imported), {"_import": "1"}).status_code == 403
    answer = browser(scene.stranger).post(page_of(imported), {"_import": "1"})
    assert answer.status_code in (302, 403)
    assert not Job.objects.exists()


def test_a_large_file_shows_its_check_as_it_goes(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "AT_ONCE", 10)
    client = browser(scene.operator)
    send(client, scene.hill.device)
    imported = ReadingImport.objects.get()
    shown = client.get(page_of(imported)).content.decode()
    assert "data-reload-at-end" in shown
    assert "What the file holds" not in shown
    carry_out(Job.objects.get())
    assert "2 readings are new" in text_of(client.get(page_of(imported)))


def test_what_the_list_says(scene: Scene) -> None:
    client = browser(scene.operator)
    send(client, scene.hill.device)
    send(client, scene.hill.device, name="other.csv")
    client.post(page_of(ReadingImport.objects.get(file_name="r.csv")), {"_import": "1"})
    carry_out(Job.objects.get())
    path = reverse("admin:readings_readingimport_changelist")
    shown = text_of(client.get(path))
    assert "r.csv" in shown
    assert "Done" in shown
    assert "Checked, not imported" in shown
    assert "r.csv" not in text_of(browser(scene.stranger).get(path))


def test_the_page_of_a_device_leads_to_its_files(scene: Scene) -> None:
    path = reverse("admin:devices_device_change", args=[scene.hill.device.pk])
    wanted = f'href="{reverse(ADD)}?device={scene.hill.device.pk}"'
    shown = browser(scene.operator).get(path).content.decode()
    assert wanted in shown
    assert f'action="{reverse("device-export", args=[scene.hill.device.uuid])}"' in shown
    assert wanted not in browser(scene.viewer).get(path).content.decode()
