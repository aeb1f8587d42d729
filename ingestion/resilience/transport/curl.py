"""libcurl behind `Transport`: many requests in the air from one thread, kept connections.

Time limits are ours, not libcurl's: it would count the time in which the worker stores answers, and
call a provider slow because our database was. Here what has arrived is read before any limit is
looked at.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import certifi
import pycurl  # type: ignore[import-untyped]

from ingestion.resilience.addresses import AllowList
from ingestion.resilience.transport.base import (
    BODY_LIMIT,
    USER_AGENT,
    AddressRefused,
    BodyCutOff,
    BodyTooLarge,
    ConnectFailed,
    HttpResponse,
    Landed,
    NameUnknown,
    Sending,
    TimedOut,
    TlsFailed,
    TransportError,
    address_of,
    carry,
    error,
)

IN_THE_AIR = 50
"""Requests in the air at once, and connections kept."""


class CurlTransport:
    """`Transport` over libcurl. One per process; each `send` has connections to itself.

    Private, loopback and other special addresses are refused when the socket is made, that is for
    the very address that is connected to, except for `allowed`: networks such as 10.0.0.0/8 or host
    names. `verify` is True or the path of a bundle of certificates to trust.
    """

    def __init__(
        self,
        allowed: Collection[str] = (),
        *,
        body_limit: int = BODY_LIMIT,
        verify: bool | str = True,
        places: int = IN_THE_AIR,
    ) -> None:
        self._rules = _Rules(AllowList(allowed), body_limit, _bundle(verify))
        self._places = places
        self._idle: list[_Air] = []
        self._process = os.getpid()

    def send(self, requests: Iterable[Sending | None]) -> Iterator[Landed | None]:
        """See `Transport.send`."""
        air = self._take()
        try:
            yield from carry(requests, air)
        finally:
            air.let_go()
            self._idle.append(air)

    def _take(self) -> _Air:
        """Connections that nobody uses; none of those that existed before a fork."""
        if self._process != os.getpid():
            self._idle, self._process = [], os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            return _Air(self._rules, self._places)


def _bundle(verify: bool | str) -> str:
    if verify is False:
        raise ValueError("Certificates are always checked: name a bundle to trust instead.")
    return certifi.where() if verify is True else str(verify)


class _Rules:
    """What every request keeps to."""

    def __init__(self, allowed: AllowList, body_limit: int, bundle: str) -> None:
        self.allowed, self.body_limit, self.bundle = allowed, body_limit, bundle

    def apply(self, curl: pycurl.Curl) -> None:
        """Options that are the same for every request."""
        for option, value in (
            (pycurl.NOSIGNAL, 1),
            (pycurl.FOLLOWLOCATION, 0),
            (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
            (pycurl.PROXY, ""),  # also not one that the environment names
            (pycurl.NETRC, pycurl.NETRC_IGNORED),
            (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
            (pycurl.HTTP09_ALLOWED, 0),
            (pycurl.ACCEPT_ENCODING, "gzip, deflate"),
            (pycurl.USERAGENT, USER_AGENT),
            (pycurl.SSL_VERIFYPEER, 1),
            (pycurl.SSL_VERIFYHOST, 2),
            (pycurl.CAINFO, self.bundle),
        ):
            curl.setopt(option, value)


class _Line:
    """One handle of libcurl, used for one request after the other."""

    def __init__(self, rules: _Rules) -> None:
        self.curl = pycurl.Curl()
        rules.apply(self.curl)
        self._rules = rules
        self.curl.setopt(pycurl.OPENSOCKETFUNCTION, self._open)
        self.curl.setopt(pycurl.PREREQFUNCTION, self._connected)
        self.curl.setopt(pycurl.HEADERFUNCTION, self._header)
        self.curl.setopt(pycurl.WRITEFUNCTION, self._write)

    def prepare(self, sending: Sending, now: float) -> None:
        """Make ready for a request; raises TransportError for one that cannot be sent."""
        request = sending.request
        url, self._host = address_of(request)
        self.sending, self.started, self.heard = sending, now, now
        self.body, self.head = bytearray(), list[bytes]()
        self.sent, self.opened = 0, False
        curl = self.curl
        curl.setopt(pycurl.URL, url)
        curl.setopt(
            pycurl.HTTPHEADER,
            [f"{name}: {value}".encode("latin-1") for name, value in request.headers.items()],
        )
        if request.body is not None:
            curl.setopt(pycurl.POSTFIELDS, request.body)
        if request.method != "GET":
            curl.setopt(pycurl.CUSTOMREQUEST, request.method)

    @property
    def reusable(self) -> bool:
        """Whether the next request, a plain GET, would not inherit anything of this one."""
        return self.sending.request.method == "GET" and self.sending.request.body is None

    def overdue(self, now: float) -> bool:
        """Whether a limit has passed: to connect, between two pieces, or for all of it."""
        limits = self.sending.timeouts
        patience = limits.read_s if self.sent else limits.connect_s
        return now > self.started + limits.total_s or now > self.heard + patience

    def answer(self) -> HttpResponse:
        """The complete answer."""
        return HttpResponse(
            self.curl.getinfo(pycurl.RESPONSE_CODE), _headers(self.head), bytes(self.body)
        )

    def problem(self, code: int) -> TransportError:
        """What libcurl's error comes to."""
        if len(self.body) > self._rules.body_limit:
            return error(BodyTooLarge)
        if code == pycurl.E_COULDNT_CONNECT and not self.opened:
            return error(AddressRefused)
        if code == pycurl.E_RECV_ERROR and self.head:
            return error(BodyCutOff)
        return error(_CODES.get(code, ConnectFailed))

    # what libcurl calls -----------------------------------------------------------------------

    def _open(self, purpose: int, address: Any) -> Any:
        """A socket to an address that may be asked: checked here, nothing can come between."""
        family, kind, protocol, (host, *_) = address
        if self._rules.allowed.permits(self._host, ipaddress.ip_address(host)):
            self.opened = True
            return _Handed(socket.socket(family, kind, protocol))
        return pycurl.SOCKET_BAD

    def _connected(self, *_: object) -> Any:
        """Connected, TLS included. A second time would be a repetition that no slot pays for."""
        self.sent += 1
        self.heard = time.monotonic()
        return pycurl.PREREQFUNC_OK if self.sent == 1 else pycurl.PREREQFUNC_ABORT

    def _header(self, line: bytes) -> None:
        self.heard = time.monotonic()
        if line.startswith(b"HTTP/"):
            self.head.clear()  # what came before was «100 Continue»
        self.head.append(line)

    def _write(self, piece: bytes) -> int | None:
        self.heard = time.monotonic()
        self.body += piece
        return None if len(self.body) <= self._rules.body_limit else 0


