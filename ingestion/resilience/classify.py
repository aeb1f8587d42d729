"""What an attempt came to, and what follows from it: one table. Pure.

Trips the breaker: whatever says that the host as a whole is unwell (no connection, timeouts,
5xx, an answer that is not the API's). Never trips it: what speaks about one account (429, 402),
one credential (401, 403) or one source (400, 404, 410).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

from ingestion.resilience.transport import (
    AddressRefused,
    BodyCutOff,
    BodyTooLarge,
    ConnectFailed,
    HttpResponse,
    NameUnknown,
    TimedOut,
    TlsFailed,
    TransportError,
)

LICENCE_PAUSE_S = 3600.0
"""An exhausted licence is asked about once an hour: nothing but a person can renew it."""


class Outcome(StrEnum):
    """What a poll came to, for people and statistics. Only answers say anything about a device."""

    OK = "ok"
    EMPTY = "empty"
    THROTTLED = "throttled"
    OPEN = "open"
    SOURCE_ERROR = "source_error"
    UPSTREAM_ERROR = "upstream_error"
    OUR_ERROR = "our_error"


class Kind(StrEnum):
    """What exactly happened. A closed set; each has one row in EFFECTS."""

    OK = "ok"
    EMPTY = "empty"
    BUDGET = "budget"  # our own limiter granted no slot
    THROTTLED = "throttled"  # 429
    LICENCE = "licence"  # 402
    CIRCUIT_OPEN = "circuit_open"
    CREDENTIAL = "credential"  # 401, 403, or the API's own way of saying so
    NOT_FOUND = "not_found"  # 404, 410
    BAD_REQUEST = "bad_request"  # other 4xx
    TOO_LARGE = "too_large"
    REDIRECTED = "redirected"
    NAME = "name"
    CONNECT = "connect"
    TIMEOUT = "timeout"
    TLS = "tls"
    GATEWAY = "gateway"  # 502, 503, 504
    SERVER = "server"  # other 5xx
    CUT_OFF = "cut_off"
    NOT_THE_API = "not_the_api"
    ADDRESS_REFUSED = "address_refused"
    OURS = "ours"


class Breaker(StrEnum):
    """What the breaker learns from an attempt."""

    SUCCESS = "success"
    FAILURE = "failure"
    NOTHING = "nothing"


class Pause(StrEnum):
    """What the budget learns from an attempt."""

    NONE = "none"
    SLOWER = "slower"  # pause, then go on at half the rate
    STOP = "stop"  # pause; the rate is not at fault


@dataclass(frozen=True, slots=True)
class Effects:
    """What follows from a kind.

    `quarantine`: ask this source again only after its own doubling interval (up to 6 h).
    `credential`: mark the source's key as refused. `permanent`: only a person can cure it.
    `retry`: another attempt soon may cure it. `says`: a sentence for people, what happened and
    what to do, where an adapter has no better one.
    """

    outcome: Outcome
    says: str
    breaker: Breaker = Breaker.NOTHING
    pause: Pause = Pause.NONE
    quarantine: bool = False
    credential: bool = False
    permanent: bool = False
    retry: bool = False


_SUCCESS, _FAILURE = Breaker.SUCCESS, Breaker.FAILURE
_UPSTREAM, _SOURCE, _OURS = Outcome.UPSTREAM_ERROR, Outcome.SOURCE_ERROR, Outcome.OUR_ERROR

EFFECTS: dict[Kind, Effects] = {
    Kind.OK: Effects(Outcome.OK, "The source answered.", _SUCCESS),
    Kind.EMPTY: Effects(
        Outcome.EMPTY,
        "The source answered, but has no entries for the time asked about. Check that the device "
        "is switched on and sends.",
        _SUCCESS,
    ),
    Kind.BUDGET: Effects(
        Outcome.THROTTLED,
        "The connection's request budget is used up for the moment. It is asked again as soon as "
        "the budget allows; raise the budget if this repeats.",
    ),
    Kind.THROTTLED: Effects(
        Outcome.THROTTLED,
        "The provider says that it is asked too often. Requests pause and go on at half the rate, "
        "which recovers by itself; lower the connection's budget if this repeats.",
        pause=Pause.SLOWER,
    ),
    Kind.LICENCE: Effects(
        Outcome.THROTTLED,
        "The provider's licence for this account is used up. Requests pause for an hour at a "
        "time; renew the licence with the provider.",
        pause=Pause.STOP,
        permanent=True,
    ),
    Kind.CIRCUIT_OPEN: Effects(
        Outcome.OPEN,
        "The provider failed several times and is left in peace for a while. It is tried again by "
        "itself.",
    ),
    Kind.CREDENTIAL: Effects(
        _SOURCE,
        "The provider refused access. Enter the right key.",
        quarantine=True,
        credential=True,
        permanent=True,
    ),
    Kind.NOT_FOUND: Effects(
        _SOURCE,
        "The provider does not know this source. Check its number and the connection's address.",
        quarantine=True,
        permanent=True,
    ),
    Kind.BAD_REQUEST: Effects(
        _SOURCE,
        "The provider did not accept the request. Check the source's settings.",
        quarantine=True,
        permanent=True,
    ),
    Kind.TOO_LARGE: Effects(
        _SOURCE,
        "The answer was larger than allowed and was not read. Check the connection's address.",
        quarantine=True,
    ),
    Kind.REDIRECTED: Effects(
        _UPSTREAM,
        "The provider sent us to another address, which is not followed because the key would "
        "travel along. Enter the final address in the connection, usually with https.",
        quarantine=True,
        permanent=True,
    ),
    Kind.CONNECT: Effects(
        _UPSTREAM,
        "No connection to the provider, or it broke before the answer came. Check the "
        "connection's address and this machine's network; it is tried again by itself.",
        _FAILURE,
        retry=True,
    ),
    Kind.NAME: Effects(
        _UPSTREAM,
        "The name in the provider's address was not found. Check the connection's address and this "
        "machine's name resolution (DNS); it is tried again by itself.",
        _FAILURE,
        retry=True,
    ),
    Kind.TIMEOUT: Effects(
        _UPSTREAM,
        "The provider did not answer in time. It is tried again by itself.",
        _FAILURE,
        retry=True,
    ),
    Kind.TLS: Effects(
        _UPSTREAM,
        "The provider's certificate is not valid for its address, so nothing was sent. Check the "
        "connection's address and this machine's clock.",
        _FAILURE,
    ),
    Kind.GATEWAY: Effects(
        _UPSTREAM,
        "The provider is not available at the moment. It is tried again by itself.",
        _FAILURE,
        retry=True,
    ),
    Kind.SERVER: Effects(
        _UPSTREAM,
        "The provider reported an error of its own. It is tried again by itself.",
        _FAILURE,
    ),
    Kind.CUT_OFF: Effects(
        _UPSTREAM,
        "The provider's answer broke off in the middle. It is tried again by itself.",
        _FAILURE,
    ),
    Kind.NOT_THE_API: Effects(
        _UPSTREAM,
        "Something answered at the address, but not the provider's API. Check the connection's "
        "address.",
        _FAILURE,
    ),
    Kind.ADDRESS_REFUSED: Effects(
        _OURS,
        "The connection's address is not allowed: it cannot be used, or leads into a private "
        "network. Correct it, or have the administrator allow the network: "
        "ALLOWED_PRIVATE_NETWORKS in the environment of the site and of its commands.",
        permanent=True,
    ),
    Kind.OURS: Effects(
        _OURS,
        "The request could not be made with the stored settings. Check the connection and the "
        "source, and enter the key again.",
        permanent=True,
    ),
}

_ERRORS: dict[type[TransportError], Kind] = {
    NameUnknown: Kind.NAME,
    ConnectFailed: Kind.CONNECT,
    TimedOut: Kind.TIMEOUT,
    TlsFailed: Kind.TLS,
    BodyTooLarge: Kind.TOO_LARGE,
    BodyCutOff: Kind.CUT_OFF,
    AddressRefused: Kind.ADDRESS_REFUSED,
}

_STATUSES = {
    401: Kind.CREDENTIAL,
    402: Kind.LICENCE,
    403: Kind.CREDENTIAL,
    404: Kind.NOT_FOUND,
    410: Kind.NOT_FOUND,
    429: Kind.THROTTLED,
    502: Kind.GATEWAY,
    503: Kind.GATEWAY,
    504: Kind.GATEWAY,
}
_FAMILIES = {3: Kind.REDIRECTED, 4: Kind.BAD_REQUEST, 5: Kind.SERVER}


class SourceError(Exception):
    """An answer that holds no rows to read: its kind and a sentence for people, no secrets.

    `retry_after_s` is how long the provider asks us to wait, when it said so.
    """

    def __init__(self, kind: Kind, message: str = "", retry_after_s: float | None = None) -> None:
        self.kind = kind
        self.message = message or EFFECTS[kind].says
        self.retry_after_s = retry_after_s
        super().__init__(self.message)

    @property
    def permanent(self) -> bool:
        """Whether only a person can cure it: stop and show it, instead of trying on."""
        return EFFECTS[self.kind].permanent


def kind_of_status(status: int) -> Kind | None:
    """What a status alone says; None for 2xx, where the body decides."""
    if 200 <= status < 300:
        return None
    return _STATUSES.get(status) or _FAMILIES.get(status // 100, Kind.NOT_THE_API)


def kind_of_error(error: TransportError) -> Kind:
    """What a transport error comes to; errors that we made ourselves are OURS."""
    return _ERRORS.get(type(error), Kind.OURS)


def retry_after_s(response: HttpResponse, now: datetime) -> float | None:
    """Seconds that the Retry-After header asks us to wait; None when absent or unreadable.

    The header holds seconds or an HTTP date (RFC 9110 section 10.2.3); a date is compared with the
    answer's own Date where it has one, so that a wrong clock on either side does no harm.
    """
    text = (response.header("Retry-After") or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    until = _http_date(text)
    if until is None:
        return None
    since = _http_date(response.header("Date") or "") or now
    seconds = (until - since).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _http_date(text: str) -> datetime | None:
    try:
        parsed = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
