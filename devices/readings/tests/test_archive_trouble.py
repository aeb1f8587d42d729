"""What goes wrong with the archive: nothing is lost, nothing doubled, and it is said in words."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import duckdb
import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client

from devices.models import Metric
from devices.readings.keeping import Cut, TroubleKind
from devices.readings.models import ArchivedFile, ArchivedMetric, ArchiveState, RetentionRule
from devices.readings.paging import all_readings
from devices.readings.retention import prune
from devices.readings.samples import HistoryRequest
from devices.readings.store import ArchiveUnreadable, ReadingStore, dropping
from devices.readings.store.archive import files, running, writing
from devices.readings.tests.archived import (
    APRIL,
    CUT,
    FEBRUARY,
    JANUARY,
    NOW,
    drop,
    fill,
    network,
    statistics,
)

pytestmark = pytest.mark.django_db(transaction=True)


class Cutoff(BaseException):
    """The process is gone: nothing catches this."""


@pytest.fixture(autouse=True)
def archive(settings: Any, tmp_path: Path) -> Iterator[Path]:
    """An archive of the test's own; the clock stands after everything that is written here."""
    settings.ARCHIVE_DIR = tmp_path / "archive"
    with time_machine.travel(NOW, tick=False):
        yield settings.ARCHIVE_DIR


@pytest.fixture
def found(store: ReadingStore) -> list[Metric]:
    """A device that has said something for months."""
    found = network()
    fill(store, found)
    return found


def everything(store: ReadingStore, found: list[Metric]) -> list[Any]:
    """Every reading, and statistics of whole months that no tier answers."""
    level = found[0].pk
    return [
        *(list(all_readings(one.pk, JANUARY, NOW)) for one in found),
        statistics(store, level, JANUARY, NOW, timedelta(days=30, minutes=30)),
    ]


def held(store: ReadingStore, found: list[Metric]) -> int:
    """How many readings the tables hold of before April."""
    return store.held([one.pk for one in found], JANUARY, APRIL)


