"""What was asked and answered: the record by which tests and benchmarks judge a client. Keys are
never written down.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from simulator.channels import Row

_KEPT = 20_000


@dataclass(frozen=True, slots=True)
class Times:
    """One instant on three clocks: real epoch seconds, steady, simulated."""

    real: float
    monotonic: float
    simulated: float


@dataclass(slots=True)
class Visit:
    """One request. Times are real epoch seconds, but `simulated` is the simulator's clock and
    `monotonic` this machine's steady one, which nobody sets.
    """

    number: int
    arrived: float
    monotonic: float
    simulated: float
    channel: int | None
    path: str
    key: bool
    in_flight: int
    status: int = 0
    rows: int = 0
    faults: tuple[str, ...] = ()
    finished: float | None = None

    def as_json(self) -> dict[str, object]:
        """The visit as an object for the control API."""
        return {
            "number": self.number,
            "arrived": self.arrived,
            "monotonic": self.monotonic,
            "simulated": self.simulated,
            "channel": self.channel,
            "path": self.path,
            "key": self.key,
            "in_flight": self.in_flight,
            "status": self.status,
            "rows": self.rows,
            "faults": list(self.faults),
            "duration_s": None if self.finished is None else self.finished - self.arrived,
        }


@dataclass(slots=True)
class Tally:
    """Counters of one channel (or of everything)."""

    requests: int = 0
    rows: int = 0
    in_flight: int = 0
    in_flight_max: int = 0
    statuses: Counter[int] = field(default_factory=Counter)

    def as_json(self) -> dict[str, object]:
        """The counters as an object for the control API."""
        return {
            "requests": self.requests,
            "rows": self.rows,
            "in_flight": self.in_flight,
            "in_flight_max": self.in_flight_max,
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
        }


Identity = tuple[float, int | str | None]
"""What tells rows of a channel apart: time and entry number."""


@dataclass(frozen=True, slots=True)
class Served:
    """A row that was answered, and the simulated instant at which it first was."""

    row: Row
    first: float

    @property
    def age_s(self) -> float:
        """How old the row was when it was first answered."""
        return self.first - self.row.at


class Journal:
    """The newest 20,000 requests and exact counters since the last reset."""

    def __init__(self) -> None:
        self.total = Tally()
        self._visits: deque[Visit] = deque(maxlen=_KEPT)
        self._tallies: dict[int, Tally] = {}
        self.record_rows = False
        self.recording_since = 0.0
        self._served: dict[int, dict[Identity, Served]] = {}
        self._arrivals = array("d")

    def reset(self) -> None:
        """Forget everything; requests still in flight stay counted as such until they end."""
        for tally in (self.total, *self._tallies.values()):
            tally.requests = tally.rows = 0
            tally.in_flight_max = tally.in_flight
            tally.statuses.clear()
        self._visits.clear()
        self._served.clear()
        del self._arrivals[:]

    def record(self, wanted: bool, now: float) -> None:
        """Begin (or end) to remember every row served; `now` is simulated time."""
        self.record_rows, self.recording_since = wanted, now

    def arrive(self, times: Times, channel: int | None, path: str, *, key: bool) -> Visit:
        """Note a request that has just come in."""
        self.total.requests += 1
        in_flight = 0
        for tally in self._of(channel):
            tally.in_flight += 1
            tally.in_flight_max = max(tally.in_flight_max, tally.in_flight)
            in_flight = tally.in_flight
        if channel is not None:
            self._tallies[channel].requests += 1
            self._arrivals.append(times.monotonic)
        visit = Visit(
            self.total.requests,
            times.real,
            times.monotonic,
            times.simulated,
            channel,
            path,
            key,
            in_flight,
        )
        self._visits.append(visit)
        return visit

    def answer(self, visit: Visit, status: int, rows: list[Row], faults: tuple[str, ...]) -> None:
        """Note what is about to be answered."""
        visit.status, visit.rows, visit.faults = status, len(rows), faults
        for tally in self._of(visit.channel):
            tally.statuses[status] += 1
            tally.rows += len(rows)
        if self.record_rows and visit.channel is not None and rows:
            served = self._served.setdefault(visit.channel, {})
            for row in rows:
                served.setdefault((row.at, row.entry_id), Served(row, visit.simulated))

    def leave(self, visit: Visit, finished: float) -> None:
        """Note that the answer is out, or given up."""
        visit.finished = finished
        for tally in self._of(visit.channel):
            tally.in_flight -= 1

    def served(self, channel: int) -> Iterable[Served]:
        """The rows answered since recording of rows was switched on, in order of time."""
        return sorted(self._served.get(channel, {}).values(), key=lambda one: one.row.at)

    def pace(self, window_s: float, since: float, until: float) -> dict[str, object]:
        """How many requests for channels arrived between two monotonic instants, and the most of
        them within any `window_s` seconds.
        """
        low, high = bisect_left(self._arrivals, since), bisect_right(self._arrivals, until)
        return {
            "arrivals": high - low,
            "most_in_a_window": _most(self._arrivals[low:high], window_s),
        }

    def as_json(self, channel: int | None, after: int, limit: int) -> dict[str, object]:
        """Counters, and the requests numbered above `after` (of a channel or all), oldest first."""
        chosen = [
            visit
            for visit in self._visits
            if visit.number > after and channel in {None, visit.channel}
        ]
        return {
            "total": self.total.as_json(),
            "channels": {
                str(known): tally.as_json() for known, tally in sorted(self._tallies.items())
            },
            "requests": [visit.as_json() for visit in chosen[:limit]],
            "record_rows": self.record_rows,
        }

    def _of(self, channel: int | None) -> tuple[Tally, ...]:
        if channel is None:
            return (self.total,)
        tally = self._tallies.get(channel)
        if tally is None:
            tally = self._tallies[channel] = Tally()
        return self.total, tally


def _most(arrivals: array[float], window_s: float) -> int:
    """The most arrivals in any half-open window of that length: what a strict server counts."""
    most = first = 0
    for place, at in enumerate(arrivals):
        while arrivals[first] <= at - window_s:
            first += 1
        most = max(most, place - first + 1)
    return most
