"""Words about how long readings are kept, and what they take up. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Kept:
    """From when on single readings and hours of a metric are kept; None: since ever.

    Both are whole hours, and what is coarser is kept longer.
    """

    readings_from: datetime | None = None
    hours_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class Cut:
    """What of a device is to go: readings and hours before these instants (None: nothing)."""

    readings_before: datetime | None
    hours_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Dropped:
    """About how many rows of readings and how many hours went."""

    readings: int = 0
    hours: int = 0


@dataclass(frozen=True, slots=True)
class Volume:
    """About how many rows of readings a calendar month (UTC) has, and how many bytes on disk."""

    begins: datetime
    ends: datetime
    rows: int
    size: int
