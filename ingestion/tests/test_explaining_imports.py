"""A number that came from a file is explained by the import that brought it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from devices.jobs import work_on_jobs
from devices.models import Role
from devices.readings.imports.tests.scene import Tank
from devices.readings.models import ReadingImport
from devices.readings.tests.network import START
from devices.tests.scene import browser, person
from ingestion.explaining.tracing import explain, find
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
