"""The simulator as an independent judge: what it has, what it served, to whom and when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from simulator.testing import RunningSimulator
from tests.chaos.kept import Identity
from tests.chaos.plan import Polled


class Judge(RunningSimulator):
    """A simulator of a fleet (`25x10`: 25 channels with an entry every 10 s) that keeps count."""

    def __init__(self, fleet: str) -> None:
        super().__init__(arguments=["--fleet", fleet])

    def fleet(self) -> list[Mapping[str, Any]]:
        """The fleet's channels as the catalogue tells them."""
        return [one for one in self.control("catalogue") if one["kind"] == "fleet"]

    def polled(self, **settings: Any) -> list[Polled]:
        """The whole fleet, to be polled with these settings."""
        return [
            Polled(one["id"], read_key=one["read_key"] or "", **settings) for one in self.fleet()
        ]

    def rows(self, channel: int, start: datetime, end: datetime) -> Counter[Identity]:
        """Every row of a channel between two instants, from the judge's own list."""
        window = f"start={int(start.timestamp())}&end={int(end.timestamp())}"
        rows = self.control(f"rows?channel={channel}&values=1&{window}")["rows"]
        return Counter(
            (int(datetime.fromisoformat(at).timestamp()), number, *map(float, values))
            for at, number, *values in rows
        )

    def totals(self) -> Mapping[str, Any]:
        """Counters of everything that was asked."""
        totals: Mapping[str, Any] = self.control("journal?limit=0")["total"]
        return totals

    def most_at_once(self) -> int:
        """The most requests that were ever under way for one and the same channel."""
        channels = self.control("journal?limit=0")["channels"]
        return max((one["in_flight_max"] for one in channels.values()), default=0)

    def visits(self) -> list[Mapping[str, Any]]:
        """The newest requests, up to 20,000, oldest first."""
        found: list[Mapping[str, Any]] = []
        while page := self.control(f"journal?after={found[-1]['number'] if found else 0}")[
            "requests"
        ]:
            found += page
        return found
