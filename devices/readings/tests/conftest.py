"""Fixtures of the readings tests: every test runs on whichever engine the suite is started with."""

from __future__ import annotations

import pytest
from django.conf import settings

from devices.readings.store import ReadingStore, get_store

# Partitions are PostgreSQL's alone: there is nothing to test or to skip elsewhere.
on_postgresql = "postgresql" in settings.DATABASES["default"]["ENGINE"]
collect_ignore = [] if on_postgresql else ["test_ordering.py", "test_partitions.py"]


@pytest.fixture
def store() -> ReadingStore:
    """The store of the default database."""
    return get_store()
