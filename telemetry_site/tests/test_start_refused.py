"""A start that cannot succeed says why, where the person looks, and changes nothing."""

from __future__ import annotations

import socket
import sqlite3
from pathlib import Path

import pytest

from scripts.servers import free_port
from telemetry_site.tests.whole_site import Site

pytestmark = pytest.mark.timeout(300)


def test_a_second_start_on_the_same_directory_is_refused(site: Site, second: Site) -> None:
    site.start(until="Web answers")
    assert site.process is not None
    said = second.refuse(DATA_DIR=str(site.data_dir))
    assert f"already running with DATA_DIR {site.data_dir} (process {site.process.pid})" in said
    assert site.get("/healthz") == 200


def test_port_in_use(site: Site) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", site.port))
        other.listen()
        said = site.refuse()
    assert f"Port {site.port} (PORT) is in use by another program" in said
    assert "make run PORT=" in said


def test_port_that_is_no_number(site: Site) -> None:
    assert "PORT must be a number from 1 to 65535, not 'http'" in site.refuse(PORT="http")


def test_directory_that_cannot_be_used(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = site.refuse(DATA_DIR=str(tmp_path / "file" / "var"))
    assert "cannot be used by user" in said
    assert "make run DATA_DIR=" in said


def test_redis_that_does_not_answer(site: Site) -> None:
    url = f"redis://:a-password@127.0.0.1:{free_port()}/0"
    said = site.refuse(REDIS_URL=url)
    assert "Redis at REDIS_URL (127.0.0.1) does not answer" in said
    assert "a-password" not in said


def test_lost_encryption_key_is_never_replaced(site: Site) -> None:
    site.start(until="Administrator exists")
    site.stop()
    key = site.data_dir / "field_encryption.key"
    kept = key.read_text()
    key.unlink()

    said = site.refuse()
    assert f"encryption key {key} is missing" in said
    assert "Restore that file from your backup" in said
    assert not key.exists()

    key.write_text("dGVzdC1vbmx5LWtleS10ZXN0LW9ubHkta2V5LTAwMDA=")
    assert "encryption key does not fit this database" in site.refuse()

    key.write_text(kept)
    site.start(until="✓ Encryption key fits the database")
    assert site.stop() == 0


def test_locked_database(site: Site) -> None:
    site.data_dir.mkdir()
    database = sqlite3.connect(site.data_dir / "telemetry.sqlite3", isolation_level=None)
    database.execute("CREATE TABLE other (id)")
    database.execute("BEGIN EXCLUSIVE")
    try:
        said = site.refuse()
    finally:
        database.close()
    assert "is locked by another program" in said
    assert "then start again" in said
