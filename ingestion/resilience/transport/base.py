"""Sending requests: the words for it, the protocol, and the one loop behind every transport.

Errors never quote the address, the headers or what a library said: its texts may hold keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol
from urllib.parse import quote_plus, urlsplit

import requests

from ingestion.resilience.policy import Timeouts

BODY_LIMIT = 5_000_000
"""Bytes of an answer that are read: a full page of 8,000 rows of eight numbers takes about two."""

USER_AGENT = "telemetry-site/1.0"

STEP_S = 0.025
"""How long a transport waits for an answer before it looks whether something may be sent by now."""

_PLAIN_URL = re.compile(
    r"https?://(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+)(?::[0-9]{1,5})?(?:[/?][!\"$-~]*)?"
)
_PLAIN_VALUE = re.compile(r"[0-9A-Za-z_.~-]*")
_SENDABLE = re.compile(r"[!-~](?:[ -~\x80-\xff\t]*[!-~\x80-\xff])?|")


class TransportError(Exception):
    """No complete answer. The text is a sentence for people, without address or secrets."""


class ConnectFailed(TransportError):
    """No connection (refused, unreachable), or it broke before the answer."""


class NameUnknown(ConnectFailed):
    """The server's name leads to no address, or nobody could be asked for one."""


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


SAYS: dict[type[TransportError], str] = {
    ConnectFailed: "There was no connection, or it broke.",
    NameUnknown: "The server's name leads to no address.",
    TimedOut: "There was no complete answer in time.",
    TlsFailed: "The server's certificate is not valid for its address.",
    BodyTooLarge: "The answer is larger than what is read of one.",
    BodyCutOff: "The answer broke off in the middle.",
    AddressRefused: "The address cannot be asked, or leads into a network that is not allowed.",
    RequestRefused: "The request cannot be sent as it is.",
}
"""One sentence for each kind of error, whatever the library behind the transport."""


def error(kind: type[TransportError]) -> TransportError:
    """An error of that kind, with its sentence."""
    return kind(SAYS[kind])


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
    """One complete answer: header names in lower case, body decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def header(self, name: str) -> str | None:
        """A header's value, whatever the case of its name."""
        return self.headers.get(name.lower())


@dataclass(frozen=True, slots=True)
class Sending:
    """A request to send now, within limits; `key` is the sender's own number for it."""

    key: int
    request: HttpRequest
    timeouts: Timeouts


@dataclass(frozen=True, slots=True)
class Landed:
    """What a sending came to, and how many seconds it took."""

    key: int
    ending: HttpResponse | TransportError
    elapsed_s: float


class Transport(Protocol):
    """Whatever can send requests."""

    def send(self, requests: Iterable[Sending | None]) -> Iterator[Landed | None]:
        """Send each request as it is given; give each ending as it lands, in whatever order.

        A request is taken only when there is room for it in the air. None taken: nothing may be
        sent at the moment; None given: nothing landed for STEP_S. Ends when `requests` has ended
        and everything has landed; closed sooner, what is in the air is let go.
        """


class Air(Protocol):
    """What a transport has in the air: a library behind three verbs, for `carry`."""

    def room(self) -> bool:
        """Whether another request may be sent now."""

    def launch(self, sending: Sending) -> None:
        """Begin to send."""

    def landed(self, patience_s: float) -> Sequence[Landed]:
        """What has landed, after waiting at most so long for a first one."""

    def __len__(self) -> int:
        """How many are in the air."""


def carry(requests: Iterable[Sending | None], air: Air) -> Iterator[Landed | None]:
    """`Transport.send` over what a library has in the air."""
    source, more = iter(requests), True
    while more or len(air):
        while more and air.room():
            try:
                sending = next(source)
            except StopIteration:
                more = False
                break
            if sending is None:
                break
            air.launch(sending)
        landed = air.landed(STEP_S) if more or len(air) else ()
        yield from landed or (None,)


def send_one(transport: Transport, request: HttpRequest, timeouts: Timeouts) -> HttpResponse:
    """The complete answer to one request, whatever its status. Raises TransportError."""
    for landed in transport.send([Sending(0, request, timeouts)]):
        if landed is None:
            continue
        if isinstance(landed.ending, TransportError):
            raise landed.ending
        return landed.ending
    raise RuntimeError("A transport ended without telling what came of the request.")


def host_of(url: str) -> str:
    """Scheme, host and port of an address: the key of its breaker."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{(parts.hostname or '').lower()}:{port}"


def address_of(request: HttpRequest) -> tuple[str, str]:
    """The address of a request with its parameters, and its host.

    Raises AddressRefused for an address that cannot be asked, and RequestRefused for headers that
    cannot travel: with something in them that would end a line, or is no Latin-1.
    """
    if not all(map(_SENDABLE.fullmatch, request.headers.values())):
        raise error(RequestRefused)
    url = request.url
    plain = _PLAIN_URL.fullmatch(url) if url.isascii() else None
    if plain is None:
        url = _quoted(url)
        host = urlsplit(url).hostname or ""
    else:
        host = plain[1].strip("[]")
    query = "&".join(f"{_value(name)}={_value(text)}" for name, text in request.params.items())
    joint = "&" if "?" in url else "?"
    return (f"{url}{joint}{query}" if query else url), host


@lru_cache(maxsize=1024)  # names and most values are the same in every request
def _value(text: str) -> str:
    return text if _PLAIN_VALUE.fullmatch(text) else quote_plus(text)


def _quoted(url: str) -> str:
    """An address with blanks, umlauts or a name in another script, as it travels."""
    prepared = requests.PreparedRequest()
    try:
        prepared.prepare_url(url, None)
    except (requests.RequestException, ValueError):
        prepared.url = None
    if prepared.url is None or not prepared.url.startswith(("http://", "https://")):
        # Outside the except block: the library's error quotes the address.
        raise error(AddressRefused)
    return prepared.url
