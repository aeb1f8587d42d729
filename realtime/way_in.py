"""What the dashboards want to know of ingestion, which answers through `register`.

Ingestion builds on realtime, so realtime cannot ask it by name; ingestion's app registers itself
at start. A site without it shows devices and their readings, and no polling.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol
from zoneinfo import ZoneInfo

from django.http import HttpRequest

from devices.models import Device
from realtime.presenters.rows import Banner


@dataclass(frozen=True, slots=True)
class Entry:
    """The newest entry of a source as received; `refusals` maps its fields to why not taken."""

    at: datetime
    sequence: int
    fields: Mapping[str, str | None]
    labels: Mapping[str, str] = field(default_factory=dict)
    received_at: datetime | None = None
    refusals: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Polling:
    """How polling one source goes. Times are aware; None is «not yet».

    `cadence_s`: seconds between the source's entries as observed. `throttled`: its last poll had
    to wait for the account's request budget.
    """

    last_poll_at: datetime | None = None
    last_success_at: datetime | None = None
    next_poll_at: datetime | None = None
    cadence_s: float | None = None
    throttled: bool = False


@dataclass(frozen=True, slots=True)
class SourceDetail:
    """More about one source: what it reads («channel 12397»), where staff set it up."""

    name: str
    admin_url: str | None = None
    entry: Entry | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """How many values of a device were refused, and where staff read why."""

    count: int
    url: str


class DayState(StrEnum):
    """What became of a day's entries; the gravest that holds for any of them."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    """Fewer than the device usually sends, where nothing proves what it did send."""
    OPEN = "open"
    FILLING = "filling"
    LOST = "lost"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Day:
    """How complete one calendar day is. `percent` 0 to 100; None while nothing is known.

    Counted are entries of the source: read, lost at the source, and still to be read. `text` says
    it in a sentence.
    """

    day: date
    state: DayState
    entries: int
    lost: int
    waiting: int
    percent: int | None
    text: str


class WayIn(Protocol):
    """Each answer costs the queries it names, however many sources are asked for.

    `request` is the page's: links into the admin are only for those it lets in.
    """

    def polling(self, sources: Collection[int]) -> Mapping[int, Polling]:
        """By primary key of the source, without those never polled. One query."""
        ...

    def details(self, sources: Collection[int], request: HttpRequest) -> Mapping[int, SourceDetail]:
        """By primary key of the source. Two queries at most."""
        ...

    def refused(self, device: Device, request: HttpRequest) -> Refused | None:
        """None for who may not read them. One query at most."""
        ...

    def completeness(
        self, sources: Collection[int], zone: ZoneInfo, days: int, now: datetime
    ) -> Sequence[Day]:
        """The newest so many days of these sources together, oldest first. One query."""
        ...

    def troubles(self, now: datetime) -> Sequence[Banner]:
        """What is wrong with polling as a whole: no clock, no worker. No query."""
        ...


class NoWayIn:
    """A site where nothing polls."""

    def polling(self, sources: Collection[int]) -> Mapping[int, Polling]:
        """Nothing is polled."""
        return {}

    def details(self, sources: Collection[int], request: HttpRequest) -> Mapping[int, SourceDetail]:
        """Nothing is known."""
        return {}

    def refused(self, device: Device, request: HttpRequest) -> Refused | None:
        """Nothing is refused."""
        return None

    def completeness(
        self, sources: Collection[int], zone: ZoneInfo, days: int, now: datetime
    ) -> Sequence[Day]:
        """Nothing is counted."""
        return ()

    def troubles(self, now: datetime) -> Sequence[Banner]:
        """Nothing can break."""
        return ()


_registered: list[WayIn] = [NoWayIn()]


def register(way_in: WayIn) -> WayIn:
    """Answer from now on; returns who answered before."""
    _registered.append(way_in)
    return _registered.pop(0)


def way_in() -> WayIn:
    """Who answers."""
    return _registered[0]
