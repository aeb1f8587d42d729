"""Titles in another encoding, or with what no database takes: told, read, kept fit."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.urls import reverse

from devices.models import Job, Metric
from devices.readings.imports.tests.scene import carry_out
from devices.readings.imports.tests.test_api_import import send, stored
from devices.readings.models import ReadingImport
from devices.tests.scene import Scene, browser

pytestmark = pytest.mark.django_db
TEXT = "Time (UTC),Temperature (°C)\n2026-01-01T00:00:00,20\n2026-01-01T00:01:00,21\n"
OLD = TEXT.encode("windows-1252")
DAMAGED = "Temperature (\ufffdC)"


@pytest.fixture
def scene() -> Scene:
    scene = Scene.make()
    Metric.objects.filter(pk=scene.hill.metric.pk).update(
        name="temperature_c", label="Temperature", unit="°C", minimum=None, maximum=None
    )
    return scene


def workbook(folder: Path, title: str) -> bytes:
    """One reading in a column of that title."""
    with xlsxwriter.Workbook(folder / "sheet.xlsx") as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["Time (UTC)", title])
        sheet.write_row(1, 0, ["2026-01-01T00:00", 20])
    return (folder / "sheet.xlsx").read_bytes()


def problem(scene: Scene, data: bytes, **parts: Any) -> str:
    """What the dry run says of the one column that it cannot tell."""
    answer = send(browser(scene.operator), scene, data, dry_run="true", **parts)
    assert answer.status_code == 200, answer.content
    (column,) = answer.json()["check"]["columns"]
    assert not set(column["name"]) & {"\0", "\udcb0", chr(0xD800)}
    return str(column["problem"])


def test_a_title_in_another_encoding_is_told_and_its_page_shows(scene: Scene) -> None:
    assert "Choose the encoding (Windows-1252)" in problem(scene, OLD)
    imported = ReadingImport.objects.get()
    assert imported.findings["columns"][0]["name"] == DAMAGED
    client = browser(scene.operator)
    assert client.get(f"/api/v1/imports/{imported.pk}/").status_code == 200
    page = client.get(reverse("admin:readings_readingimport_change", args=[imported.pk]))
    assert "Choose the encoding" in page.content.decode()


def test_nothing_is_imported_before_somebody_says_what_the_title_is(scene: Scene) -> None:
    client = browser(scene.operator)
    answer = send(client, scene, OLD, dry_run="false")
    assert answer.status_code == 400
    assert "save the file as UTF-8" in answer.json()["errors"][0]["detail"]
    said = f"{DAMAGED}=temperature_c"
    assert send(client, scene, OLD, dry_run="false", column=said).status_code == 202
    carry_out(Job.objects.get())
    assert stored(scene) == [20.0, 21.0]


def test_a_chosen_encoding_counts_in_check_and_job(scene: Scene) -> None:
    assert problem(scene, OLD, encoding="windows-1252") == ""
    answer = send(browser(scene.operator), scene, OLD, dry_run="false", encoding="windows-1252")
    assert answer.status_code == 202, answer.content
    carry_out(Job.objects.get())
    assert stored(scene) == [20.0, 21.0]


def test_an_encoding_can_be_chosen_on_the_page(scene: Scene) -> None:
    problem(scene, OLD)
    imported = ReadingImport.objects.get()
    client = browser(scene.operator)
    path = reverse("admin:readings_readingimport_change", args=[imported.pk])
    boxes = {"column_0": "?", "encoding": "windows-1252"}
    client.post(path, {**boxes, "_check": "1"})
    imported.refresh_from_db()
    assert imported.findings["columns"][0]["metric"] == "temperature_c"
    assert 'value="windows-1252" selected' in client.get(path).content.decode()
    client.post(path, {"encoding": "windows-1252", "_import": "1"})
    carry_out(Job.objects.get())
    assert stored(scene) == [20.0, 21.0]


def test_an_encoding_can_be_chosen_in_the_command(scene: Scene, tmp_path: Path) -> None:
    file = tmp_path / os.fsdecode(b"old \xb0.csv")
    file.write_bytes(OLD)
    words = ["import_readings", str(file), "--device", str(scene.hill.device.uuid)]
    said = io.StringIO()
    with pytest.raises(CommandError, match="Choose the encoding"):
        call_command(*words, stdout=said, stderr=said)
    call_command(*words, "--encoding", "windows-1252", stdout=said, stderr=said)
    assert stored(scene) == [20.0, 21.0]


def test_only_csv_has_an_encoding_to_choose(scene: Scene) -> None:
    for data in (b'{"columns": []}\n', b"PK\x03\x04", b"PAR1"):
        answer = send(browser(scene.operator), scene, data, dry_run="true", encoding="utf-8")
        assert answer.status_code == 400
        assert "Only of CSV" in answer.json()["errors"][0]["detail"]


@pytest.mark.parametrize("character", ["\0", "\ud800"])
def test_what_json_lines_say_of_themselves_is_kept_fit(scene: Scene, character: str) -> None:
    columns = [{"name": "time", "unit": ""}, {"name": f"Temp{character}", "unit": character}]
    line = json.dumps({"device": f"Tank{character}", "device_uuid": character, "columns": columns})
    row = json.dumps({"time": "2026-01-01T00:00Z", f"Temp{character}": 20})
    assert "cannot be read" in problem(scene, f"{line}\n{row}\n".encode())
    findings = ReadingImport.objects.get().findings
    assert (findings["of_device"], findings["of_uuid"]) == ("Tank\ufffd", "\ufffd")


def test_a_title_with_a_nul_is_kept_fit(scene: Scene, tmp_path: Path) -> None:
    assert "cannot be read" in problem(scene, TEXT.replace("°", "\0").encode())
    assert "cannot be read" in problem(scene, workbook(tmp_path, "Temp\0"))


def test_a_damaged_title_that_names_its_metric_is_clear(scene: Scene) -> None:
    title = TEXT.replace("(°C)", "(°C) [temperature_c]").encode("windows-1252")
    assert problem(scene, title) == ""


def test_the_upload_form_of_a_workbook_offers_no_encoding(scene: Scene, tmp_path: Path) -> None:
    file = SimpleUploadedFile("sheet.xlsx", workbook(tmp_path, "temperature_c"))
    client = browser(scene.operator)
    path = reverse("admin:readings_readingimport_add")
    page = client.post(path, {"device": scene.hill.device.pk, "file": file}, follow=True)
    assert 'name="replace"' in page.content.decode()
    assert 'name="encoding"' not in page.content.decode()
