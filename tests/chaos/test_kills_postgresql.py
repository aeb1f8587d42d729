"""A site with a database server, which dies too: no reading is lost or doubled."""

from __future__ import annotations

import pytest

from scripts.postgresql import Server
from tests.chaos.conftest import Besiege
from tests.chaos.kills import FLEET, TIMEOUT_S, harms_of, harms_of_server, prove
from tests.chaos.scale import LONG, scaled

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(TIMEOUT_S)]

MINUTES = scaled("CHAOS_KILLS_MINUTES", 0, 30)


def test_nothing_is_lost_or_doubled(postgresql: Server, besiege: Besiege) -> None:
    site = besiege(FLEET, postgresql)
    # What happens to any site happens to the other one as well.
    more = harms_of(site) if LONG else {}
    prove(site, "kills, PostgreSQL", {**harms_of_server(postgresql), **more}, MINUTES)
