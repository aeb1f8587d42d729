"""Reading the times that sources write, strictly: a time without a clear zone is refused. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone

from ingestion.entries import Reason

DETAILS = {
    Reason.UNREADABLE_TIME: "The row's time cannot be read. Expected is a form such as "
    "2026-11-20T21:58:00Z; have the device or upload write times like this.",
    Reason.NO_ZONE: "The row's time says no time zone, so it could mean any of 24 hours. Have the "
    "device or upload add one, such as Z or +05:30.",
    Reason.UNKNOWN_ZONE: "The row's time names its zone by a word that means different hours in "
    "different countries. Have the device or upload write an offset, such as +02:00.",
    Reason.BEFORE_1970: "The row's time lies before 1970, which usually means that the device's "
    "clock was not set. Set it, for example from the network at start.",
}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FORM = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?) ?"
    r"(?:(?P<utc>Z|z|UTC|GMT)|(?P<sign>[+-])(?P<hours>[0-9]{2}):?(?P<minutes>[0-9]{2})?"
    r"|(?P<word>[A-Za-z][A-Za-z/_+-]*))?"
)
_USUAL_LENGTH, _USUAL_MARKS = len("2026-11-20T21:58:00Z"), "--T::Z"
_LONGEST_OFFSET = timedelta(hours=14)  # Kiribati's, the farthest in use


def read_time(raw: object) -> datetime | Reason:
    """The instant in UTC, or why it cannot be one.

    Read are ISO 8601 with Z or an offset, and ThingSpeak's exports: «2018-11-06 17:53:46 UTC»,
    «2016-11-22 07:20:00 -0500», «2023-11-17 13:23:27+00:00». Years 1970 to 9999.
    """
    if not isinstance(raw, str):
        return Reason.UNREADABLE_TIME
    if (at := _as_usual(raw)) is not None:
        return at if at >= _EPOCH else Reason.BEFORE_1970
    text = raw.strip()
    found = _FORM.fullmatch(text)
    if found is None:
        return Reason.UNREADABLE_TIME
    zone = _zone(found)
    if isinstance(zone, Reason):
        return zone
    try:
        local = datetime.fromisoformat(f"{found[1]}T{_padded(found[2])}")
        at = local.replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return Reason.UNREADABLE_TIME
    return at if at >= _EPOCH else Reason.BEFORE_1970


def usual_times(raws: Sequence[object]) -> list[datetime] | None:
    """Very many times in the form that almost all have; None where one has not, or is refused."""
    texts = [raw for raw in raws if isinstance(raw, str) and len(raw) == _USUAL_LENGTH]
    if len(texts) < len(raws) or {text[4::3] for text in texts} != {_USUAL_MARKS}:
        return None
    if not "".join(texts).isascii():
        return None
    try:
        times = list(map(datetime.fromisoformat, texts))
    except ValueError:
        return None
    return times if min(times) >= _EPOCH else None


def _as_usual(raw: str) -> datetime | None:
    """A time in the form that almost all have, 2026-11-20T21:58:00Z; None for any other."""
    if len(raw) != _USUAL_LENGTH or raw[4::3] != _USUAL_MARKS or not raw.isascii():
        return None
    try:
        return datetime.fromisoformat(raw)
    except ValueError:
        return None


def _padded(clock: str) -> str:
    """Fractions of a second with the six digits that every Python reads."""
    whole, point, fraction = clock.partition(".")
    return f"{whole}.{fraction:0<6}" if point else whole


def _zone(found: re.Match[str]) -> timezone | Reason:
    if found["utc"]:
        return UTC
    if found["word"]:
        return Reason.UNKNOWN_ZONE
    if not found["sign"]:
        return Reason.NO_ZONE
    offset = timedelta(hours=int(found["hours"]), minutes=int(found["minutes"] or 0))
    if offset > _LONGEST_OFFSET or int(found["minutes"] or 0) > 59:
        return Reason.UNREADABLE_TIME
    return timezone(-offset if found["sign"] == "-" else offset)
