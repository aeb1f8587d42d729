"""Fixtures of the readings tests: every test runs on whichever engine the suite is started with."""

from __future__ import annotations

import pytest

from devices.readings.store import ReadingStore, get_store


@pytest.fixture
def store() -> ReadingStore:
    """The store of the default database."""
    return get_store()