class _Handed:
    """A socket handed to libcurl, which takes a copy of its number: ours is closed at once."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def fileno(self) -> int:
        return self._sock.fileno()

    def __del__(self) -> None:
        self._sock.close()


class _Air:
    """What is in the air: `base.Air` over one multi handle."""

    def __init__(self, rules: _Rules, places: int) -> None:
        self._rules, self._places = rules, places
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, places)
        self._idle: list[_Line] = []
        self._lines: dict[pycurl.Curl, _Line] = {}
        self._failed: list[Landed] = []

    def __len__(self) -> int:
        return len(self._lines) + len(self._failed)

    def room(self) -> bool:
        return len(self._lines) < self._places

    def launch(self, sending: Sending) -> None:
        line = self._idle.pop() if self._idle else _Line(self._rules)
        try:
            line.prepare(sending, time.monotonic())
        except TransportError as problem:
            self._idle.append(line)
            self._failed.append(Landed(sending.key, problem, 0.0))
            return
        self._lines[line.curl] = line
        self._multi.add_handle(line.curl)

    def landed(self, patience_s: float) -> Sequence[Landed]:
        landed, self._failed = self._failed, []
        landed += self._perform()
        if landed:
            return landed
        if not self._lines:
            time.sleep(patience_s)
            return landed
        self._multi.select(patience_s)
        return self._perform() or self._overdue()

    def let_go(self) -> None:
        """Break off what is still in the air."""
        for line in list(self._lines.values()):
            self._land(line)
        self._failed.clear()

    def _perform(self) -> list[Landed]:
        self._multi.perform()
        landed: list[Landed] = []
        left = 1
        while left:
            left, well, ill = self._multi.info_read()
            landed += [self._ended(self._lines[curl]) for curl in well]
            landed += [self._ended(self._lines[curl], code) for curl, code, _ in ill]
        return landed

    def _ended(self, line: _Line, code: int | None = None) -> Landed:
        ending = line.answer() if code is None else line.problem(code)
        self._land(line)
        return Landed(line.sending.key, ending, time.monotonic() - line.started)

    def _overdue(self) -> list[Landed]:
        """Asked after everything that has arrived was read."""
        now = time.monotonic()
        late = [line for line in self._lines.values() if line.overdue(now)]
        for line in late:
            self._land(line)
        return [Landed(one.sending.key, error(TimedOut), now - one.started) for one in late]

    def _land(self, line: _Line) -> None:
        self._multi.remove_handle(line.curl)
        del self._lines[line.curl]
        if line.reusable:
            self._idle.append(line)


def _headers(lines: Sequence[bytes]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.decode("latin-1").partition(":")
        if colon:
            name, value = name.strip().lower(), value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


_CODES: dict[int, type[TransportError]] = {
    pycurl.E_URL_MALFORMAT: AddressRefused,
    pycurl.E_COULDNT_RESOLVE_HOST: NameUnknown,
    pycurl.E_OPERATION_TIMEDOUT: TimedOut,
    pycurl.E_PARTIAL_FILE: BodyCutOff,
    pycurl.E_BAD_CONTENT_ENCODING: BodyCutOff,
    pycurl.E_WRITE_ERROR: BodyCutOff,
    pycurl.E_SSL_CONNECT_ERROR: TlsFailed,
    pycurl.E_PEER_FAILED_VERIFICATION: TlsFailed,
    pycurl.E_SSL_CACERT_BADFILE: TlsFailed,
    pycurl.E_SSL_CERTPROBLEM: TlsFailed,
    pycurl.E_SSL_CIPHER: TlsFailed,
    pycurl.E_SSL_INVALIDCERTSTATUS: TlsFailed,
    pycurl.E_SSL_ISSUER_ERROR: TlsFailed,
}
"""libcurl's errors in our words; everything else is a connection that was not, or broke."""
