"""Reading and writing instants in the forms of ThingSpeak (facts: created_at in JSON, in CSV,
`start` and `end`).
"""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_FORM = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)(?:[T +](?P<time>\d\d:\d\d(?::\d\d(?:\.\d+)?)?))?"
    r"\s*(?P<zone>Z|UTC|GMT|[+-]\d\d:?\d\d)?"
)
_ZONE_WORDS = {"CAT": 2}
_SPREADSHEET = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})[; ](\d\d:\d\d:\d\d)")


def zone_of(name: str | None, offset_hours: str | None) -> tzinfo:
    """The zone of the parameters `timezone` and `offset`; anything unknown means UTC, silently, as
    at ThingSpeak.
    """
    if name:
        try:
            return UTC if name in {"UTC", "Etc/UTC"} else ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return UTC
    if offset_hours and re.fullmatch(r"[+-]?\d{1,2}", offset_hours.strip()):
        hours = int(offset_hours)
        return timezone(timedelta(hours=hours)) if 0 < abs(hours) < 24 else UTC
    return UTC


def parse(text: str, default_zone: tzinfo | None) -> float | None:
    """Seconds since 1970 of an ISO-like text; without a zone of its own it needs `default_zone`,
    else None.
    """
    match = _FORM.fullmatch(text.strip())
    if not match:
        return None
    word = match["zone"]
    zone: tzinfo | None = default_zone
    if word in {"Z", "UTC", "GMT"}:
        zone = UTC
    elif word:
        minutes = int(word[1:3]) * 60 + int(word[-2:])
        zone = timezone(timedelta(minutes=-minutes if word[0] == "-" else minutes))
    if zone is None:
        return None
    try:
        naive = datetime.fromisoformat(f"{match['date']}T{match['time'] or '00:00'}")
    except ValueError:
        return None
    return naive.replace(tzinfo=zone).timestamp()


def guess(text: str) -> float | None:
    """A liberal reading for ordering only: naive means UTC, CAT is +02:00, dd/mm/yyyy;time of a
    spreadsheet.
    """
    text = text.strip()
    word = text.rpartition(" ")[2]
    if word in _ZONE_WORDS:
        return parse(text[: -len(word)], timezone(timedelta(hours=_ZONE_WORDS[word])))
    mangled = _SPREADSHEET.match(text)
    if mangled:
        day, month, year, clock = mangled.groups()
        return parse(f"{year}-{int(month):02}-{int(day):02}T{clock}", UTC)
    return parse(text, UTC)


def json_form(at: float, zone: tzinfo = UTC) -> str:
    """`2026-11-20T10:00:00Z`, or with the offset of another zone: `2026-11-20T15:30:00+05:30`. No
    milliseconds.
    """
    moment = datetime.fromtimestamp(int(at), zone)
    if zone is UTC:
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return moment.isoformat()


def csv_form(at: float, zone: tzinfo = UTC) -> str:
    """`2018-11-06 17:53:46 UTC`, or with the offset of a zone: `2016-11-22 07:20:00 -0500`."""
    moment = datetime.fromtimestamp(int(at), zone)
    return moment.strftime("%Y-%m-%d %H:%M:%S ") + ("UTC" if zone is UTC else moment.strftime("%z"))
