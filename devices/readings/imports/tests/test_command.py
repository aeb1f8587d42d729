"""`manage.py import_readings`: what it says, what it stores, and how it ends."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import OperationalError

from devices.readings.export import FORMATS
from devices.readings.imports import working
from devices.readings.imports.tests.scene import Tank
from devices.readings.models import ReadingImport, ReadingImportPiece
from devices.readings.tests.network import START

pytestmark = pytest.mark.django_db
LINE = b"time,level_cm\n2026-11-20T10:00Z,5\n"


@pytest.fixture
def tank() -> Tank:
    return Tank.make()


def run(*words: Any) -> str:
    said = io.StringIO()
    with time_machine.travel(START.replace(year=2027), tick=False):
        call_command("import_readings", *map(str, words), stdout=said, stderr=io.StringIO())
    return said.getvalue()


@pytest.mark.parametrize("form", list(FORMATS))
def test_a_file_finds_its_device_and_comes_in(tank: Tank, tmp_path: Path, form: str) -> None:
    tank.fill(5)
    file = tmp_path / "whatever-it-is-called"
    file.write_bytes(tank.exported(form))
    named = ["--device", tank.device.uuid] if form == "csv" else []
    assert "Already stored: 15" in run(file, *named)
    other = Tank.make()
    said = json.loads(run(file, "--device", other.device.uuid, "--json", "--dry-run"))
    assert said["New readings"] == 15
    assert not other.values("level_cm")
    assert json.loads(run(file, "--device", other.device.uuid, "--json"))["New readings"] == 15
    assert other.values("level_cm") == tank.values("level_cm")
    assert not ReadingImportPiece.objects.exists()


def test_refused_rows_end_with_their_own_exit_code(tank: Tank, tmp_path: Path) -> None:
    file = tmp_path / "readings.csv"
    file.write_bytes(LINE + b"2026-11-20T10:01Z,x\n")
    for words in (["--dry-run"], []):
        with pytest.raises(SystemExit) as ended:
            run(file, "--device", tank.device.name, *words)
        assert ended.value.code == 3
    assert tank.values("level_cm") == [5.0]


def test_columns_can_be_said(tank: Tank, tmp_path: Path) -> None:
    file = tmp_path / "readings.csv"
    file.write_bytes(LINE.replace(b"level_cm", b"Lvl"))
    said = run(file, "--device", tank.device.uuid, "--dry-run")
    assert "Lvl: not clear" in said
    assert "Tank has no such metric" in said
    with pytest.raises(CommandError, match="It is not clear what some columns are"):
        run(file, "--device", tank.device.uuid)
    assert not ReadingImport.objects.exists()
    run(file, "--device", tank.device.uuid, "--column", "Lvl=depth_cm")
    assert tank.values("depth_cm") == [5.0]


def test_what_does_not_work_is_told_in_a_sentence(tank: Tank, tmp_path: Path) -> None:
    file = tmp_path / "readings.csv"
    file.write_bytes(LINE)
    Tank.make()
    for words, says in (
        ([tmp_path / "missing"], "cannot be read: No such file"),
        ([file], "Choose the device"),
        ([file, "--device", "Nobody's"], "no such device"),
        ([file, "--device", "Tank"], "Several devices fit"),
        ([file, "--device", tank.device.uuid, "--column", "x"], "TITLE=metric_name"),
    ):
        with pytest.raises(CommandError, match=says):
            run(*words)


def test_a_database_that_fails_meanwhile_is_told_and_nothing_is_half_stored(
    tank: Tank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def store(samples: Any) -> None:
        write(samples)
        raise OperationalError("database or disk is full\n")

    file, write = tmp_path / "readings.csv", working._store
    file.write_bytes(LINE)
    words = [file, "--device", tank.device.uuid]
    monkeypatch.setattr(working, "_store", store)
    says = r"cannot be used: database or disk is full\. .* job \d+ goes on in the worker"
    with pytest.raises(CommandError, match=says) as told:
        run(*words)
    assert told.value.returncode == 1
    assert not tank.values("level_cm")
    monkeypatch.setattr(working, "_store", write)
    run(*words)
    assert tank.values("level_cm") == [5.0]
