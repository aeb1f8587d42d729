"""manage.py tells of a database that cannot be used in words, and ends with 1, whatever it ran."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from cryptography.fernet import Fernet
from django.db import OperationalError, connection

from scripts.servers import free_port
from telemetry_site.start.database import problem_of
from telemetry_site.tests.whole_site import PROJECT


def run(directory: Path, url: str, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "DATA_DIR": str(directory),
        "DATABASE_URL": url,
        "DJANGO_SETTINGS_MODULE": "telemetry_site.settings",
        "SECRET_KEY": "of a test",
        "FIELD_ENCRYPTION_KEY": Fernet.generate_key().decode(),
    }
    command = [sys.executable, "manage.py", *words]
    return subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "words", [["check", "--database", "default"], ["export_readings", "--community", "ambapur"]]
)
def test_a_server_that_is_not_there_is_told(tmp_path: Path, words: list[str]) -> None:
    port = free_port()
    url = f"postgres://someone:a-password@127.0.0.1:{port}/telemetry"
    ended = run(tmp_path, url, *words)
    assert ended.returncode == 1
    assert f"PostgreSQL at 127.0.0.1:{port} cannot be used" in ended.stderr
    assert "then run the command again" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "a-password" not in ended.stderr
    assert "Traceback" in run(tmp_path, url, *words, "--traceback").stderr


def test_a_database_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    ended = run(tmp_path, f"sqlite:///{tmp_path}/missing/x", "check", "--database", "default")
    assert ended.returncode == 1
    assert "unable to open database file." in ended.stderr
    assert "Traceback" not in ended.stderr


def failed(said: str, cause: Exception | None) -> OperationalError:
    error = OperationalError(said)
    error.__cause__ = cause
    return error


def test_what_the_engine_of_readings_says_stands_alone() -> None:
    error = failed("ClickHouse at example does not answer", RuntimeError())
    assert problem_of(error, "try again") == "ClickHouse at example does not answer."


def test_a_full_disk_is_told_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "vendor", "sqlite")
    text = problem_of(failed("database or disk is full", sqlite3.OperationalError()), "try again")
    assert "is full.\nMake room on its disk, then try again." in text


def test_what_a_driver_says_on_several_lines_stands_on_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "vendor", "postgresql")
    text = problem_of(failed("refused\n\tIs it there?\n", psycopg.OperationalError()), "go on")
    assert "cannot be used: refused Is it there?\nStart it" in text
