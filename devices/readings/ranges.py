"""Times as people write them in addresses: ISO 8601, or relative to now such as -24h. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_RELATIVE = re.compile(r"-(\d{1,6})([smhdw])")
_LENGTH = re.compile(r"(\d{1,6})([smhdw])", re.ASCII)
_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)


class BadTime(ValueError):
    """A text that is no time; says what would be one."""


def parse_time(text: str, now: datetime) -> datetime:
    """The instant that a text means: ISO 8601 (UTC unless it names an offset), -30m, -24h, now.

    Raises BadTime for anything else, and outside the years 1970 to 2199.
    """
    at = _relative(text, now) or _absolute(text)
    if not EARLIEST <= at < LATEST:
        raise BadTime(f"“{text}” lies outside the years 1970 to 2199.")
    return at


def parse_length(text: str) -> timedelta:
    """The length of time that a text means: 90s, 15m, 1h, 7d. Raises BadTime for anything else."""
    match = _LENGTH.fullmatch(text)
    if not match or not int(match[1]):
        raise BadTime(f"“{text}” is not a length of time. Write 90s, 15m, 1h or 7d.")
    return int(match[1]) * _UNITS[match[2]]


def _relative(text: str, now: datetime) -> datetime | None:
    if text == "now":
        return now
    match = _RELATIVE.fullmatch(text)
    if not match:
        return None
    try:
        return now - int(match[1]) * _UNITS[match[2]]
    except OverflowError as error:
        raise BadTime(f"“{text}” lies outside the years 1970 to 2199.") from error


def _absolute(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadTime(
            f"“{text}” is not a time. Write 2026-11-20T21:58:00Z, or relative to now -30m, -24h, "
            "-7d. (In an address, + is written %2B.)"
        ) from error
