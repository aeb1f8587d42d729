"""The demonstration network: three villages of eight channels whose every row is a function of the
clock.

Row `i` of a channel is due at `created + i * cadence` plus a second or two of jitter and has entry
number `i + 1`, so history of any length exists without being stored.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from simulator import equipment
from simulator.channels import Facts, Row
from simulator.equipment import Equipment
from simulator.noise import uniform
from simulator.times import json_form
from simulator.waterworks import DAY, HOUR, Works

ANCHOR = 1795132800.0
"""2026-11-20 00:00 UTC."""
ORIGIN = ANCHOR - 400 * DAY
"""When the network began to report."""
DEAD_AFTER_S = 3 * HOUR
"""How long before the simulator's first start the dead sensor fell silent."""

_REMEMBERED_ROWS = 1024


@dataclass(frozen=True)
class Village:
    """A place with its water works and coordinates in degrees."""

    name: str
    number: int
    latitude: float
    longitude: float
    elevation: int
    works: Works


class GeneratedChannel:
    """A channel whose rows are computed when asked for; `reports_until(now)` bounds them."""

    def __init__(
        self,
        facts: Facts,
        source: Equipment,
        reports_until: Callable[[float], float],
        begins: float | None = None,
    ) -> None:
        self.facts = facts
        self._source = source
        self._until = reports_until
        self._created = ORIGIN + facts.id % 9 + 1 if begins is None else begins
        self._rows: dict[int, Row] = {}

    def _due(self, index: int) -> float:
        wobble = 1 + min(3, self._source.cadence_s // 5)
        return (
            self._created
            + index * self._source.cadence_s
            + int(wobble * uniform(self.facts.id, index))
        )

    def _newest_index(self, instant: float) -> int:
        index = math.floor((instant - self._created) / self._source.cadence_s)
        return index - 1 if index >= 0 and self._due(index) > instant else index

    def _row(self, index: int) -> Row:
        row = self._rows.get(index)
        if row is None:
            if len(self._rows) >= _REMEMBERED_ROWS:
                for old in list(self._rows)[: _REMEMBERED_ROWS // 2]:
                    del self._rows[old]
            at = self._due(index)
            row = self._rows[index] = Row(at, index + 1, self._source.read(at))
        return row

    def rows(self, start: float | None, end: float | None, limit: int, now: float) -> list[Row]:
        """The newest `limit` rows of the window, oldest first."""
        until = self._until(now)
        newest = self._newest_index(until if end is None else min(until, end))
        oldest = 0
        if start is not None:
            oldest = max(0, math.floor((start - self._created) / self._source.cadence_s))
            if self._due(oldest) < start:
                oldest += 1
        return [self._row(index) for index in range(max(oldest, newest - limit + 1), newest + 1)]

    def entry(self, entry_id: int, now: float) -> Row | None:
        """The row with this number."""
        return self._row(entry_id - 1) if 1 <= entry_id <= (self.last_entry_id(now) or 0) else None

    def last_entry_id(self, now: float) -> int | None:
        """The number of the newest row, None while there is none."""
        newest = self._newest_index(self._until(now))
        return newest + 1 if newest >= 0 else None


def _villages() -> tuple[Village, Village, Village]:
    return (
        Village("Ambapur", 1, 17.5931, 78.1320, 544, Works(11, ORIGIN)),
        Village(
            "Neelkheda",
            2,
            17.6412,
            78.0674,
            561,
            Works(
                22,
                ORIGIN,
                daily_m3=46,
                batch_m3=24,
                tank_area_m2=15,
                tank_height_cm=300,
                static_depth_m=31,
            ),
        ),
        Village(
            "Surajgaon",
            3,
            17.5318,
            78.2103,
            537,
            Works(
                33,
                ORIGIN,
                daily_m3=84,
                batch_m3=40,
                tank_area_m2=24,
                lift_m3h=26,
                lift_kw=7.5,
                well_m3h=12,
            ),
        ),
    )


Planned = tuple[Village, str, Equipment, Callable[[float], float], bool]


def _plan(dead_since: float) -> Iterator[Planned]:
    """Village, name, equipment, until when it reports, and whether it is private: eight channels
    per village.
    """

    def alive(now: float) -> float:
        return now

    def dead(now: float) -> float:
        return min(dead_since, now - DEAD_AFTER_S)

    def never(_now: float) -> float:
        return 0.0

    villages = _villages()
    for village in villages:
        works, seed = village.works, village.number * 1000
        yield (
            village,
            "Overhead Tank",
            equipment.overhead_tank(works, seed + 1, 10 + village.number),
            alive,
            False,
        )
        missing = 0.04 if village.number == 2 else 0.0
        yield village, "Sump", equipment.sump(works, seed + 2, 20, missing), alive, False
        yield village, "Pump House", equipment.pump_house(works, seed + 3, 10), alive, False
        yield village, "Borewell", equipment.borewell(works, seed + 4, 30), alive, False
        yield village, "Flow Meter", equipment.flow_meter(works, seed + 5, 15), alive, False
        yield village, "Energy Meter", equipment.energy_meter(works, seed + 6, 60), alive, True
    first, second, third = villages
    yield first, "Cold Room", equipment.cold_room(1007, 20), alive, True
    yield first, "Canteen Grill", equipment.grill(1008, 15), alive, False
    school = Works(
        44,
        ORIGIN,
        daily_m3=9,
        batch_m3=4,
        tank_area_m2=3.4,
        tank_height_cm=250,
        lift_m3h=4,
        well_m3h=3,
    )
    yield second, "School Tank", equipment.overhead_tank(school, 2007, 30), dead, False
    yield second, "Milk Cooler", equipment.cold_room(2008, 20), alive, True
    yield third, "Vaccine Store", equipment.cold_room(3007, 30), alive, True
    yield third, "New Flow Meter", equipment.flow_meter(third.works, 3008, 15), never, False


def _facts(village: Village, position: int, name: str, source: Equipment, private: bool) -> Facts:
    channel_id = 700_000 + village.number * 10_000 + position
    serial = village.number * 100 + position
    return Facts(
        id=channel_id,
        name=f"{village.name} {name}",
        description=f"{name} of {village.name} (demonstration)",
        labels=dict(enumerate(source.labels, start=1)),
        created_at=json_form(ORIGIN),
        updated_at=json_form(ORIGIN + HOUR),
        latitude=f"{village.latitude + 0.0021 * position:.4f}",
        longitude=f"{village.longitude - 0.0017 * position:.4f}",
        elevation=str(village.elevation),
        metadata=f"village={village.name};kind={source.kind}",
        read_key=f"DEMOREADKEY{serial:05}" if private else None,
        write_key=f"DEMOWRITEKEY{serial:04}",
        notes={
            "village": village.name,
            "kind": source.kind,
            "cadence_s": source.cadence_s,
            **dict(source.facts),
        },
    )


def network(dead_since: float) -> list[GeneratedChannel]:
    """The channels of the demonstration; the dead sensor has been silent since `dead_since`, three
    hours at least.
    """
    positions: dict[str, int] = {}
    channels = []
    for village, name, source, until, private in _plan(dead_since):
        positions[village.name] = position = positions.get(village.name, 0) + 1
        channels.append(
            GeneratedChannel(_facts(village, position, name, source, private), source, until)
        )
    return channels
