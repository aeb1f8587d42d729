"""A channel whose rows the test holds, served as ThingSpeak serves them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

from ingestion.gaps import BEGINNING, END
from ingestion.tests.fault_server import FaultServer, Peer


@dataclass
class HeldChannel:
    """Rows (time, number), and how its server behaves: answers of more than `most` break off."""

    rows: list[tuple[datetime, int]] = field(default_factory=list)
    most: int = 8000
    asked: list[int] = field(default_factory=list)
    """How many results each request asked for."""
    server: FaultServer = field(init=False)

    def __post_init__(self) -> None:
        self.server = FaultServer({"/channels/1/feeds.json": self._answer})

    @contextmanager
    def running(self) -> Iterator[str]:
        with self.server.running() as url:
            yield url

    def say(self, *rows: tuple[datetime, int]) -> None:
        """New rows; as on ThingSpeak, their times are whole seconds."""
        self.rows.extend((at.replace(microsecond=0), number) for at, number in rows)

    def report(self, since: datetime, every: timedelta, numbers: Iterable[int]) -> None:
        """One row after the other, as an ordinary device does."""
        self.say(*((since + every * place, n) for place, n in enumerate(numbers)))

    def _answer(self, peer: Peer) -> None:
        query = parse_qs(urlsplit(self.server.requests[-1].decode().split(" ")[1]).query)
        since, until = (_time(query, "start", BEGINNING), _time(query, "end", END))
        limit = int(query["results"][0])
        self.asked.append(limit)
        found = sorted(row for row in self.rows if since <= row[0] <= until)
        feeds = [
            {"created_at": f"{at:%Y-%m-%dT%H:%M:%SZ}", "entry_id": number, "field1": str(number)}
            for at, number in found[-limit:]
        ]
        last = max((number for _, number in self.rows), default=None)
        channel = {"id": 1, "name": "n", "field1": "Level", "last_entry_id": last}
        body = json.dumps({"channel": channel, "feeds": feeds}).encode()
        if limit > self.most:
            peer.send(
                f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body[:99]
            )
            peer.sock.close()
        else:
            peer.answer(body)


def _time(query: dict[str, list[str]], name: str, default: datetime) -> datetime:
    return datetime.fromisoformat(query[name][0]).replace(tzinfo=UTC) if name in query else default
