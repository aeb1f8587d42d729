"""requests behind `Transport`: a few threads, each with connections of its own."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import requests
import structlog
import urllib3.exceptions
from requests.structures import CaseInsensitiveDict
from requests_hardened.ip_filter import InvalidIPAddress

from ingestion.resilience.addresses import AllowList, GuardedAdapter
from ingestion.resilience.deadline import deadline
from ingestion.resilience.policy import Timeouts
from ingestion.resilience.transport.base import (
    BODY_LIMIT,
    USER_AGENT,
    AddressRefused,
    BodyCutOff,
    BodyTooLarge,
    ConnectFailed,
    HttpRequest,
    HttpResponse,
    Landed,
    RequestRefused,
    Sending,
    TimedOut,
    TlsFailed,
    TransportError,
    address_of,
    carry,
    error,
)

log = structlog.get_logger(__name__)

THREADS = 8
"""Requests in the air at once: threads hide the provider's latency, more of them cost processor."""

_CHUNK = 65_536
_OURS = {"User-Agent": USER_AGENT, "Accept-Encoding": "gzip, deflate"}


class RequestsTransport:
    """requests behind `Transport`: a few threads, each with kept connections of its own.

    Private, loopback and other special addresses are refused at connect time (the address that was
    checked is the one connected to), except for `allowed`: networks such as 10.0.0.0/8 or host
    names. Redirects are not followed, proxies and .netrc of the environment not read, cookies not
    kept. `verify` is True or the path of a bundle of certificates to trust.
    """

    def __init__(
        self,
        allowed: Collection[str] = (),
        *,
        body_limit: int = BODY_LIMIT,
        verify: bool | str = True,
        threads: int = THREADS,
    ) -> None:
        self._allowed = AllowList(allowed)
        self._body_limit = body_limit
        self._verify = verify
        self._threads = threads
        self._local = threading.local()
        self._pool: ThreadPoolExecutor | None = None
        self._process = 0

    def send(self, requests: Iterable[Sending | None]) -> Iterator[Landed | None]:
        """See `Transport.send`."""
        yield from carry(requests, _Air(self._workers(), self._threads, self._one))

    def _workers(self) -> ThreadPoolExecutor:
        """This process's threads: none is inherited over a fork."""
        if self._pool is None or self._process != os.getpid():
            self._pool = ThreadPoolExecutor(self._threads, "requests")
            self._process = os.getpid()
        return self._pool

    def _one(self, sending: Sending) -> Landed:
        """Send one request in this thread; every ending is an answer or one of our errors."""
        started = time.monotonic()
        ending: HttpResponse | TransportError
        try:
            with deadline(started + sending.timeouts.total_s):
                ending = self._exchange(sending.request, sending.timeouts)
        except TransportError as problem:
            ending = problem
        except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as problem:
            ending = _translate(problem)
        except Exception:
            # A defect must not leave the sender waiting for ever.
            log.exception("transport_failed")
            ending = error(RequestRefused)
        return Landed(sending.key, ending, time.monotonic() - started)

    def _exchange(self, request: HttpRequest, timeouts: Timeouts) -> HttpResponse:
        """Through an adapter of requests, without a session.

        What a session adds (cookies, redirects, proxies, .netrc) is what must not happen here, and
        doing it costs as much as the request.
        """
        prepared = requests.PreparedRequest()
        prepared.method, (prepared.url, _) = request.method, address_of(request)
        prepared.headers = CaseInsensitiveDict(_OURS | dict(request.headers))
        prepared.body = request.body
        if request.body is not None:
            prepared.headers["Content-Length"] = str(len(request.body))
        adapter = self._adapters()[prepared.url.partition(":")[0]]
        limits = (timeouts.connect_s, timeouts.read_s)
        response = adapter.send(prepared, stream=True, timeout=limits, verify=self._verify)
        with response:
            return HttpResponse(
                response.status_code,
                {name.lower(): value for name, value in response.headers.items()},
                self._body(response),
            )

    def _body(self, response: requests.Response) -> bytes:
        body = bytearray()
        while chunk := response.raw.read(_CHUNK, decode_content=True):
            body += chunk
            if len(body) > self._body_limit:
                response.raw.close()  # the rest is not read, so the connection cannot be kept
                raise error(BodyTooLarge)
        return bytes(body)

    def _adapters(self) -> dict[str, GuardedAdapter]:
        """This thread's connections; new ones after a fork, which would share sockets."""
        if getattr(self._local, "process", None) != os.getpid():
            self._local.adapters = {
                scheme: GuardedAdapter(scheme, self._allowed) for scheme in ("http", "https")
            }
            self._local.process = os.getpid()
        adapters: dict[str, GuardedAdapter] = self._local.adapters
        return adapters


class _Air:
    """What is in the air: `base.Air` over the threads."""

    def __init__(
        self, pool: ThreadPoolExecutor, places: int, one: Callable[[Sending], Landed]
    ) -> None:
        self._pool, self._places, self._one = pool, places, one
        self._down: queue.SimpleQueue[Landed] = queue.SimpleQueue()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def room(self) -> bool:
        return self._count < self._places

    def launch(self, sending: Sending) -> None:
        self._count += 1
        self._pool.submit(lambda: self._down.put(self._one(sending)))

    def landed(self, patience_s: float) -> Sequence[Landed]:
        try:
            landed = [self._down.get(timeout=patience_s)]
        except queue.Empty:
            return ()
        while not self._down.empty():
            landed.append(self._down.get())
        self._count -= len(landed)
        return landed


_Errors = tuple[type[Exception], ...]
_BAD_ADDRESSES: _Errors = (
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema,
    urllib3.exceptions.LocationValueError,
)
_BROKEN_BODIES: _Errors = (
    urllib3.exceptions.IncompleteRead,
    urllib3.exceptions.ProtocolError,
    urllib3.exceptions.DecodeError,
)
_TLS: _Errors = (requests.exceptions.SSLError, urllib3.exceptions.SSLError)
_SLOW: _Errors = (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError)

# The first row that fits decides: some of the libraries' classes derive from others.
_TRANSLATIONS: tuple[tuple[_Errors, type[TransportError]], ...] = (
    ((InvalidIPAddress, *_BAD_ADDRESSES), AddressRefused),
    (_TLS, TlsFailed),
    (_SLOW, TimedOut),
    (_BROKEN_BODIES, BodyCutOff),
    ((requests.ConnectionError,), ConnectFailed),
)


def _translate(problem: Exception) -> TransportError:
    for classes, kind in _TRANSLATIONS:
        if isinstance(problem, classes):
            return error(kind)
    return error(RequestRefused)
