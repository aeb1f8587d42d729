"""A provider that behaves as told, asked by the real client through the real gate."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ingestion.resilience.client import Client
from ingestion.resilience.exchange import Exchange, Result
from ingestion.resilience.gate import LocalGate, Snapshot
from ingestion.resilience.policy import BreakerPolicy, RatePolicy, RetryPolicy, Route, Timeouts
from ingestion.resilience.retry import Time
from ingestion.resilience.transport import (
    HttpRequest,
    HttpResponse,
    Landed,
    Sending,
    TransportError,
)
from ingestion.sources import ADAPTERS
from ingestion.sources.base import Fetched, Window

ROWS = json.dumps(
    {"channel": {}, "feeds": [{"created_at": "2026-11-20T21:58:00Z", "entry_id": 1, "field1": "1"}]}
).encode()
OK = HttpResponse(200, {}, ROWS)
NOW = datetime(2026, 11, 20, 22, 0, tzinfo=UTC)
REQUEST = HttpRequest("https://api.thingspeak.com/channels/9/feeds.json")
ROUTE = Route(
    "https://api.thingspeak.com:443",
    "connection:1",
    RatePolicy(limit=60, window_s=59.0),
    BreakerPolicy(failures=3, open_s=60, jitter=0),
    retry=RetryPolicy(share=1.0),
)
Ending = HttpResponse | TransportError
Decode = Callable[[HttpResponse], Fetched]


def status(code: int, body: bytes = b"", retry_after: str | None = None) -> HttpResponse:
    """An answer of the provider."""
    return HttpResponse(code, {} if retry_after is None else {"retry-after": retry_after}, body)


def read(response: HttpResponse) -> Fetched:
    return ADAPTERS["thingspeak"].decode(response, Window())


@dataclass
class Scene:
    """A provider that ends requests as told, on a clock that only sleeping and sending move."""

    endings: Sequence[Ending]
    takes_s: float = 0.1
    chance: float = 0.5
    now_s: float = 1000.0
    sent_at: list[float] = field(default_factory=list)
    limits: list[Timeouts] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    route: Route = ROUTE

    def __post_init__(self) -> None:
        self.gate = LocalGate(clock=lambda: self.now_s, chance=lambda: 0.0)
        time = Time(lambda: self.now_s, self.sleep, lambda: self.chance)
        self.client = Client(self.gate, self, time, now=lambda: NOW)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds

    def send(self, requests: Iterable[Sending | None]) -> Iterator[Landed | None]:
        """The transport."""
        for sending in requests:
            if sending is None:
                yield None
                continue
            self.limits.append(sending.timeouts)
            self.sent_at.append(self.now_s)
            self.now_s += self.takes_s
            ending = self.endings[min(len(self.sent_at), len(self.endings)) - 1]
            yield Landed(sending.key, ending, self.takes_s)

    def ask(
        self, *, reserved: bool = True, max_wait_s: float = 0.0, decode: Decode = read
    ) -> Result[Fetched]:
        slot = self.now_s if reserved else None
        return self.client.perform(Exchange(REQUEST, self.route, decode, slot, max_wait_s))

    def look(self) -> Snapshot:
        return self.gate.snapshot(self.route.host, self.route.group, self.route.rate)
