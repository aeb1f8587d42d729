"""A CSV file into a channel: checked without a trace, imported once, whatever happens meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import chain, repeat
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from devices import jobs
from devices.models import FieldMapping, Job, JobState, Metric
from devices.readings.imports.text import UnreadableFile
from devices.readings.models import KeptFrom, ReceivedEntry, Watermark
from devices.readings.samples import HistoryRequest, Origin
from devices.readings.store import get_store
from ingestion import tasks
from ingestion.gaps import BEGINNING, END
from ingestion.imports import checking, csv_job, stepping, uploads
from ingestion.imports.choices import Choices
from ingestion.imports.report import warnings
from ingestion.imports.tally import Tally
from ingestion.imports.tests.scene import (
    HEAD,
    NOW,
    carry_out,
    channel,
    minutes,
    start,
    stored,
    upload,
)
from ingestion.models import Import, ImportChunk, Rejection, SourceEvent
from ingestion.pipeline import ingest

pytestmark = pytest.mark.django_db

AT = datetime(2026, 1, 1, tzinfo=UTC)


def tally(imported: Import) -> Tally:
    imported.refresh_from_db()
    return Tally.of(imported.findings["tally"])


def everything() -> dict[str, int]:
    """Rows of all tables that readings end in."""
    tables = ("readings_row", "readings_received", "ingestion_rejection", "readings_latest")
    counts = {}
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"SELECT count(*) FROM {table}")
            counts[table] = cursor.fetchone()[0]
    return counts


def test_a_check_stores_no_reading_and_tells_what_an_import_would_do() -> None:
    source = channel()
    before = everything()
    found = tally(upload(source, minutes(100) + b"2026-01-02T00:00:00+00:00,101,oops,7,,,,\n"))
    assert everything() == before
    assert (found.rows, found.new, found.same, found.refusals) == (101, 201, 0, 1)
    assert found.refused == {"not_a_number": 1}
    assert found.examples["not_a_number"][0]["raw"] == "oops"
    assert (found.first, found.last) == (AT, AT + timedelta(days=1))
    assert found.zones == {"+00:00": 101}


def test_an_import_stores_every_row_once_and_reports_it() -> None:
    source = channel()
    imported = upload(source, minutes(2500))
    by = User.objects.create_user("op")
    job = csv_job.start_import(imported, Choices(), 2500, by)
    carry_out(job)
    assert (job.state, job.done, job.total, job.percent) == (JobState.DONE, 2500, 2500, 100)
    assert job.report["New readings"] == 5000
    assert job.report["Already stored"] == 0
    assert stored(source) == {
        (AT + timedelta(minutes=n), n + 1, field): float(value)
        for n in range(2500)
        for field, value in (("field1", n), ("field2", n / 2))
    }
    event = SourceEvent.objects.get()
    assert (event.kind, event.by) == ("imported", by)
    assert "2,500 rows from 2026-01-01 00:00:00" in event.text
    metric = source.device.metrics.get(name="field1")
    request = HistoryRequest(metric.pk, BEGINNING, END, limit=1)
    assert get_store().history(request)[0].origin is Origin.BACKFILL
    assert not ImportChunk.objects.exists()  # the file is not needed any more


def test_importing_again_adds_nothing_and_says_so() -> None:
    source = channel()
    carry_out(start(upload(source, minutes(300))))
    before = everything()
    again = upload(source, minutes(350))
    assert (tally(again).new, tally(again).same) == (100, 600)
    job = carry_out(start(again))
    assert (job.report["New readings"], job.report["Already stored"]) == (100, 600)
    after = everything()
    assert after["readings_row"] == before["readings_row"] + 50
    carry_out(start(upload(source, minutes(350))))
    assert everything() == after


def test_a_row_that_stands_twice_in_the_file_counts_once() -> None:
    source = channel()
    found = tally(upload(source, minutes(10) + minutes(10)))
    assert (found.rows, found.new, found.same) == (20, 20, 20)


def test_what_was_received_is_not_overwritten_by_a_file_unless_somebody_says_so() -> None:
    source = channel()
    carry_out(start(upload(source, minutes(3))))
    changed = minutes(3).replace(b",2,1,", b",2,1.04,") + minutes(1, first=3)[len(HEAD) + 1 :]
    again = upload(source, changed)
    found = tally(again)
    assert (found.new, found.same, found.differing) == (2, 5, 1)
    assert found.differences[0]["stored"] == 1.0
    assert found.differences[0]["file"] == 1.04
    job = carry_out(start(again))
    assert job.report["Stored with another value"] == "1, left as they were"
    second = (AT + timedelta(minutes=1), 2, "field1")
    assert stored(source)[second] == 1.0
    assert received(source, 2)["field1"] == "1"
    carry_out(start(upload(source, changed), replace=True))
    assert stored(source)[second] == 1.04
    assert received(source, 2)["field1"] == "1.04"
    assert len(stored(source)) == 8


def received(source: Any, number: int) -> dict[str, Any]:
    row = ReceivedEntry.objects.get(source=source, sequence=number)
    return dict(row.fields)


def test_files_with_single_fields_complete_each_other() -> None:
    source = channel()
    for field in ("field1", "field2"):
        data = f"created_at,entry_id,{field}\n2026-01-01T00:00:00Z,1,5\n".encode()
        carry_out(start(upload(source, data)))
    assert len(stored(source)) == 2
    assert received(source, 1) == {"field1": "5", "field2": "5"}


def test_a_field_that_is_mapped_later_gets_its_readings_from_the_same_file() -> None:
    source = channel(fields=["field1"])
    carry_out(start(upload(source, minutes(20))))
    assert len(stored(source)) == 20
    assert received(source, 3)["field2"] == "1.0"  # kept, although nobody wanted it yet
    metric = Metric.objects.create(device=source.device, name="late", label="Late")
    FieldMapping.objects.create(source=source, field="field2", metric=metric)
    again = upload(source, minutes(20))
    assert (tally(again).new, tally(again).same) == (20, 20)
    carry_out(start(again))
    assert len(stored(source)) == 40


def test_a_job_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that dies in the middle of a step leaves nothing of it, and nothing is lost."""
    source = channel()
    monkeypatch.setattr(stepping, "PORTION", 40)
    job = start(upload(source, minutes(100)))

    class Killed(BaseException):
        pass

    def dies(*args: Any) -> Any:
        ingest(*args)
        if Job.objects.get(pk=job.pk).done == 40:
            raise Killed
        return None

    monkeypatch.setattr("ingestion.imports.csv_job.ingest", dies)
    with pytest.raises(Killed):
        carry_out(job)
    job.refresh_from_db()
    assert (job.done, len(stored(source))) == (40, 80)
    monkeypatch.setattr("ingestion.imports.csv_job.ingest", ingest)
    job.lease_until = NOW
    job.save()
    carry_out(job)
    assert (job.state, job.report["New readings"], len(stored(source))) == ("done", 200, 200)


