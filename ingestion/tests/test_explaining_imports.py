"""A number that came from a file is explained by the import that brought it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command

from devices.jobs import work_on_jobs
from devices.models import Job, Role
from devices.readings.imports.tests import scene as files
from devices.readings.imports.tests.scene import Tank
from devices.readings.models import ReadingImport
from devices.readings.tests.network import START
from devices.tests.scene import browser, person
from ingestion.explaining.finding import find
from ingestion.explaining.tracing import explain
from ingestion.imports.tests.scene import NOW, carry_out, channel, minutes, start, upload

pytestmark = pytest.mark.django_db
PAGE = "/admin/ingestion/status/explain/"


def test_an_entry_of_a_csv_file_names_its_import() -> None:
    source = channel()
    mine = upload(source, minutes(10), "first.csv")
    carry_out(start(mine))
    carry_out(start(upload(channel(4712), minutes(10), "of another channel.csv")))
    later = upload(source, minutes(10, first=100), "later.csv")
    tomorrow = NOW + timedelta(days=1)
    work_on_jobs(lambda: tomorrow, timedelta(hours=1), only=start(later).pk)

    metric = source.device.metrics.get(name="field1")
    newest = find(metric, NOW)
    assert explain(metric, newest).imports == [later]
    assert explain(metric, find(metric, newest.at - timedelta(minutes=60))).imports == [mine]

    operator = person("operator", source.device.community, Role.OPERATOR)
    page = browser(operator).get(PAGE, {"metric": metric.pk}).content.decode()
    assert f'href="/admin/ingestion/import/{later.pk}/change/">“later.csv” into' in page
    told = browser(operator).get(f"/api/v1/metrics/{metric.pk}/explanation/").json()
    assert [(one["id"], one["into"], one["file"]) for one in told["imports"]] == [
        (later.pk, "source", "later.csv")
    ]
    later.delete()
    assert explain(metric, newest).imports == []
    page = browser(operator).get(PAGE, {"metric": metric.pk}).content.decode()
    assert "not in the poll log (any more)" in page


def test_a_value_of_an_exported_file_names_the_imports_that_may_have_brought_it() -> None:
    tank, other = Tank.make(), Tank.make()
    tank.fill(10)
    metric, level = (one.metrics["level_cm"] for one in (tank, other))
    assert explain(metric, find(metric, START)).imports == []  # it came by itself

    file = tank.exported("csv")
    operator = person("operator", other.device.community, Role.OPERATOR)
    other.imported(file)
    (imported,) = ReadingImport.objects.all()
    other.uploaded(file)  # checked, and never carried out
    assert explain(level, find(level, NOW)).imports == [imported]
    page = browser(operator).get(PAGE, {"metric": level.pk}).content.decode()
    assert (
        f'import of <a class="obs-link" href="/admin/readings/readingimport/{imported.pk}' in page
    )

    other.imported(file)
    assert len(explain(level, find(level, NOW)).imports) == 2
    page = browser(operator).get(PAGE, {"metric": level.pk}).content.decode()
    assert "One of these imports brought it:" in page


WRITTEN_BY_HAND = b"time,level_cm\n2026-11-20T10:00Z,5\n2026-11-20T10:01Z,6\n"


def test_an_import_by_the_api_that_nobody_checked_first_is_named() -> None:
    tank = Tank.make()
    operator = person("operator", tank.device.community, Role.OPERATOR)
    client = browser(operator)
    path = f"/api/v1/devices/{tank.device.uuid}/import/"
    file = SimpleUploadedFile("by hand.csv", WRITTEN_BY_HAND)
    assert client.post(path, {"file": file, "dry_run": "false"}).status_code == 202
    files.carry_out(Job.objects.get())

    level = tank.metrics["level_cm"]
    told = client.get(f"/api/v1/metrics/{level.pk}/explanation/").json()
    assert [(one["into"], one["file"]) for one in told["imports"]] == [("device", "by hand.csv")]
    page = client.get(PAGE, {"metric": level.pk}).content.decode()
    assert "by hand.csv" in page
    assert "had exported" not in page


def test_an_import_by_the_command_is_named(tmp_path: Path) -> None:
    tank = Tank.make()
    file = tmp_path / "by hand.csv"
    file.write_bytes(WRITTEN_BY_HAND)
    call_command("import_readings", str(file), device=str(tank.device.uuid))

    (imported,) = ReadingImport.objects.all()
    level = tank.metrics["level_cm"]
    assert explain(level, find(level, NOW)).imports == [imported]


def test_an_import_that_held_no_value_of_the_metric_did_not_bring_it() -> None:
    tank = Tank.make()
    tank.imported(WRITTEN_BY_HAND)
    tank.imported(WRITTEN_BY_HAND.replace(b"level_cm", b"depth_cm"))
    level = tank.metrics["level_cm"]
    assert len(explain(level, find(level, NOW)).imports) == 1
