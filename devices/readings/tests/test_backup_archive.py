"""A backup holds the archive's files as well; restored, a chart reaches back as far as before."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command

from devices.models import KeyCheck, Metric
from devices.readings.backup import BackupUnusable, Contents, check, restore, write_backup
from devices.readings.backup.contents import MANIFEST
from devices.readings.paging import all_readings
from devices.readings.samples import Reading
from devices.readings.store import ArchiveUnreadable, ReadingStore
from devices.readings.store.archive import files
from devices.readings.tests.archived import JANUARY, NOW, drop, fill, network

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("shared_database"),
]


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def level(shared_database: None, store: ReadingStore, settings: Any, tmp_path: Path) -> Metric:
    """One of whose readings the older ones are in the archive."""
    settings.ARCHIVE_DIR = tmp_path / "archive"
    KeyCheck.ensure()
    found = network()
    fill(store, found)
    drop(store)
    return found[0]


def readings(metric: Metric) -> list[Reading]:
    return list(all_readings(metric.pk, JANUARY, NOW))


def archived() -> list[Path]:
    return sorted(files.directory().rglob("*.parquet"))


def said(*command: str) -> str:
    out = StringIO()
    call_command(*command, stdout=out, stderr=out)
    return out.getvalue()


def test_a_restored_site_has_its_archive(level: Metric, tmp_path: Path) -> None:
    before, names, file = readings(level), archived(), tmp_path / "site.zip"
    assert f"With {len(names)} files of archived readings" in said("backup", str(file))
    shutil.rmtree(files.directory())
    with pytest.raises(ArchiveUnreadable):
        readings(level)

    assert check(file).files.keys() == {str(one.relative_to(files.directory())) for one in names}
    restore(file, replace=True)

    assert archived() == names
    assert readings(level) == before
    assert "all as they were written" in said("check_archive")


def test_files_that_are_there_are_not_written_again(level: Metric, tmp_path: Path) -> None:
    file = tmp_path / "site.zip"
    write_backup(file, NOW)
    whole, damaged = archived()[:2]
    stamp = whole.stat().st_mtime_ns
    damaged.write_bytes(b"broken")

    restore(file, replace=True)

    assert whole.stat().st_mtime_ns == stamp
    assert "all as they were written" in said("check_archive")


def test_a_file_that_is_missing_is_named_and_costs_nothing_else(
    level: Metric, tmp_path: Path
) -> None:
    file, (lost, *_) = tmp_path / "site.zip", archived()
    lost.unlink()
    with pytest.raises(CommandError, match=f"without 1 of the archive's files.*{lost.name}"):
        said("backup", str(file))
    assert len(check(file).files) == len(archived())
    restore(file, replace=True)


def test_without_the_archive_its_files_are_only_named(level: Metric, tmp_path: Path) -> None:
    file = tmp_path / "site.zip"
    assert f"Copy {files.directory()} too" in said("backup", str(file), "--without-archive")
    assert check(file).files == {}


def test_a_backup_whose_files_are_not_what_was_written_changes_nothing(
    level: Metric, tmp_path: Path
) -> None:
    file, damaged, hostile = (tmp_path / name for name in ("a.zip", "b.zip", "c.zip"))
    contents = write_backup(file, NOW)
    name = next(iter(contents.files))
    before = readings(level)
    with (
        zipfile.ZipFile(file) as whole,
        zipfile.ZipFile(damaged, "w") as broken,
        zipfile.ZipFile(hostile, "w") as leading_away,
    ):
        for entry in whole.namelist():
            content = whole.read(entry)
            broken.writestr(entry, content[:-1] if entry.endswith(name) else content)
            if entry == MANIFEST:
                content = _renamed(contents, name, "../../evil.parquet").document()
            away = entry.endswith(name)
            leading_away.writestr("archive/../../evil.parquet" if away else entry, content)

    for unusable, words in ((damaged, "is not as it was written"), (hostile, "none of an archive")):
        with pytest.raises(BackupUnusable, match=words):
            restore(unusable, replace=True)
    assert readings(level) == before
    assert not list(tmp_path.parent.rglob("evil.parquet"))


def _renamed(contents: Contents, name: str, other: str) -> Contents:
    held = {other if one == name else one: whole for one, whole in contents.files.items()}
    return replace(contents, files=held)
