"""The site's own connections to SQLite keep to the writers' lane."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.db import OperationalError, connections, transaction

from devices.models import Community
from devices.sqlite.base import DatabaseWrapper
from devices.sqlite.lane import Lane

pytestmark = pytest.mark.usefixtures("shared_database")


def held(site: DatabaseWrapper) -> bool:
    """Whether this connection keeps others from writing."""
    return site.lane is not None and site.lane.held


def test_a_write_waits_for_the_lane_and_says_so_when_it_gives_up() -> None:
    """Transactions and single statements alike; readers never wait."""
    site = connections["default"]
    assert isinstance(site, DatabaseWrapper)
    other = Lane(Path(str(site.settings_dict["NAME"])), patience=60)
    site.ensure_connection()
    assert site.lane is not None
    site.lane._patience = 0.01
    other.enter()
    with pytest.raises(OperationalError, match="locked"), transaction.atomic():
        pass
    with pytest.raises(OperationalError, match="locked"):
        Community.objects.create(name="Hill", slug="hill", zone="UTC")
    assert Community.objects.count() == 0
    other.leave()
    Community.objects.create(name="Hill", slug="hill", zone="UTC")
    assert not held(site)
    other.close()


def test_a_transaction_holds_the_lane_until_it_ends() -> None:
    """However it ends."""
    site = connections["default"]
    assert isinstance(site, DatabaseWrapper)
    with transaction.atomic():
        assert held(site)
        Community.objects.create(name="Hill", slug="hill", zone="UTC")
        with transaction.atomic():
            Community.objects.update(name="Dale")
        assert held(site)
    assert not held(site)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        raise ZeroDivisionError
    assert not held(site)
    assert Community.objects.get().name == "Dale"
