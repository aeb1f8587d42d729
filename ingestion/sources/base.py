"""What every polled source has in common: build a request, read the answer. Sans I/O, pure.

An adapter never sends anything: `ingestion.resilience.client` performs its requests. A new kind is
one module here (see `thingspeak`) and one line in `ingestion.sources.ADAPTERS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

from ingestion.entries import Entry, Refusal
from ingestion.resilience.classify import Kind, SourceError
from ingestion.resilience.transport import HttpRequest, HttpResponse

__all__ = [
    "Facts",
    "Fetched",
    "HttpRequest",
    "HttpResponse",
    "Kind",
    "PollingAdapter",
    "SourceError",
    "Window",
    "address_problem",
]


@dataclass(frozen=True, slots=True)
class Window:
    """Which entries to ask for: times aware, both ends inclusive, the newest `limit` of them."""

    since: datetime | None = None
    until: datetime | None = None
    limit: int = 100

    def __post_init__(self) -> None:
        """Refuse a window that can hold nothing, and times without a zone."""
        if self.limit < 1:
            raise ValueError("a window holds at least one entry")
        if any(end is not None and end.tzinfo is None for end in (self.since, self.until)):
            raise ValueError("a window's times carry a zone")
        if self.since and self.until and self.since > self.until:
            raise ValueError("a window begins before it ends")


@dataclass(frozen=True, slots=True)
class Facts:
    """What an answer says about the source itself; None where it says nothing readable."""

    remote_id: str | None = None
    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    last_entry_id: int | None = None
    latitude: float | None = None  # degrees north, WGS 84
    longitude: float | None = None  # degrees east
    updated_at: datetime | None = None
    created_at: datetime | None = None  # of the source itself; its first entry is never older


@dataclass(frozen=True, slots=True)
class Fetched:
    """What an answer held: rows in its order, what could not be read, and facts.

    `full`: as many rows as were asked for, so older ones of the window may be missing.
    """

    entries: Sequence[Entry] = ()
    refusals: Sequence[Refusal] = ()
    facts: Facts | None = None
    full: bool = False

    @property
    def empty(self) -> bool:
        """Whether the answer held no rows at all, readable or not."""
        return not self.entries and not self.refusals


Config = TypeVar("Config", contravariant=True)


class PollingAdapter(Protocol[Config]):
    """One kind of source that is asked. `Config` is its typed configuration, secrets included."""

    def request(self, config: Config, window: Window) -> HttpRequest:
        """The request for a window. Raises SourceError when the configuration cannot be sent."""

    def decode(self, response: HttpResponse, window: Window) -> Fetched:
        """What the answer to the window's request holds. Raises SourceError, nothing else."""

    def describe(self, kind: Kind) -> str:
        """What happened and what to do, in this source's own words, for people."""


@lru_cache(maxsize=1024)  # the sources of an account share its address
def address_problem(address: str) -> str | None:
    """Why an account's address cannot be asked, in words; None when it can."""
    try:
        parts = urlsplit(address)
        named = bool(parts.hostname) and parts.port != 0  # reading the port checks it
    except ValueError:
        named = False
    if not named or parts.scheme not in ("http", "https"):
        return "The connection's address must begin with https:// or http:// and name a server."
    if "@" in parts.netloc or parts.query or parts.fragment:
        return "The connection's address must hold no user name, no password, no ? and no #."
    return None
