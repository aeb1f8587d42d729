"""The generated network: deterministic, continuous, plausible, and with its special cases."""

import json
from itertools import pairwise

import pytest

from simulator.channels import Row
from simulator.network import ANCHOR, ORIGIN, GeneratedChannel, network
from simulator.tests.conftest import DEAD, EMPTY, NOW, NULLS, TANK, Site
from simulator.waterworks import DAY, HOUR, Works

CHANNELS = {channel.facts.id: channel for channel in network(dead_since=NOW - 3 * HOUR)}


def _keys(rows: list[Row]) -> list[tuple[object, ...]]:
    return [(row.at, row.entry_id, row.values) for row in rows]


@pytest.mark.parametrize("channel", CHANNELS.values(), ids=map(str, CHANNELS))
def test_a_row_is_the_same_however_it_is_asked_for(channel: GeneratedChannel) -> None:
    until = NOW - 10 * DAY
    rows = channel.rows(until - HOUR, until, 8000, NOW)
    assert _keys(channel.rows(None, until, len(rows), NOW)) == _keys(rows)
    if channel.facts.id != DEAD:
        assert _keys(channel.rows(until - HOUR, None, 8000, until)) == _keys(rows)
    fresh = next(new for new in network(NOW - 3 * HOUR) if new.facts.id == channel.facts.id)
    again = [fresh.entry(int(row.entry_id or 0), NOW) for row in reversed(rows)]
    assert _keys([row for row in reversed(again) if row]) == _keys(rows)


@pytest.mark.parametrize("channel", CHANNELS.values(), ids=map(str, CHANNELS))
def test_rows_stay_inside_their_window_and_numbers_have_no_gaps(channel: GeneratedChannel) -> None:
    rows = channel.rows(NOW - 2 * HOUR, NOW - HOUR, 8000, NOW)
    assert all(NOW - 2 * HOUR <= row.at <= NOW - HOUR for row in rows)
    times, numbers = [row.at for row in rows], [int(row.entry_id or 0) for row in rows]
    assert times == sorted(set(times))
    assert all(later == earlier + 1 for earlier, later in pairwise(numbers))


def test_nothing_exists_before_the_beginning_or_after_now() -> None:
    tank = CHANNELS[TANK]
    assert tank.rows(None, ORIGIN, 100, NOW) == []
    assert tank.last_entry_id(ORIGIN - 1) is None
    first = tank.rows(None, ORIGIN + HOUR, 8000, NOW)[0]
    assert first.entry_id == 1
    assert all(row.at <= NOW for row in tank.rows(None, NOW + DAY, 10, NOW))
    assert tank.entry((tank.last_entry_id(NOW) or 0) + 1, NOW) is None


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_water_is_conserved_and_pumps_rest_between_batches(seed: int) -> None:
    works = Works(seed, ORIGIN)
    step = 60.0
    starts = 0
    for minute in range(5 * 1440):
        at = ANCHOR - 200 * DAY + minute * step
        # No jump: a minute changes a level by what pumps and taps can move in a minute.
        change = works.tank_cm(at + step) - works.tank_cm(at)
        assert abs(change) <= works.lift_m3h / works.tank_area_m2 * 100 / 60 + 0.01
        assert 80 < works.tank_cm(at) < works.tank_height_cm
        assert 20 < works.sump_cm(at) <= works.sump_full_cm + 0.01
        assert works.energy_kwh(at + step) > works.energy_kwh(at)
        assert works.drawn(at + step) >= works.drawn(at)
        starts += works.lift_on(at + step) and not works.lift_on(at)
        if works.lift_on(at) and works.lift_on(at + step):
            assert change > 0
    assert 6 <= starts <= 15


def test_demand_peaks_in_the_morning_and_the_evening() -> None:
    works = Works(5, ORIGIN)
    midnight = ANCHOR - 5.5 * HOUR
    flows = [works.draw_m3h(midnight + hour * HOUR) for hour in range(24)]
    assert max(range(12), key=flows.__getitem__) == 7
    assert 12 + max(range(12), key=flows[12:].__getitem__) == 19
    assert flows[3] < flows[7] / 10


def test_a_day_of_history_years_from_the_anchor_is_there(site: Site) -> None:
    site.clock.run(at=ANCHOR + 900 * DAY)
    rows = site.json(f"/channels/{TANK}/feeds.json?days=1")["feeds"]
    assert len(rows) > 7800
    assert 80 < float(rows[0]["field1"]) < 320


def test_the_dead_sensor_is_silent_for_three_hours_at_least_and_stays_dead() -> None:
    dead = CHANNELS[DEAD]
    for later in (-DAY, 0, DAY):
        newest = dead.rows(None, None, 1, NOW + later)[0].at
        assert newest <= NOW + later - 3 * HOUR
    assert dead.last_entry_id(NOW + DAY) == dead.last_entry_id(NOW)


def test_one_channel_has_an_occasional_null_and_one_never_reported() -> None:
    rows = CHANNELS[NULLS].rows(None, None, 4000, NOW)
    missing = sum(row.values[1] is None for row in rows)
    assert 80 < missing < 240
    assert all(row.values[0] is not None for row in rows)
    assert CHANNELS[EMPTY].rows(None, None, 8000, NOW) == []


def test_the_catalogue_tells_what_seeding_needs(site: Site) -> None:
    catalogue = site.control("catalogue")
    assert len(catalogue) == 24
    assert len({entry["village"] for entry in catalogue}) == 3
    tank = next(entry for entry in catalogue if entry["id"] == TANK)
    assert tank["tank_height_cm"] == 320
    assert tank["fields"]["field1"] == "Water Level (cm)"
    keys = [entry["read_key"] for entry in catalogue if entry["read_key"]]
    assert len(keys) == len(set(keys)) == 6
    assert all(len(key) == 16 and key.startswith("DEMO") for key in keys)
    assert min(entry["cadence_s"] for entry in catalogue) == 10
    json.dumps(catalogue)
