"""Importing: by a job in steps, once, complete, and without touching what is there."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.utils import timezone

from devices import jobs
from devices.models import Job, JobState, Metric
from devices.readings.imports import checking, files, stepping, uploads, working
from devices.readings.imports.choices import Choices
from devices.readings.imports.report import report, warnings
from devices.readings.imports.tally import Tally
from devices.readings.imports.tests.scene import Tank, carry_out
from devices.readings.imports.text import UnreadableFile
from devices.readings.models import ReadingImport, ReadingImportPiece, RetentionRule
from devices.readings.rollups import roll_up
from devices.readings.samples import AggregateRequest, Origin, Tier
from devices.readings.store import ReadingStore, get_store
from devices.readings.tests.network import START, drop_before, minutes

pytestmark = pytest.mark.django_db
NOW = START + timedelta(days=20)
FORMS = ["csv", "xlsx", "jsonl", "parquet"]
HEAD = "time,entry,level_cm,state\n"


@pytest.fixture(autouse=True)
def clock() -> Any:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def tank() -> Tank:
    return Tank.make()


@pytest.fixture
def store() -> ReadingStore:
    return get_store()


def lines(*rows: str) -> bytes:
    return (HEAD + "".join(f"{row}\n" for row in rows)).encode()


def emptied(tank: Tank) -> Tank:
    """Another device that has the same metrics and nothing to say."""
    return Tank.make(tank.device.community.zone)


@pytest.mark.parametrize("form", FORMS)
def test_a_job_goes_on_where_a_killed_worker_stopped(
    tank: Tank, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stepping, "PORTION", 7)
    tank.fill(40)
    data = tank.exported(form)
    other = emptied(tank)
    job = working.start_import(other.uploaded(data), Choices(), None)
    writes = 0
    write = type(get_store()).write

    def dies(self: Any, samples: Any, received: Any = ()) -> Any:
        nonlocal writes
        writes += 1
        write(self, samples, received)
        if writes % 2 == 0:
            raise KeyboardInterrupt  # after it has written: the step must be undone
        return None

    monkeypatch.setattr(type(get_store()), "write", dies)
    done = []
    for turn in range(20):
        clock = NOW + jobs.LEASE * 2 * turn

        def now(clock: Any = clock) -> Any:
            return clock

        try:
            jobs.work_on_jobs(now, timedelta(seconds=5), only=job.pk)
        except KeyboardInterrupt:
            job.refresh_from_db()
            done.append((job.done, len(other.values("level_cm"))))
            continue
        break
    job.refresh_from_db()
    assert job.state == JobState.DONE, job.message
    # In no transaction: what was written before the step was undone is there, and written again.
    ahead = 0 if settings.READINGS_ADDRESS is None else 1
    assert [kept for _, kept in done] == [min(7 * (n + ahead), 40) for n in range(1, len(done) + 1)]
    again = job.report["Already stored"]
    assert (job.report["New readings"], again) == (120 - again, again if ahead else 0)
    assert [one.value for one in other.readings("level_cm")] == tank.values("level_cm")
    assert (job.done, job.percent) == (job.total, 100)
    assert not ReadingImportPiece.objects.exists()  # the file is not needed any more


def test_importing_again_changes_nothing(tank: Tank) -> None:
    data = lines("2026-11-20T10:00Z,1,2.5,ok", "2026-11-20T10:01Z,2,2.75,")
    first = tank.imported(data).report
    assert (first["New readings"], first["Already stored"]) == (3, 0)
    before = tank.exported("jsonl")
    again = tank.imported(data, replace=True).report
    assert (again["New readings"], again["Already stored"]) == (0, 3)
    assert tank.exported("jsonl") == before
    assert not any(one.revised for one in tank.readings("level_cm"))


def test_what_is_stored_stays_unless_replacing_is_asked_for(tank: Tank) -> None:
    tank.write(START, 1, level_cm=2.0)
    data = lines("2026-11-20T10:00Z,1,2.5,ok")
    found = tank.check(data)
    tally = Tally.of(found["tally"])
    assert (tally.new, tally.same, tally.differing) == (1, 0, 1)
    assert "what is stored stays as it is" in " ".join(warnings(found, tank.device, NOW))
    kept = tank.imported(data).report
    assert kept["Stored with another value"] == "1, left as they were"
    assert tank.values("level_cm") == [2.0]
    assert tank.values("state") == ["ok"]
    replaced = tank.imported(data, replace=True).report
    assert replaced["Stored with another value"] == "1, replaced"
    (reading,) = tank.readings("level_cm")
    assert (reading.value, reading.revised) == (2.5, True)


def test_a_dry_run_tells_exactly_what_the_import_then_does(
    tank: Tank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stepping, "PORTION", 3)
    tank.write(START, 1, level_cm=2.0)
    tank.write(minutes(START, 1), 2, level_cm=9.0)
    data = lines(
        "2026-11-20T10:00Z,1,2.0,ok", "2026-11-20T10:01Z,2,2.5,", "2026-11-20T10:02Z,3,x,ok",
        "2026-11-20T10:03Z,4,,", "2026-11-20T10:04Z,y,1,ok", "2026-11-20T10:05Z,6,3,",
    )  # fmt: skip
    before = tank.exported("jsonl")
    found = tank.check(data)
    assert tank.exported("jsonl") == before  # nothing was stored
    promised = report(Tally.of(found["tally"]), replaced=False)
    assert promised == tank.imported(data).report
    assert promised["Refused"] == {"Bad entry number": 1, "Not a number": 1}
    assert promised["Rows without a value"] == 1
    assert found["tally"]["preview"][0] == {
        "at": "2026-11-20T10:00:00+00:00", "sequence": 1,
        "values": {str(tank.metrics["level_cm"].pk): 2.0, str(tank.metrics["state"].pk): "ok"},
    }  # fmt: skip


def test_latest_and_rollups_follow_and_the_origin_is_told(tank: Tank, store: ReadingStore) -> None:
    level = tank.metrics["level_cm"].pk
    tank.write(minutes(START, 5), 6, level_cm=10.0)
    roll_up(NOW)
    tank.imported(lines("2026-11-20T10:00Z,1,2.0,", "2026-11-20T10:10Z,11,6.0,"))
    roll_up(NOW)
    newest = store.latest([level])[level]
    assert (newest.value, newest.origin) == (6.0, Origin.IMPORT)
    assert [one.origin for one in tank.readings("level_cm")] == [
        Origin.IMPORT, Origin.LIVE, Origin.IMPORT,
    ]  # fmt: skip
    request = AggregateRequest(level, START, START + timedelta(hours=1), timedelta(hours=1))
    answer = store.aggregate(request)
    (hour,) = answer.buckets
    assert (answer.tier, hour.count, hour.sum) == (Tier.HOUR, 3, 18.0)


def test_what_is_too_old_for_the_site_is_not_taken_and_what_will_go_is_said(
    tank: Tank, store: ReadingStore
) -> None:
    data = lines("2026-11-20T10:00Z,1,2.0,", "2026-12-09T10:00Z,2,3.0,")
    rule = RetentionRule.objects.create(community=tank.device.community, readings_days=7)
    RetentionRule.objects.update(changed_at=NOW - timedelta(days=30))
    found = tank.check(data)
    assert "before 2026-12-03 are dropped again" in " ".join(warnings(found, tank.device, NOW))
    rule.delete()
    tank.write(minutes(START, -1), 9, level_cm=1.0)
    tank.write(NOW, 10, level_cm=1.0)  # so that this month is there: the drop locks the table
    roll_up(NOW)
    drop_before(store, START + timedelta(days=10))
    found = tank.check(data)
    tally = Tally.of(found["tally"])
    assert (tally.new, tally.expired) == (1, 1)
    assert "would not be taken" in " ".join(warnings(found, tank.device, NOW))
    assert tank.imported(data).report["Older than what this site keeps"] == 1


def test_columns_nobody_decided_about_stop_the_import_not_the_check(tank: Tank) -> None:
    data = b"time,level_cm,Notes\n2026-11-20T10:00Z,5,fine\n"
    imported = tank.uploaded(data)
    assert Tally.of(imported.findings["tally"]).new == 1
    with pytest.raises(UnreadableFile, match="“Notes”: Tank has no such metric"):
        working.start_import(imported, Choices(), None)
    carry_out(working.start_import(imported, Choices({"Notes": ""}), None))
    assert tank.values("level_cm") == [5.0]
    with pytest.raises(UnreadableFile, match="No column of the file is a metric"):
        working.start_import(tank.uploaded(b"time\n2026-11-20T10:00Z\n"), Choices(), None)


def test_a_metric_that_goes_meanwhile_ends_the_job_with_a_sentence(
    tank: Tank, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = working.start_import(tank.uploaded(lines("2026-11-20T10:00Z,1,2,ok")), Choices(), None)
    Metric.objects.filter(name="state").delete()
    carry_out(job)
    assert job.state == JobState.FAILED
    assert "“state”: Tank has no such metric" in job.message
    assert not tank.values("level_cm")


def test_a_file_that_is_gone_or_broken_ends_the_job_with_a_sentence(
    tank: Tank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stepping, "PORTION", 2)
    monkeypatch.setattr(checking, "AT_ONCE", 0)
    monkeypatch.setattr(uploads, "AT_ONCE", 0)
    tank.fill(600)
    data = tank.exported("xlsx")
    imported = tank.uploaded(data)
    assert imported.check_job is not None
    assert not imported.findings
    ReadingImportPiece.objects.all().delete()
    carry_out(imported.check_job)
    assert imported.check_job.state == JobState.FAILED
    assert imported.check_job.message == "The file is not kept any more. Upload it again."
    imported = tank.uploaded(data)
    assert imported.check_job is not None
    ReadingImport.objects.all().delete()
    carry_out(imported.check_job)
    assert "was deleted meanwhile" in imported.check_job.message


def test_a_large_file_is_checked_by_a_job(tank: Tank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "AT_ONCE", 1000)
    monkeypatch.setattr(files, "PIECE", 700)
    monkeypatch.setattr(stepping, "PORTION", 11)
    tank.fill(50)
    imported = tank.uploaded(tank.exported("csv"))
    assert imported.check_job is not None
    carry_out(imported.check_job)
    imported.refresh_from_db()
    assert Tally.of(imported.findings["tally"]).same == 150
    assert imported.check_job.report["Already stored"] == 150


def test_a_cancelled_import_keeps_what_it_stored(
    tank: Tank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stepping, "PORTION", 2)
    data = lines(*(f"2026-11-20T10:{minute:02d}Z,{minute},1,ok" for minute in range(10)))
    job = working.start_import(tank.uploaded(data), Choices(), None)
    seconds = count()
    jobs.work_on_jobs(
        lambda: NOW + timedelta(seconds=next(seconds)), timedelta(seconds=3), only=job.pk
    )
    assert jobs.cancel(job, NOW)
    assert 0 < len(tank.values("level_cm")) < 10
    assert files.forget_unused_files(timezone.now()) > 0


def test_a_file_waits_for_a_decision_but_not_for_ever(tank: Tank) -> None:
    tank.uploaded(lines("2026-11-20T10:00Z,1,2,ok"))
    assert files.forget_unused_files(NOW + timedelta(days=1)) == 0
    assert files.forget_unused_files(NOW + timedelta(days=3)) == 1
    with pytest.raises(UnreadableFile, match="Upload it again"):
        working.start_import(ReadingImport.objects.get(), Choices(), None)


def test_a_file_above_the_limit_is_refused_and_nothing_of_it_kept(
    tank: Tank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LARGEST", 100)
    with pytest.raises(UnreadableFile, match="Export shorter ranges"):
        tank.uploaded(lines(*["2026-11-20T10:00Z,1,2,ok"] * 9))
    assert not ReadingImport.objects.exists()
    assert not ReadingImportPiece.objects.exists()
    assert not Job.objects.exists()


def test_readings_of_another_device_go_where_a_person_says_and_it_is_told(tank: Tank) -> None:
    tank.fill(3)
    other = emptied(tank)
    found = other.check(tank.exported("jsonl"))
    said = " ".join(warnings(found, other.device, NOW))
    assert "its readings go into" in said
    assert Tally.of(found["tally"]).new == 9


def test_rows_without_numbers_and_out_of_order_are_imported_and_told(tank: Tank) -> None:
    data = b"time,level_cm\n2026-11-20T10:01Z,5\n2026-11-20T10:00Z,4\n"
    said = " ".join(warnings(tank.check(data), tank.device, NOW))
    assert "no entry numbers" in said
    assert "not in the order of time" in said
    tank.imported(data)
    assert tank.values("level_cm") == [4.0, 5.0]
