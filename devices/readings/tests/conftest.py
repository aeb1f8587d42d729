"""Fixtures of the readings tests: every test runs on whichever engine the suite is started with."""

from __future__ import annotations

import pytest
from django.conf import settings

from devices.readings.store import ReadingStore, get_store

# What is one engine's alone: there is nothing to test or to skip elsewhere.
on_postgresql = "postgresql" in settings.DATABASES["default"]["ENGINE"]
on_clickhouse = settings.READINGS_ADDRESS is not None
collect_ignore = [
    *(
        []
        if on_postgresql and not on_clickhouse
        else ["test_arrays.py", "test_ordering.py", "test_partitions.py"]
    ),
    *([] if on_clickhouse else ["test_clickhouse_undone.py", "test_backup_clickhouse.py"]),
]


@pytest.fixture
def store() -> ReadingStore:
    """The store that the settings name."""
    return get_store()
