"""Both gates, for tests that hold for each of them."""

from __future__ import annotations

import pytest

from ingestion.resilience.gate import Gate
from ingestion.tests.gates import Handle, Local, Shared


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
