"""Fixtures of the readings tests: every test runs on whichever engine the suite is started with."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from devices.readings.store import ReadingStore, get_store

# Partitions are PostgreSQL's alone: there is nothing to test or to skip elsewhere.
on_postgresql = "postgresql" in settings.DATABASES["default"]["ENGINE"]
collect_ignore = [] if on_postgresql else ["test_partitions.py"]


@pytest.fixture
def store() -> ReadingStore:
    """The store of the default database."""
    return get_store()


@pytest.fixture
def shared_database(transactional_db: None, tmp_path: Path) -> Iterator[None]:
    """A database that several threads may really use: SQLite's in memory becomes a file."""
    if connection.vendor != "sqlite":
        yield
        return
    connection.ensure_connection()
    memory = connection.connection
    file = tmp_path / "readings.sqlite3"
    target = sqlite3.connect(file)
    memory.backup(target)
    target.close()
    name = connection.settings_dict["NAME"]
    connection.connection = None
    connection.settings_dict["NAME"] = str(file)
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = name
        connection.connection = memory
