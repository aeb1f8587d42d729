"""The fastest ThingSpeak we can write: one entry per answer, 419 bytes, a new one each time.

`python -m benchmarks.provider` prints its port. A process of its own, so that what is measured is
the client; no faults, no limits, no other address.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import uvloop

BODY_BYTES = 419
_CHANNEL = re.compile(rb"GET /channels/(\d+)/feeds\.json")
_BODY = (
    '{"channel":{"id":%d,"name":"Overhead tank","description":"Water committee","latitude":'
    '"12.971599","longitude":"77.594566","field1":"Water Level (cm)","field2":"Temperature (C)",'
    '"field3":"Battery (V)","created_at":"2024-01-15T08:00:00Z","updated_at":'
    '"2026-11-20T12:00:00Z","last_entry_id":%d},"feeds":[{"created_at":"%s","entry_id":%d,'
    '"field1":"%.2f","field2":"24.1","field3":"3.87"}]}'
)
_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nServer: nginx\r\n"
    b"Cache-Control: max-age=7, private\r\nConnection: keep-alive\r\nContent-Length: %d\r\n\r\n"
)


class _Provider(asyncio.Protocol):
    """Answers each request with the channel's next entry, a second after the one before."""

    def __init__(self, number: Callable[[int], int], start: datetime) -> None:
        self._number, self._start = number, start

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Requests of this size come in one piece."""
        for found in _CHANNEL.finditer(data):
            channel = int(found[1])
            entry = self._number(channel)
            at = self._start + timedelta(seconds=entry)
            body = _BODY % (channel, entry, f"{at:%Y-%m-%dT%H:%M:%SZ}", entry, 100 + entry % 100)
            text = body.encode().ljust(BODY_BYTES)
            self._transport.write(_HEAD % len(text) + text)  # type: ignore[attr-defined]


async def _serve() -> None:
    counters: defaultdict[int, Iterator[int]] = defaultdict(lambda: itertools.count(1))
    start = datetime.now(UTC) - timedelta(hours=6)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: _Provider(lambda channel: next(counters[channel]), start), "127.0.0.1", 0
    )
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