def test_a_cancelled_import_keeps_what_it_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    source = channel()
    monkeypatch.setattr(stepping, "PORTION", 40)
    job = start(upload(source, minutes(100)))
    carry_out(job, timedelta(0))
    assert job.state == JobState.WAITING  # no time, nothing done
    later = NOW + timedelta(minutes=1)
    clock = chain([NOW, NOW, NOW, NOW], repeat(later))
    assert jobs.work_on_jobs(lambda: next(clock), timedelta(seconds=1), only=job.pk) == 1
    assert jobs.cancel(job, NOW)
    carry_out(job)
    assert (job.state, len(stored(source))) == (JobState.CANCELLED, 80)
    tasks.run_prune()
    assert not ImportChunk.objects.exists()


def test_a_file_waits_for_a_decision_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    source = channel()
    imported = upload(source, minutes(5))
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW + timedelta(days=1))
    tasks.run_prune()
    assert ImportChunk.objects.exists()
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW + timedelta(days=3))
    tasks.run_prune()
    assert not ImportChunk.objects.exists()
    with pytest.raises(UnreadableFile, match="Upload it again"):
        uploads.check_again(imported, Choices(), None, NOW)
    assert carry_out(start(imported)).state == JobState.FAILED


def test_a_file_that_is_no_export_leaves_nothing_behind() -> None:
    with pytest.raises(UnreadableFile, match="created_at"):
        upload(channel(), b"a,b\n1,2\n")
    assert not Import.objects.exists()
    assert not ImportChunk.objects.exists()


