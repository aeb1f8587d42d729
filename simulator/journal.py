"""What was asked and answered: the record by which tests and benchmarks judge a client. Keys are
never written down.
"""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from simulator.channels import Row

_KEPT = 20_000


@dataclass(slots=True)
class Visit:
    """One request. Times are real epoch seconds, but `simulated` is the simulator's clock."""

    number: int
    arrived: float
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


class Journal:
    """The newest 20,000 requests and exact counters since the last reset."""

    def __init__(self) -> None:
        self.total = Tally()
        self._visits: deque[Visit] = deque(maxlen=_KEPT)
        self._tallies: dict[int, Tally] = {}
        self.record_rows = False
        self._served: dict[int, set[Row]] = {}

    def reset(self) -> None:
        """Forget everything; requests still in flight stay counted as such until they end."""
        for tally in (self.total, *self._tallies.values()):
            tally.requests = tally.rows = 0
            tally.in_flight_max = tally.in_flight
            tally.statuses.clear()
        self._visits.clear()
        self._served.clear()

    def arrive(
        self, arrived: float, simulated: float, channel: int | None, path: str, *, key: bool
    ) -> Visit:
        """Note a request that has just come in."""
        self.total.requests += 1
        in_flight = 0
        for tally in self._of(channel):
            tally.in_flight += 1
            tally.in_flight_max = max(tally.in_flight_max, tally.in_flight)
            in_flight = tally.in_flight
        if channel is not None:
            self._tallies[channel].requests += 1
        visit = Visit(self.total.requests, arrived, simulated, channel, path, key, in_flight)
        self._visits.append(visit)
        return visit

    def answer(self, visit: Visit, status: int, rows: list[Row], faults: tuple[str, ...]) -> None:
        """Note what is about to be answered."""
        visit.status, visit.rows, visit.faults = status, len(rows), faults
        for tally in self._of(visit.channel):
            tally.statuses[status] += 1
            tally.rows += len(rows)
        if self.record_rows and visit.channel is not None and rows:
            self._served.setdefault(visit.channel, set()).update(rows)

    def leave(self, visit: Visit, finished: float) -> None:
        """Note that the answer is out, or given up."""
        visit.finished = finished
        for tally in self._of(visit.channel):
            tally.in_flight -= 1

    def served(self, channel: int) -> Iterable[Row]:
        """The rows answered since recording of rows was switched on, in order of time."""
        return sorted(self._served.get(channel, ()), key=lambda row: row.at)

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
