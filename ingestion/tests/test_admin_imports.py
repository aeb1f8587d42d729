"""Imports in the admin: upload, check, decide, import; by whom, and with what is told."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from devices.models import Job, JobState, ThingSpeakChannel
from devices.tests.scene import Scene, browser
from ingestion.imports import api_job, checking, csv_job, uploads
from ingestion.imports.tests.scene import carry_out, minutes, stored
from ingestion.models import Import
from ingestion.polling import Equipment
from ingestion.resilience.gate import LocalGate
from ingestion.resilience.transport import RequestsTransport
from ingestion.tests.sitting import TANK
from simulator.testing import RunningSimulator

ADD = "admin:ingestion_import_add"
NAIVE = b"created_at,entry_id,Level\n2026-01-01 05:30:00,1,20\n2026-01-01 05:31:00,2,21\n"


@pytest.fixture
def scene(db: None) -> Scene:
    return Scene.make()


def text_of(page: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", unescape(page.content.decode())))


def send(client: Client, channel: ThingSpeakChannel, data: bytes, name: str = "feeds.csv") -> Any:
    file = SimpleUploadedFile(name, data, "text/csv")
    return client.post(reverse(ADD), {"source": channel.pk, "file": file})


def page_of(imported: Import) -> str:
    return reverse("admin:ingestion_import_change", args=[imported.pk])


def test_one_row_is_told_in_the_singular(scene: Scene) -> None:
    client, channel = browser(scene.operator), scene.hill.channel
    send(client, channel, minutes(1))
    shown = text_of(client.get(page_of(Import.objects.get())))
    assert "1 reading is new" in shown
    assert "0 to 0 cm (1 value)" in shown
    assert "Import 1 row Check again" in shown


def test_a_file_is_checked_then_imported_by_a_job(scene: Scene) -> None:
    client, channel = browser(scene.operator), scene.hill.channel
    answer = send(client, channel, minutes(50))
    imported = Import.objects.get()
    assert (answer.status_code, answer.headers["Location"]) == (302, page_of(imported))
    shown = text_of(client.get(page_of(imported)))
    assert "50 readings are new" in shown
    assert "49 → 49 cm" in shown
    assert "0 to 49 cm (50 values)" in shown
    assert "not mapped: kept as received" in shown
    assert not stored(channel)

    answer = client.post(page_of(imported), {"_import": "1"})
    assert answer.status_code == 302
    job = Job.objects.get()
    assert (job.kind, job.created_by, job.total) == (csv_job.IMPORT, scene.operator, 50)
    assert job.community == scene.hill.community
    assert "Waiting 0 %" in text_of(client.get(page_of(imported)))
    carry_out(job)
    shown = text_of(client.get(page_of(imported)))
    assert "New readings 50" in shown
    assert "100 %" in shown
    assert len(stored(channel)) == 50
    client.post(page_of(imported), {"_import": "1"})  # an old page: nothing happens twice
    assert Job.objects.count() == 1
    assert "Import started." in LogEntry.objects.get().get_change_message()


def test_choices_are_checked_before_they_are_imported(scene: Scene) -> None:
    client = browser(scene.operator)
    send(client, scene.hill.channel, NAIVE)
    imported = Import.objects.get()
    shown = client.get(page_of(imported))
    assert "2 times say no time zone" in text_of(shown)
    assert re.search(r'name="_import"[^>]*disabled', shown.content.decode())
    wanted = {"zone": "Asia/Kolkata", "column_2": "field1"}
    answer = client.post(page_of(imported), {**wanted, "_import": "1"}, follow=True)
    assert "You changed something, so the file was checked again" in text_of(answer)
    assert "2 readings are new" in text_of(answer)
    assert not Job.objects.exists()
    client.post(page_of(imported), {**wanted, "_import": "1"})
    carry_out(Job.objects.get())
    assert sorted(stored(scene.hill.channel).values()) == [20, 21]


def test_mistakes_are_told_where_they_are(scene: Scene) -> None:
    client = browser(scene.operator)
    shown = text_of(send(client, scene.hill.channel, b"a,b\n1,2\n"))
    assert "names no column “created_at”" in shown
    assert "submitted file is empty" in text_of(send(client, scene.hill.channel, b""))
    assert not Import.objects.exists()
    head = b"created_at,entry_id,A,B\n2026-01-01 05:30:00,1,2,3\n"
    send(client, scene.hill.channel, head)
    both = {"column_2": "field1", "column_3": "field1", "_check": "1"}
    shown = text_of(client.post(page_of(Import.objects.get()), both))
    assert "Two columns are said to be field1" in shown


def test_only_people_who_operate_the_channel_import_into_it(scene: Scene) -> None:
    channel = scene.hill.channel
    assert send(browser(scene.viewer), channel, minutes(2)).status_code == 403
    refused = send(browser(scene.stranger), channel, minutes(2))
    assert "Select a valid choice" in text_of(refused)
    assert not Import.objects.exists()
    send(browser(scene.operator), channel, minutes(2))
    imported = Import.objects.get()
    assert "2 readings are new" in text_of(browser(scene.viewer).get(page_of(imported)))
    assert "Import 2 rows" not in text_of(browser(scene.viewer).get(page_of(imported)))
    assert browser(scene.viewer).post(page_of(imported), {"_import": "1"}).status_code == 403
    assert browser(scene.stranger).post(page_of(imported), {"_import": "1"}).status_code == 403
    assert not Job.objects.exists()


def test_a_large_file_shows_its_check_as_it_goes(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "AT_ONCE", 100)
    monkeypatch.setattr(uploads, "AT_ONCE", 100)
    client = browser(scene.operator)
    send(client, scene.hill.channel, minutes(50))
    imported = Import.objects.get()
    shown = client.get(page_of(imported)).content.decode()
    assert "data-reload-at-end" in shown
    assert "What the file holds" not in shown
    carry_out(Job.objects.get())
    assert "50 readings are new" in text_of(client.get(page_of(imported)))


def test_what_the_list_says(scene: Scene) -> None:
    client = browser(scene.operator)
    send(client, scene.hill.channel, minutes(3))
    send(client, scene.hill.channel, minutes(4), "other.csv")
    imported = Import.objects.get(file_name="feeds.csv")
    client.post(page_of(imported), {"_import": "1"})
    carry_out(Job.objects.get())
    shown = text_of(client.get(reverse("admin:ingestion_import_changelist")))
    assert "feeds.csv" in shown
    assert "Done" in shown
    assert "Checked, not imported" in shown
    assert "feeds.csv" not in text_of(
        browser(scene.stranger).get(reverse("admin:ingestion_import_changelist"))
    )


def test_the_page_of_a_channel_leads_to_both_ways_of_importing(scene: Scene) -> None:
    channel = scene.hill.channel
    path = reverse("admin:devices_thingspeakchannel_change", args=[channel.pk])
    shown = browser(scene.operator).get(path).content.decode()
    assert f'href="{reverse(ADD)}?source={channel.pk}"' in shown
    assert f'href="{reverse("admin:ingestion_import_api", args=[channel.pk])}"' in shown
    assert reverse(ADD) + "?source" not in browser(scene.viewer).get(path).content.decode()


def test_all_history_is_offered_with_what_it_costs(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, channel = browser(scene.operator), scene.hill.channel
    path = reverse("admin:ingestion_import_api", args=[channel.pk])
    equipment = Equipment(LocalGate(), RequestsTransport(allowed=["127.0.0.0/8"]))
    page: Any = admin.site.get_model_admin(Import)
    monkeypatch.setattr(page, "ask_with", lambda: equipment)
    with RunningSimulator() as provider:
        account = channel.connection
        account.base_url, account.rate_limit, account.account_key = provider.url, 6000, ""  # type: ignore[assignment]
        account.save()
        channel.channel_id, channel.read_key = TANK, ""  # type: ignore[assignment]
        channel.save()
        shown = text_of(client.get(path))
        assert "Ambapur Overhead Tank" in shown
        assert re.search(r"Up to [\d,]+ entries in about \d+ requests", shown)
        assert not Job.objects.exists()
        answer = client.post(path)
    job = Job.objects.get()
    assert answer.headers["Location"] == page_of(Import.objects.get())
    assert (job.kind, job.state, job.created_by) == (
        api_job.IMPORT, JobState.WAITING, scene.operator,
    )  # fmt: skip
    assert browser(scene.viewer).post(path).status_code == 403
    assert browser(scene.stranger).post(path).status_code == 404


def test_history_is_not_fetched_through_a_connection_that_is_switched_off(scene: Scene) -> None:
    client, channel = browser(scene.operator), scene.hill.channel
    path = reverse("admin:ingestion_import_api", args=[channel.pk])
    channel.connection.enabled = False
    channel.connection.save()
    for answer in (client.get(path, follow=True), client.post(path, follow=True)):
        assert "its connection “Account of Hill” is switched off. Switch that on" in text_of(answer)
        assert "Change ThingSpeak channel" in text_of(answer)  # where it says what it is read with
    assert not Job.objects.exists()
