"""What is under `RequestsTransport`: connections to addresses that may be asked, read in time.

requests' read timeout bounds the wait for each piece, so a dripping server can hold a worker for
hours. Here every read from the socket waits at most until the deadline of the whole answer.
"""

from __future__ import annotations

import http.client
import io
import math
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, cast

import requests
from requests.adapters import DEFAULT_POOLSIZE, HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError
from urllib3.response import BaseHTTPResponse

from ingestion.resilience.addresses import AllowList
from ingestion.resilience.transport.base import AddressRefused, NameUnknown, error

_LEAST_S = 0.001
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
        self._patience = self._waits = sock.gettimeout()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        at = getattr(_current, "at", None)
        if at is not None:
            remaining = at - time.monotonic()
            if remaining <= 0:
                raise TimeoutError("deadline of the whole answer")
            waits = min(remaining, self._patience or remaining)
            if waits != self._waits:
                self._sock.settimeout(waits)
                self._waits = waits
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

    def _safe_read(self, amt: int) -> bytes:
        """Refuse a chunk of a negative length: it would be read to the end, whatever the limit."""
        if amt < 0:
            raise http.client.HTTPException("A chunk has a negative length.")
        return super()._safe_read(amt)  # type: ignore[misc,no-any-return]


class _Connection(HTTPConnection):
    """Connects to the very address that was found to be allowed: nothing can come between."""

    response_class = _Answer
    rules: ClassVar[AllowList]

    def _new_conn(self) -> socket.socket:
        """The socket. Raises NameUnknown, or AddressRefused when no address may be asked.

        Each address has its share of what is left of the time to connect: one that is silent
        leaves the others theirs.
        """
        name, patience = self._dns_host, self.timeout or 0.0
        try:
            addresses = self.rules.addresses(name, self.port)
        except socket.gaierror:
            raise error(NameUnknown) from None
        if not addresses:
            raise error(AddressRefused)
        until = min(time.monotonic() + patience, getattr(_current, "at", None) or math.inf)
        try:
            for left, self._dns_host in zip(range(len(addresses), 0, -1), addresses, strict=True):
                self.timeout = max(until - time.monotonic(), _LEAST_S) / left
                try:
                    connected = super()._new_conn()
                except ConnectTimeoutError:  # or refused, or unreachable
                    if left == 1 or time.monotonic() >= until:
                        raise
                else:
                    connected.settimeout(patience)
                    return connected
            raise AssertionError("The last address either connects or raises.")
        finally:
            # The name is what certificates and the Host header are for.
            self._dns_host, self.timeout = name, patience


def _pools(allowed: AllowList) -> dict[str, type[HTTPConnectionPool]]:
    """Pools, by scheme, of connections to what is allowed."""

    class Plain(_Connection):
        rules = allowed

    class Tls(_Connection, HTTPSConnection):
        rules = allowed

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = Tls

    return {"http": PlainPool, "https": TlsPool}


class GuardedAdapter(HTTPAdapter):
    """requests' adapter over these connections, without what it does for a session.

    Cookies are not read and proxies not looked for: neither is used. Looking up a host's pool anew
    for each request took a tenth of the request.
    """

    def __init__(self, allowed: AllowList) -> None:
        super().__init__()
        self.poolmanager.pool_classes_by_scheme = _pools(allowed)
        self._kept: dict[tuple[str, str], HTTPConnectionPool] = {}

    def get_connection_with_tls_context(
        self,
        request: requests.PreparedRequest,
        verify: bool | str | None,
        proxies: Any = None,
        cert: Any = None,
    ) -> HTTPConnectionPool:
        """The pool of the request's host; when there are too many, all are let go."""
        scheme, _, host = (request.url or "").split("/", 3)[:3]
        pool = self._kept.get((scheme, host))
        if pool is None:
            if len(self._kept) == DEFAULT_POOLSIZE:
                self._kept.clear()
                self.poolmanager.clear()
            made = super().get_connection_with_tls_context(request, verify, proxies, cert)
            pool = self._kept[scheme, host] = cast("HTTPConnectionPool", made)
        return pool

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:
        """Path and query."""
        return request.path_url

    def build_response(
        self, req: requests.PreparedRequest, resp: BaseHTTPResponse
    ) -> requests.Response:
        """The status, and what headers and body are read from."""
        response = requests.Response()
        response.status_code, response.raw = resp.status, resp
        return response
