"""Characters that one database takes and another does not cost nobody a restored site."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from devices.models import Community, KeyCheck
from devices.readings.backup import check, write_backup
from devices.readings.backup.contents import MANIFEST, entry_of
from devices.readings.models import ReadingImport
from devices.readings.tests.network import device

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2027, 1, 1, tzinfo=UTC)


def imported() -> ReadingImport:
    return ReadingImport.objects.create(
        device=device(), file_name="SCHWARZ.csv", created_at=NOW,
        findings={"columns": [{"name": "Temperature (SCHWARZC)"}], "WEISS": "😀 é"},
    )  # fmt: skip


def written_with(source: Path, target: Path, changes: Mapping[bytes, bytes]) -> None:
    """The backup as a site on SQLite may have written it."""
    table = ReadingImport._meta.db_table
    with zipfile.ZipFile(source) as whole, zipfile.ZipFile(target, "w") as copy:
        manifest = json.loads(whole.read(MANIFEST))
        rows = whole.read(entry_of(table))
        for old, new in changes.items():
            rows = rows.replace(old, new)
        manifest["checksums"][table] = hashlib.sha256(rows).hexdigest()
        for name in whole.namelist():
            ours = {entry_of(table): rows, MANIFEST: json.dumps(manifest).encode()}
            copy.writestr(name, ours.get(name) or whole.read(name))


@pytest.mark.usefixtures("shared_database")
def test_they_are_replaced_and_told_and_all_else_comes_back(tmp_path: Path) -> None:
    KeyCheck.ensure()
    imported()
    Community.objects.update(name="Ambapur 😀")
    file, older = tmp_path / "site.zip", tmp_path / "older.zip"
    write_backup(file, NOW)
    written_with(file, older, {b"(SCHWARZC)": b"(\\udcb0C)", b"SCHWARZ": b"\\u0000"})
    check(older)
    said = StringIO()
    call_command("restore", str(older), "--replace", stdout=said, stderr=said)
    found = ReadingImport.objects.get()
    assert found.file_name == "\ufffd.csv"
    assert found.findings == {"columns": [{"name": "Temperature (\ufffdC)"}], "WEISS": "😀 é"}
    assert "readings_readingimport: 1 row had characters" in said.getvalue()
    assert said.getvalue().count("had characters") == 1
    assert Community.objects.get().name == "Ambapur 😀"


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite takes texts of any length")
def test_a_text_that_the_database_refuses_is_told_and_changes_nothing(tmp_path: Path) -> None:
    KeyCheck.ensure()
    imported()
    file, other = tmp_path / "site.zip", tmp_path / "other.zip"
    write_backup(file, NOW)
    written_with(file, other, {b"SCHWARZ.csv": b"x" * 256})
    with pytest.raises(CommandError, match="refuses what readings_readingimport holds: value too"):
        call_command("restore", str(other), "--replace")
    assert ReadingImport.objects.get().file_name == "SCHWARZ.csv"


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL refuses them")
def test_rows_of_older_versions_are_read_fit() -> None:
    kept = imported()
    kept.findings = {"columns": [{"name": "Temperature (\udcb0C)", "unit": "\0"}]}
    kept.options = {"columns": {"Temperature (\udcb0C)": "", "other": None}, "replace": False}
    kept.save()
    found = ReadingImport.objects.get()
    assert found.findings == {"columns": [{"name": "Temperature (\ufffdC)", "unit": "\ufffd"}]}
    assert found.options["columns"] == {"Temperature (\ufffdC)": "", "other": None}
    assert ReadingImport.objects.only("file_name").get().file_name == "SCHWARZ.csv"