@contextmanager
def no_room() -> Iterator[None]:
    """Files may not grow beyond a kilobyte: what a full disk does, for this process alone."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    "place",
    [(writing, "_prove"), (files, "publish"), (running, "_enter"), (running, "_mark"),
     (dropping, "_drop_readings"), (dropping, "_remember")],
    ids=lambda place: place[1],
)  # fmt: skip
@pytest.mark.parametrize("afterwards", [False, True], ids=["before", "after"])
def test_cut_off_anywhere_nothing_is_lost_and_nothing_doubled(
    store: ReadingStore,
    found: list[Metric],
    monkeypatch: pytest.MonkeyPatch,
    place: tuple[Any, str],
    afterwards: bool,
) -> None:
    module, name = place
    told, readings = everything(store, found), held(store, found)
    step = getattr(module, name)
    calls = 0

    def cut_off(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        last = calls == 2 or module is dropping  # one month is done
        if last and not afterwards:
            raise Cutoff
        done = step(*args, **kwargs)
        if last:
            raise Cutoff
        return done

    with monkeypatch.context() as patch:
        patch.setattr(module, name, cut_off)
        with pytest.raises(Cutoff):
            drop(store)
    assert everything(store, found) == told

    drop(store)

    assert everything(store, found) == told
    assert held(store, found) == 0
    names = set(ArchivedFile.objects.values_list("name", flat=True))
    assert len(names) == 3
    assert sum(ArchivedMetric.objects.values_list("readings", flat=True)) == readings
    assert {
        str(one.relative_to(files.directory())) for one in files.directory().rglob("*.parquet")
    } == names
    assert not list(files.directory().glob(f"{files.UNFINISHED}*"))


def test_a_full_disk_drops_nothing(store: ReadingStore, found: list[Metric]) -> None:
    told = everything(store, found)

    with no_room():
        dropped = drop(store)

    assert dropped.trouble is not None
    assert dropped.trouble.kind is TroubleKind.FULL
    assert "no room left" in dropped.trouble.message
    assert not ArchivedFile.objects.exists()
    assert list(files.directory().iterdir()) == [files.directory() / files.LOCK]
    assert everything(store, found) == told

    again = drop(store)
    assert (again.trouble, held(store, found)) == (None, 0)
    assert everything(store, found) == told


def test_an_archive_that_cannot_be_used_stops_nobody_else(
    store: ReadingStore, found: list[Metric], archive: Path, settings: Any
) -> None:
    plain = network()
    fill(store, plain)
    told = everything(store, found)
    (archive.parent / "file").write_text("no directory")
    settings.ARCHIVE_DIR = archive.parent / "file" / "archive"

    dropped = store.drop({found[0].device_id: Cut(CUT, archive=True), plain[0].device_id: Cut(CUT)})

    assert dropped.trouble is not None
    assert dropped.trouble.kind is TroubleKind.UNWRITABLE
    assert "Not a directory" in dropped.trouble.message
    assert everything(store, found) == told
    assert held(store, plain) == 0


def test_a_file_that_is_not_what_was_written_is_not_taken(
    store: ReadingStore, found: list[Metric], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = everything(store, found)
    monkeypatch.setattr(writing, "_READINGS", f"{writing._READINGS} LIMIT 100")

    dropped = drop(store)

    assert dropped.trouble is not None
    assert dropped.trouble.kind is TroubleKind.DIFFERS
    assert not ArchivedFile.objects.exists()
    assert everything(store, found) == told


def test_one_process_writes_at_a_time(store: ReadingStore, found: list[Metric]) -> None:
    told = everything(store, found)
    with files.only_writer() as first:
        assert first
        dropped = drop(store)
    assert (dropped.trouble, dropped.archived) == (None, 0)
    assert not ArchivedFile.objects.exists()
    assert everything(store, found) == told
    assert drop(store).archived > 0


@pytest.mark.parametrize("damage", ["missing", "cut short", "other bytes", "empty"])
def test_a_damaged_file_is_refused_in_words(
    store: ReadingStore, found: list[Metric], client: Client, damage: str
) -> None:
    drop(store)
    name = ArchivedFile.objects.earliest("month").name
    file = files.path_of(name)
    content = file.read_bytes()
    if damage == "missing":
        file.unlink()
    else:
        middle = len(content) // 2
        changed = {"cut short": content[:middle], "empty": b"",
                   "other bytes": b"PAR1" + b"\xff" * (len(content) - 8) + b"PAR1"}  # fmt: skip
        file.write_bytes(changed[damage])
    client.force_login(User.objects.create_superuser("admin"))
    level = found[0]

    with pytest.raises(ArchiveUnreadable, match=name):
        store.history(HistoryRequest(level.pk, JANUARY, NOW))
    assert store.history(HistoryRequest(level.pk, FEBRUARY, NOW))  # other months are fine
    asked = "start=2026-01-01T00:00:00Z&end=2026-02-01T00:00:00Z"
    client.raise_request_exception = False
    for path in ("measures/?width=30m&",
                 "measures/?measures=p50&width=all&", "history/?"):  # fmt: skip
        answer = client.get(f"/api/v1/metrics/{level.pk}/{path}{asked}")
        assert answer.status_code == 503, path
        (error,) = answer.json()["errors"]
        assert name in error["detail"]
        assert str(files.directory()) not in error["detail"]
    at = "at=2026-01-20T00:00:00Z"
    assert client.get(f"/api/v1/metrics/{level.pk}/explanation/?{at}").status_code == 503
    explained = client.get(f"/admin/ingestion/status/explain/?metric={level.pk}&{at}")
    assert (explained.status_code, name in explained.content.decode()) == (200, True)
    with pytest.raises(CommandError, match="1 of the archive's files"):
        call_command("check_archive", stderr=StringIO())
    page = client.get("/admin/readings/retentionrule/").content.decode()
    assert ("missing or damaged" in page) is (damage != "other bytes")

    file.write_bytes(content)
    assert store.history(HistoryRequest(level.pk, JANUARY, NOW, limit=1))[0].at == JANUARY
    said = StringIO()
    call_command("check_archive", stdout=said)
    assert "3 files of 3 months" in said.getvalue()


def test_the_archive_by_rules_and_its_page(
    store: ReadingStore, found: list[Metric], client: Client
) -> None:
    told = everything(store, found)
    RetentionRule.objects.all().delete()
    RetentionRule.objects.create(readings_days=45, hours_days=None, archive=True)
    RetentionRule.objects.update(changed_at=JANUARY)
    client.force_login(User.objects.create_superuser("admin"))

    def page() -> str:
        return client.get("/admin/readings/retentionrule/").content.decode()

    assert "within the hour</strong> to the archive" in page()
    assert "45 days, then in the archive" in page()
    assert "What the archive holds" not in page()
    with no_room():
        prune(NOW)
    assert "no room left for the archive" in page()
    assert ArchiveState.objects.get().since == NOW

    prune(NOW)

    assert everything(store, found) == told
    assert held(store, found) == 0
    assert ArchiveState.objects.get().kind == ""
    assert "no room left" not in page()
    assert "What the archive holds" in page()
    for month in ("January 2026", "February 2026", "March 2026"):
        assert month in page()


def test_what_a_chart_reads_of_a_year_is_not_every_file(store: ReadingStore) -> None:
    """A file of a metric that said nothing in it is not opened: others may be damaged."""
    first, second = network(), network()
    fill(store, first)
    drop(store, FEBRUARY + (CUT - APRIL))
    for file in files.directory().rglob("*.parquet"):
        file.write_bytes(b"")
    assert store.history(HistoryRequest(second[0].pk, JANUARY, NOW)) == []
    with pytest.raises(ArchiveUnreadable):
        store.history(HistoryRequest(first[0].pk, JANUARY, NOW))


def test_what_is_being_written_is_no_part_of_the_archive(
    store: ReadingStore, found: list[Metric], archive: Path
) -> None:
    """What a process left that died is cleared away by the next one."""
    left = archive / f"{files.UNFINISHED}abc"
    left.mkdir(parents=True)
    with duckdb.connect() as other:
        other.execute(f"COPY (SELECT 1 AS x) TO '{left / 'month.parquet'}' (FORMAT parquet)")
    drop(store)
    assert not left.exists()
