"""How long a metric was in each of its states: a pump on, a valve “open”, a mode 3."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from devices.models import DataType, Metric
from devices.readings.measuring import NoSuchMeasure, usual_bridge
from devices.readings.paging import all_readings
from devices.readings.samples import HistoryRequest, Reading, Value
from devices.readings.store import get_store, refuse_before

MOST_STAYS = 5000


class TooManyStays(ValueError):
    """A metric changed more often than anybody can read."""


@dataclass(frozen=True, slots=True)
class Stay:
    """A state held without a break and without a gap, `since` <= t < `until`."""

    value: Value
    since: datetime
    until: datetime

    @property
    def length(self) -> timedelta:
        """How long it lasted."""
        return self.until - self.since


@dataclass(frozen=True, slots=True)
class States:
    """The stays in a range of time, in order, and how long each state lasted in all.

    What is in no stay is not known: nothing was heard for longer than `bridge`.
    """

    stays: Sequence[Stay]
    lasted: Mapping[Value, timedelta]
    bridge: timedelta


def states(metric: Metric, since: datetime, until: datetime, bridge: timedelta | None) -> States:
    """The states of a metric in [since, until); `bridge` as in `stays_of`, None: `usual_bridge`.

    Raises NoSuchMeasure for a metric that measures, TooManyStays, and NotKept where single
    readings of the range were dropped by age.
    """
    if metric.data_type == DataType.FLOAT:
        raise NoSuchMeasure(
            f"“{metric.label}” measures a number, it has no states: ask for its measures."
        )
    bridge = usual_bridge(metric) if bridge is None else bridge
    kept = get_store().survey(metric.pk, since, until, most=0).kept
    refuse_before(since, kept.readings_from, "States need")
    stays: list[Stay] = []
    lasted: dict[Value, timedelta] = defaultdict(timedelta)
    for stay in stays_of(_readings(metric.pk, since, until, bridge), since, until, bridge):
        if len(stays) == MOST_STAYS:
            raise TooManyStays(
                f"“{metric.label}” changed more than {MOST_STAYS:,} times in this range: ask for a "
                "shorter one."
            )
        stays.append(stay)
        lasted[stay.value] += stay.length
    return States(stays, lasted, bridge)


def stays_of(
    readings: Iterable[Reading], since: datetime, until: datetime, bridge: timedelta
) -> Iterator[Stay]:
    """The stays in [since, until) that readings of one metric, ordered by time, tell of.

    Between two readings at most `bridge` apart the state is taken to be that of the first, up to
    the second. Across more than that nothing is taken to be known, nor after the last reading.
    """
    held: Stay | None = None
    before: Reading | None = None
    for reading in readings:
        if before is not None and reading.at - before.at <= bridge:
            begins, ends = max(before.at, since), min(reading.at, until)
            if held is not None and held.value == before.value and held.until == begins:
                held = Stay(held.value, held.since, ends)
            elif begins < ends:
                if held is not None:
                    yield held
                held = Stay(before.value, begins, ends)
        before = reading
    if held is not None:
        yield held


def _readings(
    metric: int, since: datetime, until: datetime, bridge: timedelta
) -> Iterator[Reading]:
    """The readings in the range, and the nearest on each side within `bridge` of it."""
    store = get_store()
    yield from store.history(
        HistoryRequest(metric, since - bridge, since, limit=1, newest_first=True)
    )
    yield from all_readings(metric, since, until)
    yield from store.history(HistoryRequest(metric, until, until + bridge, limit=1))
