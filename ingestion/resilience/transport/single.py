"""requests behind `Transport`: one after the other, in the thread of whoever waits for them."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable, Iterator

import requests
import structlog
import urllib3.exceptions

from ingestion.resilience.addresses import AllowList
from ingestion.resilience.policy import Timeouts
from ingestion.resilience.transport.base import (
    BODY_LIMIT,
    STEP_S,
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
    error,
)
from ingestion.resilience.transport.connections import GuardedAdapter, deadline

log = structlog.get_logger(__name__)

_CHUNK = 65_536
_OURS = {"User-Agent": USER_AGENT, "Accept-Encoding": "gzip, deflate"}


class RequestsTransport:
    """requests behind `Transport`. One per process; each `send` has connections to itself.

    A slow answer keeps the next request waiting: for many at once there is `CurlTransport`.

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
    ) -> None:
        self._allowed = AllowList(allowed)
        self._body_limit = body_limit
        self._verify = verify
        self._idle: list[GuardedAdapter] = []
        self._process = os.getpid()

    def send(self, requests: Iterable[Sending | None]) -> Iterator[Landed | None]:
        """See `Transport.send`."""
        adapter = self._take()
        try:
            for sending in requests:
                if sending is None:
                    time.sleep(STEP_S)
                    yield None
                else:
                    yield self._one(adapter, sending)
        finally:
            self._idle.append(adapter)

    def _take(self) -> GuardedAdapter:
        """Connections that nobody uses; none of those that existed before a fork."""
        if self._process != os.getpid():
            self._idle, self._process = [], os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            return GuardedAdapter(self._allowed)

    def _one(self, adapter: GuardedAdapter, sending: Sending) -> Landed:
        """Send one request; every ending is an answer or one of our errors."""
        started = time.monotonic()
        ending: HttpResponse | TransportError
        try:
            with deadline(started + sending.timeouts.total_s):
                ending = self._exchange(adapter, sending.request, sending.timeouts)
        except TransportError as problem:
            ending = problem
        except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as problem:
            ending = _translate(problem)
        except Exception:
            # A defect must not harm the requests that follow.
            log.exception("transport_failed")
            ending = error(RequestRefused)
        return Landed(sending.key, ending, time.monotonic() - started)

    def _exchange(
        self, adapter: GuardedAdapter, request: HttpRequest, timeouts: Timeouts
    ) -> HttpResponse:
        """Through an adapter of requests, without a session.

        What a session adds (cookies, redirects, proxies, .netrc) is what must not happen here, and
        doing it costs as much as the request.
        """
        prepared = requests.PreparedRequest()
        prepared.method, (prepared.url, _) = request.method, address_of(request)
        # Nothing below asks for a header in another case: a plain dict serves.
        prepared.headers = _OURS | dict(request.headers)  # type: ignore[assignment]
        prepared.body = request.body
        if request.body is not None:
            prepared.headers["Content-Length"] = str(len(request.body))
        limits = (timeouts.connect_s, timeouts.read_s)
        response = adapter.send(prepared, stream=True, timeout=limits, verify=self._verify)
        with response:
            headers = response.raw.headers
            return HttpResponse(
                response.status_code,
                {name.lower(): headers[name] for name in headers},  # of one name, joined
                self._body(response),
            )

    def _body(self, response: requests.Response) -> bytes:
        body = bytearray()
        for chunk in response.raw.stream(_CHUNK, decode_content=True):
            body += chunk
            if len(body) > self._body_limit:
                response.raw.close()  # the rest is not read, so the connection cannot be kept
                raise error(BodyTooLarge)
        return bytes(body)


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
    (_BAD_ADDRESSES, AddressRefused),
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
