"""Sending one request: the words for it, the protocol, and requests behind it.

Errors never quote the address, the headers or what the library said: its texts may hold keys.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import Protocol
from urllib.parse import urlsplit

import requests
import urllib3.exceptions
from requests_hardened import Config, HTTPSession
from requests_hardened.ip_filter import InvalidIPAddress

from ingestion.resilience.addresses import AllowList, GuardedAdapter
from ingestion.resilience.deadline import deadline
from ingestion.resilience.policy import Timeouts

BODY_LIMIT = 5_000_000
"""Bytes of an answer that are read: a full page of 8,000 rows of eight numbers takes about two."""

USER_AGENT = "telemetry-site/1.0"
_CHUNK = 65_536


class TransportError(Exception):
    """No complete answer. The text is a sentence for people, without address or secrets."""


class ConnectFailed(TransportError):
    """No connection (refused, unreachable, unknown name), or it broke before the answer."""


class TimedOut(TransportError):
    """A limit of the attempt passed: to connect, between two pieces, or for the whole answer."""


class TlsFailed(TransportError):
    """The server's certificate is not valid for its address, or encryption failed."""


class BodyTooLarge(TransportError):
    """The answer's body, decompressed, is larger than the limit."""


class BodyCutOff(TransportError):
    """The answer ended in the middle, or could not be decompressed."""


class AddressRefused(TransportError):
    """The address cannot be used, or leads into a network that is not allowed."""


class RequestRefused(TransportError):
    """The request itself cannot be sent, for example a key with a line break in it."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request to send. Secrets belong into `headers` alone, which are never shown."""

    url: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    method: str = "GET"
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """One complete answer: header names in lower case, body decompressed, seconds it took."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    elapsed_s: float = 0.0

    def header(self, name: str) -> str | None:
        """A header's value, whatever the case of its name."""
        return self.headers.get(name.lower())


class Transport(Protocol):
    """Whatever can send a request."""

    def send(self, request: HttpRequest, timeouts: Timeouts) -> HttpResponse:
        """The complete answer, whatever its status. Raises TransportError."""


def host_of(url: str) -> str:
    """Scheme, host and port of an address: the key of its breaker."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{(parts.hostname or '').lower()}:{port}"


class RequestsTransport:
    """requests behind `Transport`: one session per thread, so that connections are reused.

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
        self._local = threading.local()

    def send(self, request: HttpRequest, timeouts: Timeouts) -> HttpResponse:
        """The complete answer within the limits. Raises TransportError."""
        started = time.monotonic()
        try:
            with deadline(started + timeouts.total_s):
                return self._exchange(request, timeouts, started)
        except TransportError:
            raise
        except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
            problem = _translate(error)
        # Outside the except block, so that the library's error, whose text may hold what was
        # sent, does not hang on ours.
        raise problem

    def _exchange(self, request: HttpRequest, timeouts: Timeouts, started: float) -> HttpResponse:
        session = self._session()
        prepared = session.prepare_request(
            requests.Request(
                request.method,
                request.url,
                params=dict(request.params),
                headers=dict(request.headers),
                data=request.body,
            )
        )
        with session.send(
            prepared,
            stream=True,
            timeout=(timeouts.connect_s, timeouts.read_s),
            allow_redirects=False,
            verify=self._verify,
        ) as response:
            return HttpResponse(
                response.status_code,
                {name.lower(): value for name, value in response.headers.items()},
                self._body(response),
                time.monotonic() - started,
            )

    def _body(self, response: requests.Response) -> bytes:
        body = bytearray()
        while chunk := response.raw.read(_CHUNK, decode_content=True):
            body += chunk
            if len(body) > self._body_limit:
                response.raw.close()  # the rest is not read, so the connection cannot be kept
                raise BodyTooLarge(f"The answer is larger than {self._body_limit} bytes.")
        return bytes(body)

    def _session(self) -> HTTPSession:
        """This thread's session; a new one after a fork, which would share its sockets."""
        if getattr(self._local, "process", None) != os.getpid():
            self._local.session = self._new_session()
            self._local.process = os.getpid()
        session: HTTPSession = self._local.session
        return session

    def _new_session(self) -> HTTPSession:
        session = HTTPSession(
            Config(
                ip_filter_enable=True,
                ip_filter_allow_loopback_ips=False,
                never_redirect=True,
                default_timeout=(Timeouts().connect_s, Timeouts().read_s),
                user_agent_override=USER_AGENT,
            )
        )
        session.trust_env = False
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http", "https"):
            session.mount(f"{scheme}://", GuardedAdapter(scheme, self._allowed))
        return session


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
_TRANSLATIONS: tuple[tuple[_Errors, type[TransportError], str], ...] = (
    ((InvalidIPAddress,), AddressRefused, "The address leads into a network that is not allowed."),
    (_BAD_ADDRESSES, AddressRefused, "The address is not one that can be asked."),
    (_TLS, TlsFailed, "The server's certificate is not valid for its address."),
    (_SLOW, TimedOut, "There was no complete answer in time."),
    (_BROKEN_BODIES, BodyCutOff, "The answer broke off in the middle."),
    ((requests.ConnectionError,), ConnectFailed, "There was no connection, or it broke."),
)


def _translate(error: Exception) -> TransportError:
    for classes, translated, text in _TRANSLATIONS:
        if isinstance(error, classes):
            return translated(text)
    return RequestRefused("The request cannot be sent as it is.")
