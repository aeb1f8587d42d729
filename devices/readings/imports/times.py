"""Times as our files hold them: with an offset, or local in a zone that the file names. Pure.

Whatever needs a guess is refused, with what to change so that it needs none.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from devices.readings.imports.reasons import Reason, Refused
from devices.readings.instants import EPOCH, to_millisecond

FUTURE_TOLERANCE = timedelta(minutes=10)
"""As for polled readings: clocks differ a little."""
_ISO = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?"
    r" ?(Z|UTC|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)
_OFFSET = re.compile(r"([+-])([0-9]{2}):([0-9]{2})")
_TITLE = re.compile(r"time \(([^()]+)\)", re.IGNORECASE)
_SHEETS_BEGIN = datetime(1899, 12, 30)  # noqa: DTZ001 (spreadsheets know no zones)
_MOST_DAYS = 2_958_465.0
"""31 December 9999, the last day of spreadsheets."""


def is_time(name: str) -> bool:
    """Whether a column of this name holds the times."""
    return name.strip().lower() == "time" or zone_in(name) is not None


def named_by(zone: str) -> str:
    """Half a sentence: how the title of a column says a zone, with this one as the example."""
    return f"call its column Time ({zone}), with the zone in which the times were written."


def zone_in(name: str) -> ZoneInfo | None:
    """The zone in the title of a column: «Time (Asia/Kolkata)»."""
    found = _TITLE.fullmatch(name.strip())
    return zone_of(found[1].strip()) if found else None


def zone_of(key: str) -> ZoneInfo | None:
    """The zone of that name; None when there is none."""
    try:
        return ZoneInfo(key) if key else None
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a folder of zones is no zone either
        return None


def read_time(cell: Any, offset: Any, zone: ZoneInfo | None, now: datetime) -> datetime:
    """The instant (aware UTC, to the millisecond) of a time and the offset beside it, if any.

    A cell is a text, a day number of a spreadsheet, or an aware instant. Raises Refused.
    """
    if isinstance(cell, datetime):
        at = cell
    elif isinstance(cell, str):
        at = _text(cell.strip(), offset, zone)
    elif isinstance(cell, int | float) and not isinstance(cell, bool):
        at = _located(_from_days(cell), offset, zone)
    else:
        raise Refused(Reason.NO_TIME if cell is None else Reason.UNREADABLE_TIME)
    if at < EPOCH:
        raise Refused(Reason.BEFORE_1970)
    if at > now + FUTURE_TOLERANCE:
        raise Refused(Reason.FUTURE_TIME)
    return to_millisecond(at)


def _text(text: str, offset: Any, zone: ZoneInfo | None) -> datetime:
    if not text:
        raise Refused(Reason.NO_TIME)
    found = _ISO.fullmatch(text)
    if found is None:
        raise Refused(Reason.UNREADABLE_TIME)
    try:
        at = datetime.fromisoformat(text.replace(" UTC", "Z").replace("UTC", "Z"))
        return at.astimezone(UTC) if found[1] else _located(at, offset, zone)
    except (ValueError, OverflowError):
        raise Refused(Reason.UNREADABLE_TIME) from None


def _from_days(days: float) -> datetime:
    """A spreadsheet's days since the end of 1899, to the millisecond."""
    if not 61 <= days <= _MOST_DAYS:  # before 1 March 1900 spreadsheets count a day too many
        raise Refused(Reason.UNREADABLE_TIME)
    return _SHEETS_BEGIN + timedelta(milliseconds=round(days * 86_400_000))


def _located(local: datetime, offset: Any, zone: ZoneInfo | None) -> datetime:
    """A local time where the offset beside it says, else in the zone, if that is beyond doubt."""
    if isinstance(offset, str) and offset.strip():
        found = _OFFSET.fullmatch(offset.strip())
        if found is None or int(found[2]) > 23 or int(found[3]) > 59:
            raise Refused(Reason.WRONG_OFFSET)
        ahead = timedelta(hours=int(found[2]), minutes=int(found[3]))
        east = timezone(ahead if found[1] == "+" else -ahead)
        return local.replace(tzinfo=east).astimezone(UTC)
    if offset is not None and not isinstance(offset, str):
        raise Refused(Reason.WRONG_OFFSET)
    if zone is None:
        raise Refused(Reason.NO_ZONE)
    return _in_zone(local, zone)


def _in_zone(local: datetime, zone: ZoneInfo) -> datetime:
    first, second = (local.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    back = first.astimezone(UTC).astimezone(zone)
    if back.replace(tzinfo=None) != local:
        raise Refused(Reason.NONEXISTENT_TIME)
    if first.utcoffset() != second.utcoffset():
        raise Refused(Reason.AMBIGUOUS_TIME)
    return first.astimezone(UTC)
