"""Fixtures of the readings tests: every test runs on whichever engine the suite is started with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site

from devices.readings.address import Address
from devices.readings.moving.clickhouse import Clickhouse
from devices.readings.moving.database import Database
from devices.readings.moving.pages import Carrier
from devices.readings.store import ReadingStore, get_store, store_at
from devices.readings.store.clickhouse import Server
from devices.readings.store.clickhouse.schema import COLUMNS

# What is one engine's alone: there is nothing to test or to skip elsewhere.
on_postgresql = "postgresql" in site.DATABASES["default"]["ENGINE"]
on_clickhouse = site.READINGS_ADDRESS is not None
collect_ignore = [
    *(
        []
        if on_postgresql and not on_clickhouse
        else ["test_arrays.py", "test_ordering.py", "test_partitions.py", "test_sampling.py"]
    ),
    *([] if on_clickhouse else ["test_clickhouse_undone.py", "test_backup_clickhouse.py"]),
]


@pytest.fixture
def store() -> ReadingStore:
    """The store that the settings name."""
    return get_store()


@pytest.fixture(scope="session")
def elsewhere_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The server that the suite is started with, or ClickHouse's engine in this process."""
    if site.READINGS_ADDRESS is not None:
        return os.environ["READINGS_URL"]
    return f"chdb://{tmp_path_factory.mktemp('clickhouse')}"


@pytest.fixture(scope="session")
def elsewhere(elsewhere_url: str) -> Address:
    """Where readings move to."""
    address = Address.of(elsewhere_url)
    assert address is not None
    return address


@pytest.fixture
def sides(elsewhere: Address, settings: Any, tmp_path: Path) -> tuple[Carrier, Carrier]:
    """The database, where the site keeps its readings, and an empty ClickHouse."""
    settings.READINGS_ADDRESS = None
    settings.DATA_DIR = tmp_path
    server = Server.of(elsewhere)
    for table in COLUMNS:
        server.run(f"TRUNCATE TABLE {table}")
    return Database(store_at(None).engine), Clickhouse(server)
