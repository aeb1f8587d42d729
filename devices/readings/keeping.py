"""Words about how long readings are kept, and what they take up. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Kept:
    """From when on single readings and hours of a metric can be had; None: since ever.

    Both are whole hours, and what is coarser is kept longer. Readings before `archived_until`
    (None: none) come from the archive.
    """

    readings_from: datetime | None = None
    hours_from: datetime | None = None
    archived_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Cut:
    """What of a device is to go: readings and hours before these instants (None: nothing).

    `archive`: readings go into the archive first, a month at a time.
    """

    readings_before: datetime | None
    hours_before: datetime | None = None
    archive: bool = False


class TroubleKind(StrEnum):
    """Why the archive could not be written."""

    FULL = "full"
    UNWRITABLE = "unwritable"
    DIFFERS = "differs"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why readings that were to be archived were not, and so stayed; `message` is for people."""

    kind: TroubleKind
    message: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """About how many rows of readings and how many hours went, and how many single readings went
    into the archive. With a `trouble`, what was to be archived stayed, and all else went.
    """

    readings: int = 0
    hours: int = 0
    archived: int = 0
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class Volume:
    """About how many rows of readings a calendar month (UTC) has, and how many bytes on disk."""

    begins: datetime
    ends: datetime
    rows: int
    size: int


@dataclass(frozen=True, slots=True)
class Part:
    """About how many bytes one owner of rows takes up in a calendar month (UTC).

    `counted`: whoever is not named has no row in that month; else hardly any.
    """

    begins: datetime
    owner: int
    size: float
    counted: bool


@dataclass(frozen=True, slots=True)
class Shares:
    """About which share of a month (0 to 1) each device takes up.

    `counted`: a device that is not named has no reading in it; else hardly any.
    """

    of: Mapping[int, float]
    counted: bool


@dataclass(frozen=True, slots=True)
class Survey:
    """From when on what of a metric is kept, as the books have it: no file is opened for it.

    `beside_archive` is what answers when a file of the archive does not. Of a text or on/off
    metric, runs stand for the readings from `runs_from` (None: since ever) to `runs_until`
    (None: there are none); those from then on are all there.
    """

    kept: Kept
    beside_archive: Kept
    runs_from: datetime | None = None
    runs_until: datetime | None = None
