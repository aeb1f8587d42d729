"""What the judge counts: how old rows were when first served, how many requests in any window."""

import pytest

from simulator.channels import Channels
from simulator.fleet import FIRST_ID, FleetError, fleet, groups_of
from simulator.journal import Journal, Times
from simulator.tests.conftest import TANK, Site


def arrive(journal: Journal, *instants: float) -> None:
    for at in instants:
        journal.arrive(Times(0.0, at, 0.0), TANK, "/channels", key=False)


def test_the_fullest_window_is_found_wherever_it_lies() -> None:
    journal = Journal()
    arrive(journal, 0.0, 4.0, 9.0, 9.5, 10.0, 13.9, 30.0)
    # 4.0 has left the window that ends with 14.0, not the one that ends with 13.9.
    assert journal.pace(10.0, 0.0, 100.0) == {"arrivals": 7, "most_in_a_window": 5}
    assert journal.pace(10.0, 9.2, 10.0) == {"arrivals": 2, "most_in_a_window": 2}
    assert journal.pace(10.0, 50.0, 60.0) == {"arrivals": 0, "most_in_a_window": 0}


def test_the_window_that_is_full_is_half_open_as_a_strict_servers() -> None:
    journal = Journal()
    arrive(journal, 0.0, 10.0)
    assert journal.pace(10.0, 0.0, 100.0)["most_in_a_window"] == 1


def test_a_row_keeps_the_age_at_which_it_was_first_served(site: Site) -> None:
    site.control("clock", "POST", {"freeze": True})
    site.control("journal", "POST", {"record_rows": True})
    site.json(f"/channels/{TANK}/feeds.json?results=5")
    assert site.control("ages")[str(TANK)] == []  # they are of before
    site.control("clock", "POST", {"advance_s": 60})
    site.json(f"/channels/{TANK}/feeds.json?results=8")
    first = site.control("ages")[str(TANK)]
    assert 5 <= len(first) <= 6
    assert all(0 <= age <= 60 for age in first)
    site.control("clock", "POST", {"advance_s": 600})
    site.json(f"/channels/{TANK}/feeds.json?results=20")
    assert not set(first).isdisjoint(site.control("ages")[str(TANK)])
    ages = site.control("ages")[str(TANK)]
    assert max(ages) < 660


def test_a_row_seen_through_a_fault_is_remembered_once(site: Site) -> None:
    site.control("journal", "POST", {"record_rows": True})
    site.fault("duplicate", channel=TANK)
    for _ in range(3):
        site.json(f"/channels/{TANK}/feeds.json?results=10")
    assert site.control(f"rows?channel={TANK}&served=true")["count"] == 5


def test_pace_is_asked_through_control(site: Site) -> None:
    began = site.control("pace?window_s=60")["now"]
    for _ in range(3):
        site.json(f"/channels/{TANK}/feeds.json")
    counted = site.control(f"pace?window_s=60&since={began}")
    assert (counted["arrivals"], counted["most_in_a_window"]) == (3, 3)
    assert site.get("/control/pace").status == 400


def test_a_fleet_has_the_channels_and_cadences_that_were_asked_for() -> None:
    site = Site(Channels(fleet("3x1,9x300")))
    known = site.control("catalogue")
    assert [one["id"] for one in known] == list(range(FIRST_ID, FIRST_ID + 12))
    assert [one["cadence_s"] for one in known] == [1] * 3 + [300] * 9
    assert sum(one["read_key"] is not None for one in known) == 1
    for channel, cadence in ((FIRST_ID, 1), (FIRST_ID + 5, 300)):
        shown = site.control(f"rows?channel={channel}&limit=50")["rows"]
        assert [number for _, number in shown] == list(range(shown[0][1], shown[0][1] + 50))
        assert len({at for at, _ in shown}) == 50
        newest = site.json(f"/channels/{channel}/feeds/last.json")
        assert newest["entry_id"] == shown[-1][1]
        assert cadence > 0


@pytest.mark.parametrize("text", ["", "5", "5x", "0x10", "5x0", "5x10;3x2"])
def test_a_fleet_told_wrongly_is_refused(text: str) -> None:
    with pytest.raises(FleetError, match="25x10"):
        groups_of(text)
