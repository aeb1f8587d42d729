"""Both gates, for tests that hold for each of them; what only a database server can do."""

from __future__ import annotations

import pytest
from django.conf import settings

from ingestion.resilience.gate import Gate
from ingestion.tests.gates import Handle, Local, Shared

# SQLite has no server that could go away.
on_postgresql = "postgresql" in settings.DATABASES["default"]["ENGINE"]
collect_ignore = [] if on_postgresql else ["test_database_away.py"]


@pytest.fixture(params=["local", pytest.param("redis", marks=pytest.mark.redis)])
def handle(request: pytest.FixtureRequest) -> Handle:
    """Each of the two gates, with a clock that the test moves."""
    if request.param == "local":
        return Local()
    return Shared(request.getfixturevalue("redis_client"))


@pytest.fixture
def gate(handle: Handle) -> Gate:
    """The gate of `handle`."""
    return handle.gate
