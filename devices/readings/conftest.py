"""What the tests of readings have in common, on every engine."""

from __future__ import annotations

import pytest

from devices.readings.tests.network import empty_rows


@pytest.fixture(autouse=True)
def nothing_stored() -> None:
    """What a test before left where no transaction is undone."""
    empty_rows()
