"""How long a metric was in each of its states: a pump on, a valve “open”, a mode 3."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import NamedTuple

from devices.models import DataType, Metric
from devices.readings.keeping import Kept, Survey
from devices.readings.measuring import NoSuchMeasure, usual_bridge
from devices.readings.paging import all_readings, all_runs
from devices.readings.samples import HistoryRequest, Reading, Run, Value
from devices.readings.store import ArchiveUnreadable, NotKept, get_store, refuse_before
from devices.readings.store.alike import NEVER

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

    What is in no stay is not known: nothing was heard for longer than `bridge`. Before `runs_until`
    (None: nowhere) they were read from runs, the readings being gone.
    """

    stays: Sequence[Stay]
    lasted: Mapping[Value, timedelta]
    bridge: timedelta
    runs_until: datetime | None = None


class Told(NamedTuple):
    """A value that was said from one instant to another: the same of a single reading."""

    value: Value
    since: datetime
    until: datetime


def states(metric: Metric, since: datetime, until: datetime, bridge: timedelta | None) -> States:
    """The states of a metric in [since, until); `bridge` as in `stays_of`, None: `usual_bridge`.

    Raises NoSuchMeasure for a metric that measures, TooManyStays, and NotKept where readings of the
    range were dropped by age and left no runs, or runs that are too coarse for the `bridge`; if
    they are in the archive, only where that cannot be read.
    """
    if metric.data_type == DataType.FLOAT:
        raise NoSuchMeasure(
            f"“{metric.label}” measures a number, it has no states: ask for its measures."
        )
    bridge = usual_bridge(metric) if bridge is None else bridge
    held = get_store().survey(metric.pk)
    try:
        return _states(metric, since, until, bridge, _kept(held, held.kept, since))
    except ArchiveUnreadable:
        if held.runs_until is None:
            raise
        return _states(metric, since, until, bridge, _kept(held, held.beside_archive, since))


def _states(
    metric: Metric, since: datetime, until: datetime, bridge: timedelta, kept: _Kept
) -> States:
    refuse_before(since, kept.since, "States need")
    told = _told(metric.pk, since, until, bridge, kept, strictly=True)
    stays: list[Stay] = []
    lasted: dict[Value, timedelta] = defaultdict(timedelta)
    for stay in stays_of(told, since, until, bridge):
        if len(stays) == MOST_STAYS:
            raise TooManyStays(
                f"“{metric.label}” changed more than {MOST_STAYS:,} times in this range: ask for a "
                "shorter one."
            )
        stays.append(stay)
        lasted[stay.value] += stay.length
    return States(stays, lasted, bridge, kept.runs_until)


def all_told(
    metric: Metric, since: datetime, until: datetime, bridge: timedelta
) -> tuple[Iterator[Told], datetime]:
    """For `stays_of`: all that was said in a range, and from when on in it that is kept.

    Of runs, pauses within them that are longer than the `bridge` are not told.
    """
    held = get_store().survey(metric.pk)
    kept = _kept(held, held.kept, since)
    begins = since if kept.since is None else max(since, kept.since)
    return _told(metric.pk, begins, until, bridge, kept, strictly=False), begins


def stays_of(
    told: Iterable[Told], since: datetime, until: datetime, bridge: timedelta
) -> Iterator[Stay]:
    """The stays in [since, until) that readings and runs of one metric, in order, tell of.

    Between two of them at most `bridge` apart the state is taken to be that of the first, up to
    the second. Across more than that nothing is taken to be known, nor after the last one.
    """
    held: Stay | None = None
    for value, begun, ended in _bridged(told, bridge):
        begins, ends = max(begun, since), min(ended, until)
        if begins >= ends:
            continue
        if held is not None and held.value == value and held.until == begins:
            begins = held.since
        elif held is not None:
            yield held
        held = Stay(value, begins, ends)
    if held is not None:
        yield held


def _bridged(told: Iterable[Told], bridge: timedelta) -> Iterator[Told]:
    """The same, each up to the next one where that is near enough."""
    before: Told | None = None
    for one in told:
        if before is not None:
            near = one.since - before.until <= bridge
            yield Told(before.value, before.since, one.since if near else before.until)
        before = one
    if before is not None:
        yield before


class _Kept(NamedTuple):
    """From when on states of a range can be told (None: all of it), and where runs end in it."""

    since: datetime | None
    runs_until: datetime | None


def _kept(held: Survey, kept: Kept, since: datetime) -> _Kept:
    """`kept`: with the archive, or beside it."""
    readings_from = kept.readings_from
    if readings_from is None or since >= readings_from or held.runs_until is None:
        return _Kept(readings_from, None)
    return _Kept(held.runs_from, held.runs_until)


def _told(
    metric: int, since: datetime, until: datetime, bridge: timedelta, kept: _Kept, *, strictly: bool
) -> Iterator[Told]:
    """What was said in the range, and what is nearest to it on each side: by runs as far as they
    go, then by readings.

    Strictly: raises NotKept where it is not known any more whether readings of the range were
    further apart than `bridge`.
    """
    edge = NEVER if kept.runs_until is None else kept.runs_until
    if kept.runs_until is not None:
        for run in _runs(metric, since, until, edge):
            if strictly and run.longest > bridge and run.at < until and run.until > since:
                apart = ceil(run.longest.total_seconds())
                raise NotKept(
                    "Readings of this range were dropped by age. They were up to "
                    f"{apart:,} s apart, it is not known where: ask for a “bridge” of {apart}s or "
                    "more."
                )
            yield Told(run.value, run.at, run.until)
    for reading in _readings(metric, since, until, bridge, edge):
        yield Told(reading.value, reading.at, reading.at)


def _runs(metric: int, since: datetime, until: datetime, edge: datetime) -> Iterator[Run]:
    """The runs before `edge` that begin in the range, and the nearest on each side of it."""
    store = get_store()
    begins, ends = min(since, edge), min(until, edge)
    yield from store.runs(HistoryRequest(metric, NEVER, begins, limit=1, newest_first=True))
    yield from all_runs(metric, begins, ends)
    yield from store.runs(HistoryRequest(metric, ends, edge, limit=1))


def _readings(
    metric: int, since: datetime, until: datetime, bridge: timedelta, edge: datetime
) -> Iterator[Reading]:
    """The readings from `edge` on in the range, and the nearest on each side within `bridge`."""
    store, begins, ends = get_store(), max(since, edge), max(until, edge)
    yield from store.history(
        HistoryRequest(metric, max(since - bridge, edge), begins, limit=1, newest_first=True)
    )
    yield from all_readings(metric, begins, ends)
    yield from store.history(HistoryRequest(metric, ends, until + bridge, limit=1))