def test_a_large_file_is_kept_in_pieces_and_checked_by_a_job(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = channel()
    monkeypatch.setattr(checking, "AT_ONCE", 1000)
    monkeypatch.setattr(uploads, "AT_ONCE", 1000)
    monkeypatch.setattr("ingestion.imports.files.CHUNK", 1000)
    data = minutes(5000)
    imported = upload(source, data)
    assert imported.chunks.count() == len(data) // 1000 + 1
    assert not imported.findings
    job = imported.check_job
    assert job is not None
    carry_out(job)
    assert (job.state, job.done) == (JobState.DONE, len(data))
    found = tally(imported)
    assert (found.rows, found.new, everything()["readings_row"]) == (5000, 10_000, 0)
    carry_out(start(imported))
    assert len(stored(source)) == 10_000


def test_a_file_above_the_limit_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingestion.imports.files.LARGEST", 3 * 2**20)
    with pytest.raises(UnreadableFile, match="larger than 3 MB"):
        uploads.take_file(channel(), "x.csv", iter(lambda: bytes(2**20), None), None, NOW)
    assert not Import.objects.exists()


def test_what_only_a_person_can_know_is_asked_for() -> None:
    source = channel()
    naive = b"created_at,entry_id,Temp,field2\n2026-01-01 05:30,1,20,1\n2026-01-01 05:31,2,21,\n"
    imported = upload(source, naive)
    said = " ".join(warnings(imported.findings))
    assert "2 times say no time zone. Choose the zone" in said
    assert "read by their place alone: “Temp” as field1." in said
    assert imported.findings["proposed"] == {"2": ["field1", "place"]}
    zone = Choices(zone="Asia/Kolkata", columns={2: "field1"})
    uploads.check_again(imported, zone, None, NOW)
    assert (tally(imported).new, tally(imported).without_seconds) == (3, 2)
    assert "lost their seconds" in " ".join(warnings(imported.findings))
    carry_out(start(imported))
    assert stored(source) == {
        (AT, 1, "field1"): 20.0, (AT, 1, "field2"): 1.0,
        (AT + timedelta(minutes=1), 2, "field1"): 21.0,
    }  # fmt: skip
    labelled = upload(source, naive.replace(b"Temp", b"field1"))
    assert "by their place" not in " ".join(warnings(labelled.findings))
    with pytest.raises(UnreadableFile, match="no time zone"):
        uploads.check_again(upload(source, naive), Choices(zone="Mars/Base"), None, NOW)


def test_one_form_that_fits_is_proposed_several_are_asked_about() -> None:
    source = channel()
    lines = [f"{day}/10/2026 10:00:00+00:00,{day},1" for day in (3, 4)]
    both = upload(source, "\n".join(["created_at,entry_id,field1", *lines]).encode())
    assert tally(both).forms == ["dmy", "mdy"]
    assert "more than one way" in " ".join(warnings(both.findings))
    lines.append("26/10/2026 10:00:00+00:00,26,1")
    one = upload(source, "\n".join(["created_at,entry_id,field1", *lines, ""]).encode())
    assert tally(one).forms == ["dmy"]
    assert "All of them can be read as day/month/year" in " ".join(warnings(one.findings))
    assert carry_out(start(one, form="dmy")).report["New readings"] == 3


def test_readings_that_the_site_has_dropped_are_told_before() -> None:
    kept_from = AT + timedelta(minutes=50)
    Watermark.objects.update_or_create(
        pk=1, defaults={"closed": AT, "rolled": AT, "kept_from": kept_from}
    )
    source = channel()
    KeptFrom.objects.create(device=source.device, readings_from=kept_from)
    imported = upload(source, minutes(100))
    assert (tally(imported).new, tally(imported).expired) == (100, 100)
    assert "100 readings are older than what this site keeps" in " ".join(
        warnings(imported.findings)
    )
    carry_out(start(imported))
    assert len(stored(source)) == 100


def test_every_refusal_of_the_import_can_be_looked_up() -> None:
    source = channel()
    data = minutes(3) + b"2026-01-01T01:00:00,9,1,2,,,,\n2027-05-05T00:00:00Z,10,1,2,,,,\n"
    carry_out(start(upload(source, data)))
    assert set(Rejection.objects.values_list("reason", flat=True)) == {"no_zone", "future_time"}
    carry_out(start(upload(source, data)))
    assert Rejection.objects.count() == 2


def test_keys_inside_values_are_masked_in_findings_and_reports() -> None:
    key = "ABCDEFGH12345678"
    source = channel()
    data = minutes(2) + f"2026-01-01T01:00:00Z,9,81GET /update?key={key},1,,,,\n".encode()
    imported = upload(source, data, name=f"feeds api_key={key}.csv")
    job = carry_out(start(imported))
    imported.refresh_from_db()
    texts = [repr(imported.__dict__), repr(job.__dict__), SourceEvent.objects.get().text]
    texts += [repr(row.__dict__) for row in Rejection.objects.all()]
    for text in texts:
        assert key not in text
    assert job.report["Refused"] == {"Text after number": 1}


def test_a_channel_without_mappings_is_told_to_be_mapped_first() -> None:
    imported = upload(channel(fields=[]), minutes(5))
    assert "Map the channel's fields first" in " ".join(warnings(imported.findings))
