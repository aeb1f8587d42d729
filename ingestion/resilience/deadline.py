"""A deadline over a whole answer, also when a server drips it byte by byte.

requests' read timeout bounds the wait for each piece, so a dripping server can hold a worker for
hours. Here every read from the socket waits at most until the deadline.
"""

from __future__ import annotations

import http.client
import io
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

_current = threading.local()


@contextmanager
def deadline(at: float) -> Iterator[None]:
    """Reads of this thread's answers end at `at` (time.monotonic) with TimeoutError."""
    _current.at = at
    try:
        yield
    finally:
        _current.at = None


class _Reader(io.RawIOBase):
    """A socket's bytes; each read waits for the read timeout or the deadline, the sooner one."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._raw: Any = sock.makefile("rb", buffering=0)  # keeps the socket open until closed
        self._patience = sock.gettimeout()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        at = getattr(_current, "at", None)
        if at is not None:
            remaining = at - time.monotonic()
            if remaining <= 0:
                raise TimeoutError("deadline of the whole answer")
            self._sock.settimeout(min(remaining, self._patience or remaining))
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Socket:
    """What http.client asks of a socket for reading an answer."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._sock))


class _Answer(http.client.HTTPResponse):
    """An answer read through `_Reader`."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(_Socket(sock), *args, **kwargs)  # type: ignore[arg-type]


class _Connection(HTTPConnection):
    response_class = _Answer


class _TlsConnection(HTTPSConnection):
    response_class = _Answer


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


POOLS: dict[str, type[HTTPConnectionPool]] = {"http": _Pool, "https": _TlsPool}
"""Connection pools by scheme whose answers keep to the deadline."""
