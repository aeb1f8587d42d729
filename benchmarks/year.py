"""A server that holds a year of a channel, one entry a minute, and answers at once.

A process of its own (`python -m benchmarks.year NEWEST`), so that serving costs the benchmark no
time of its own: rows are rendered before the first request.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import unquote

ENTRIES = 525_600
FIELDS = 3
EVERY = timedelta(minutes=1)
_ASKED = re.compile(r"results=(\d+)")
_START = re.compile(r"[?&]start=([^&]+)")
_END = re.compile(r"[?&]end=([^&]+)")
_ROOT = Path(__file__).resolve().parents[1]


def values(number: int) -> list[str]:
    """What entry `number` says in its fields, as text."""
    return [f"{(number * 37 % 30_000) / 100:.2f}", f"{20 + number % 90 / 10:.1f}", str(number % 4)]


@contextmanager
def serving(newest: datetime) -> Iterator[str]:
    """The address of a server whose newest entry is of `newest` (aware UTC, a whole second)."""
    command = [sys.executable, "-m", "benchmarks.year", newest.isoformat()]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


class _Year:
    def __init__(self, newest: datetime) -> None:
        self.first = newest - EVERY * (ENTRIES - 1)
        self.rows = [self._row(number) for number in range(1, ENTRIES + 1)]
        labels = "".join(f'"field{n}":"Field {n}",' for n in range(1, FIELDS + 1))
        self.head = (
            f'{{"channel":{{"id":1,"name":"Year",{labels}"last_entry_id":{ENTRIES}}},"feeds":['
        )

    def _row(self, number: int) -> str:
        at = self.first + EVERY * (number - 1)
        fields = ",".join(f'"field{n}":"{text}"' for n, text in enumerate(values(number), 1))
        return f'{{"created_at":"{at:%Y-%m-%dT%H:%M:%SZ}","entry_id":{number},{fields}}}'

    def answer(self, target: str) -> bytes:
        """The newest entries of the range that the request names."""
        asked = _ASKED.search(target)
        limit = int(asked[1]) if asked else 100
        # Ends are whole seconds, as all entries are.
        begin = self._before(_START.search(target), timedelta(seconds=1), 0)
        end = self._before(_END.search(target), timedelta(0), ENTRIES)
        rows = self.rows[max(end - limit, begin) : max(end, begin)]
        return f"{self.head}{','.join(rows)}]}}".encode()

    def _before(self, found: re.Match[str] | None, less: timedelta, otherwise: int) -> int:
        """How many entries are not later than a time of the request, less something."""
        if found is None:
            return otherwise
        text = unquote(found[1]).replace("+", " ")
        at = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC) - less
        return min(max((at - self.first) // EVERY + 1, 0), ENTRIES)


def main(newest: str) -> None:
    """Serve until the process is ended; the first line printed is the address."""
    year = _Year(datetime.fromisoformat(newest))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = year.answer(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1])
