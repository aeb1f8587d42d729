"""The site as `make run` starts it: whatever dies comes back, no reading is lost or doubled."""

from __future__ import annotations

import pytest

from tests.chaos.conftest import Besiege
from tests.chaos.kills import FLEET, TIMEOUT_S, harms_of, prove

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(TIMEOUT_S)]


def test_nothing_is_lost_or_doubled(besiege: Besiege) -> None:
    site = besiege(FLEET)
    prove(site, "kills, SQLite", harms_of(site))
