"""The fastest ThingSpeak we can write: one new entry per answer, 419 bytes.

A channel's first answers bring the entries of a day, as if its device was known for long.

`python -m benchmarks.provider` prints its port. A process of its own, so that what is measured is
the client; no faults, no limits, no other address.
"""

from __future__ import annotations

import asyncio
import math
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import uvloop

BODY_BYTES = 419
_CHANNEL = re.compile(rb"GET /channels/(\d+)/feeds\.json")
_BODY = (
    '{"channel":{"id":%d,"name":"Overhead tank","description":"Water committee","latitude":'
    '"12.971599","longitude":"77.594566","field1":"Water Level (cm)","field2":"Temperature (C)",'
    '"field3":"Battery (V)","created_at":"2024-01-15T08:00:00Z","updated_at":'
    '"2026-11-20T12:00:00Z","last_entry_id":%d},"feeds":[%s]}'
)
_ENTRY = '{"created_at":"%s","entry_id":%d,"field1":"%.2f","field2":"%.1f","field3":"3.87"}'
HISTORY = 90
HISTORIES = 3
"""So many answers of so many entries come first: the watch over fields has learned them then."""
_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nServer: nginx\r\n"
    b"Cache-Control: max-age=7, private\r\nConnection: keep-alive\r\nContent-Length: %d\r\n\r\n"
)


class _Provider(asyncio.Protocol):
    """Answers each request with the channel's next entries, a second after the one before."""

    def __init__(self, numbers: Callable[[int], Sequence[int]], start: datetime) -> None:
        self._numbers, self._start = numbers, start

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Requests of this size come in one piece."""
        for found in _CHANNEL.finditer(data):
            channel = int(found[1])
            numbers = self._numbers(channel)
            entries = ",".join(map(self._entry, numbers))
            text = (_BODY % (channel, numbers[-1], entries)).encode().ljust(BODY_BYTES)
            self._transport.write(_HEAD % len(text) + text)  # type: ignore[attr-defined]

    def _entry(self, number: int) -> str:
        at = self._start + timedelta(seconds=number)
        # A tank that fills and empties, and the warmth of the day.
        level, warmth = 150 + 50 * math.sin(number / 40), 24 + 3 * math.sin(number / 90)
        return _ENTRY % (f"{at:%Y-%m-%dT%H:%M:%SZ}", number, level, warmth)


YOUNG = 1_000_000
"""Channels from this number on have no history: the limit's own, whose numbers we never see."""


class _Counter:
    """The next entry numbers of each channel."""

    def __init__(self) -> None:
        self._asked: defaultdict[int, int] = defaultdict(int)

    def __call__(self, channel: int) -> Sequence[int]:
        before = self._asked[channel] + (HISTORIES if channel >= YOUNG else 0)
        self._asked[channel] += 1
        first = min(before, HISTORIES) * HISTORY + max(before - HISTORIES, 0) + 1
        return range(first, first + (HISTORY if before < HISTORIES else 1))


async def _serve() -> None:
    numbers = _Counter()
    start = datetime.now(UTC) - timedelta(hours=6)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Provider(numbers, start), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def provider() -> Iterator[str]:
    """The address of a provider that runs meanwhile."""
    command = [sys.executable, "-m", "benchmarks.provider"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


if __name__ == "__main__":
    uvloop.run(_serve())
