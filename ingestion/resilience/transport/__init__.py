"""Sending requests. `base` holds the words and the protocol; behind it stand two libraries.

`RequestsTransport` (requests) serves single requests that a person waits for; `CurlTransport`
(libcurl) has a worker's batch in the air at once, at an eighth of the processor time. Both refuse
private addresses at connect time, follow no redirects, keep no cookies, read no proxies or .netrc
of the environment, limit the body and the whole answer's time, and fail in the same words.
"""

from ingestion.resilience.transport.base import (
    BODY_LIMIT,
    AddressRefused,
    BodyCutOff,
    BodyTooLarge,
    ConnectFailed,
    HttpRequest,
    HttpResponse,
    Landed,
    NameUnknown,
    RequestRefused,
    Sending,
    TimedOut,
    TlsFailed,
    Transport,
    TransportError,
    host_of,
    send_one,
)
from ingestion.resilience.transport.curl import CurlTransport
from ingestion.resilience.transport.single import RequestsTransport

__all__ = [
    "BODY_LIMIT",
    "AddressRefused",
    "BodyCutOff",
    "BodyTooLarge",
    "ConnectFailed",
    "CurlTransport",
    "HttpRequest",
    "HttpResponse",
    "Landed",
    "NameUnknown",
    "RequestRefused",
    "RequestsTransport",
    "Sending",
    "TimedOut",
    "TlsFailed",
    "Transport",
    "TransportError",
    "host_of",
    "send_one",
]
