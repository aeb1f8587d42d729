"""Times as exports write them, and as spreadsheets mangle them. Strict and pure.

A time is read when it names one instant beyond doubt: by its own offset, by a zone word that means
one offset everywhere, or by the zone that a person chose for the file. Whatever needs a guess is
refused, with what to choose so that it needs none.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from ingestion.entries import Reason
from ingestion.sources.times import DETAILS, read_time

ZONE_WORDS = {
    "UT": 0, "WET": 0, "WEST": 60, "CET": 60, "CEST": 120, "WAT": 60, "CAT": 120, "EET": 120,
    "EEST": 180, "EAT": 180, "SAST": 120, "PKT": 300, "WIB": 420, "WITA": 480, "AWST": 480,
    "HKT": 480, "JST": 540, "ACST": 570, "AEST": 600, "ACDT": 630, "AEDT": 660, "NZST": 720,
    "NZDT": 780, "AKST": -540, "AKDT": -480,
}  # fmt: skip
"""Words that have meant one offset (minutes east) wherever they are used since 1990.

Not IST (India, Ireland, Israel), CST (America, China, Cuba), BST, EST, MST, PST and their like.
"""

_DETAILS = {
    **DETAILS,
    Reason.NO_ZONE: "The row's time says no time zone, so it could mean any of 24 hours. Choose "
    "the zone that the file's times were written in, under “Zone of times without one”.",
    Reason.UNKNOWN_ZONE: "The row's time names its zone by a word that means different hours in "
    "different countries. Choose the file's zone: the word is then read as this zone means it.",
    Reason.UNREADABLE_TIME: "The row's time cannot be read. A spreadsheet may have rewritten it: "
    "choose how it writes times, or better export the channel from ThingSpeak again and upload "
    "that file untouched.",
    Reason.AMBIGUOUS_TIME: "The row's time happened twice in the chosen zone, when clocks were set "
    "back; the file does not say which one is meant. Export with UTC or an offset to keep it.",
    Reason.NONEXISTENT_TIME: "The row's time never happened in the chosen zone: clocks were set "
    "forward over it. Probably the file was written in another zone.",
}
_LOST_HOUR = (
    "The row's time has lost its date and hour: a spreadsheet showed it as minutes and seconds and "
    "saved only that. Nothing can bring them back; export the channel from ThingSpeak again."
)
_MINUTES_AND_SECONDS = re.compile(r"[0-9]{1,2}:[0-9]{2}[.,][0-9]")
_LOCAL = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+) ?([A-Za-z][A-Za-z/_+-]*)?")
_OFFSET = re.compile(r"[0-9:.] ?([+-])([0-9]{2}):?([0-9]{2})?")
_REST = (
    r"[ T,]*(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2}(?:\.[0-9]{1,6})?))?"
    r" ?(?P<half>[AaPp]\.?[Mm]\.?)? ?(?P<zone>[A-Za-z+-].*)?"
)


@dataclass(frozen=True, slots=True)
class TimeForm:
    """A way in which spreadsheets and programs write times, and its text as ISO 8601."""

    key: str
    label: str
    to_iso: Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class TimeRules:
    """What a person chose for a file: the zone of times without one, and how they are written."""

    zone: ZoneInfo | None = None
    form: TimeForm | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant (aware UTC), and how the file named its zone: «UTC», «+05:30», «CAT», «none»."""

    at: datetime
    zone: str
    seconds: bool = True


@dataclass(frozen=True, slots=True)
class NoMoment:
    """Why a time is none; for people. `zone` as in `Moment`, empty when it could not be read."""

    reason: Reason
    detail: str
    zone: str = ""


def read_export_time(text: str, rules: TimeRules) -> Moment | NoMoment:
    """The instant, or why it cannot be one."""
    iso = text.strip()
    found = read_time(iso)
    if found is Reason.UNREADABLE_TIME and rules.form is not None:
        iso = rules.form.to_iso(iso) or iso
        found = read_time(iso)
    seconds = iso.count(":", 0, 20) > 1
    if isinstance(found, datetime):
        return Moment(found, _zone_written(iso), seconds)
    if found in (Reason.NO_ZONE, Reason.UNKNOWN_ZONE):
        return _local(iso, rules.zone, seconds)
    if _MINUTES_AND_SECONDS.fullmatch(iso):
        return NoMoment(found, _LOST_HOUR)
    return NoMoment(found, _DETAILS[found])


def forms_that_read(text: str) -> frozenset[str]:
    """Keys of the forms in which a text that is no ISO time would be one."""
    isos = ((form.key, form.to_iso(text.strip())) for form in FORMS.values())
    return frozenset(key for key, iso in isos if iso and _is_a_time(iso))


def _is_a_time(iso: str) -> bool:
    """Whether only a zone may be lacking."""
    found = read_time(iso)
    if found in (Reason.NO_ZONE, Reason.UNKNOWN_ZONE):
        local = _LOCAL.fullmatch(iso)
        found = read_time(f"{local[1]}Z") if local else Reason.UNREADABLE_TIME
    return isinstance(found, datetime)


def _zone_written(iso: str) -> str:
    offset = _OFFSET.search(iso, 10)
    return f"{offset[1]}{offset[2]}:{offset[3] or '00'}" if offset else "UTC"


def _local(iso: str, zone: ZoneInfo | None, seconds: bool) -> Moment | NoMoment:
    """A time that names no zone, or names it by a word."""
    found = _LOCAL.fullmatch(iso)
    at = read_time(f"{found[1]}Z") if found else Reason.UNREADABLE_TIME
    if found is None or isinstance(at, Reason):
        reason = at if isinstance(at, Reason) else Reason.UNREADABLE_TIME
        return NoMoment(reason, _DETAILS[reason])
    local, word = at.replace(tzinfo=None), (found[2] or "").upper()
    if not word:
        return _refuse(Reason.NO_ZONE, "none") if zone is None else _in_zone(local, zone, seconds)
    meant = _meant_by(word, local, zone)
    if meant is None:
        return _refuse(Reason.UNKNOWN_ZONE, word)
    return Moment((local - meant).replace(tzinfo=UTC), word, seconds)


def _refuse(reason: Reason, zone: str) -> NoMoment:
    return NoMoment(reason, _DETAILS[reason], zone)


def _meant_by(word: str, local: datetime, zone: ZoneInfo | None) -> timedelta | None:
    """The offset of a zone word: as the chosen zone uses it then, else as everybody does."""
    if zone is not None:
        for fold in (0, 1):
            there = local.replace(tzinfo=zone, fold=fold)
            if there.tzname() == word and _happened(there):
                return there.utcoffset()
    minutes = ZONE_WORDS.get(word)
    return None if minutes is None else timedelta(minutes=minutes)


def _in_zone(local: datetime, zone: ZoneInfo, seconds: bool) -> Moment | NoMoment:
    """A local time in the chosen zone; at changes of the clock only what is beyond doubt."""
    first, second = (local.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if not _happened(first):
        return _refuse(Reason.NONEXISTENT_TIME, "none")
    if first.utcoffset() != second.utcoffset():
        return _refuse(Reason.AMBIGUOUS_TIME, "none")
    at = first.astimezone(UTC)
    if at < datetime(1970, 1, 1, tzinfo=UTC):
        return _refuse(Reason.BEFORE_1970, "none")
    return Moment(at, "none", seconds)


def _happened(there: datetime) -> bool:
    back = there.astimezone(UTC).astimezone(there.tzinfo)
    return back.replace(tzinfo=None) == there.replace(tzinfo=None)


# --- how spreadsheets and programs write times ---------------------------------------------------


def _dated(order: str, year: str) -> Callable[[str], str | None]:
    """To ISO from a date in this order (such as «dmy»), with / . or - between its parts."""
    parts = {"d": "(?P<d>[0-9]{1,2})", "m": "(?P<m>[0-9]{1,2})", "y": f"(?P<y>{year})"}
    first, second, third = (parts[one] for one in order)
    pattern = re.compile(rf"{first}(?P<mark>[/.-]){second}(?P=mark){third}{_REST}")

    def to_iso(text: str) -> str | None:
        found = pattern.fullmatch(text)
        if found is None:
            return None
        hour = _hour(int(found["hour"]), (found["half"] or "")[:1].lower())
        if hour is None:
            return None
        date = found["y"] if len(found["y"]) == 4 else f"20{found['y']}"
        clock = f"{hour:02d}:{found['minute']}" + (f":{found['second']}" if found["second"] else "")
        zone = f" {found['zone'].strip()}" if found["zone"] else ""
        return f"{date}-{int(found['m']):02d}-{int(found['d']):02d} {clock}{zone}"

    return to_iso


def _hour(written: int, half: str) -> int | None:
    """The hour of the day; None for 13 pm and 0 am."""
    if not half:
        return written
    if not 1 <= written <= 12:
        return None
    return written % 12 + (12 if half == "p" else 0)


_SERIAL = re.compile(r"[0-9]{5}(?:[.,][0-9]+)?")
_EPOCH = re.compile(r"1[0-9]{9}(?:[0-9]{3})?")


def _from_serial(text: str) -> str | None:
    if not _SERIAL.fullmatch(text):
        return None
    days = float(text.replace(",", "."))
    at = datetime(1899, 12, 30) + timedelta(seconds=round(days * 86_400))  # noqa: DTZ001 (has none)
    return f"{at:%Y-%m-%d %H:%M:%S}"


def _from_epoch(text: str) -> str | None:
    if not _EPOCH.fullmatch(text):
        return None
    at = datetime.fromtimestamp(int(text[:10]), UTC)
    return f"{at:%Y-%m-%d %H:%M:%S}" + (f".{text[10:]}" if text[10:] else "") + "Z"


FORMS = {
    form.key: form
    for form in (
        TimeForm("dmy", "day/month/year: 26/09/2023 22:28:44", _dated("dmy", "[0-9]{4}")),
        TimeForm("mdy", "month/day/year: 09/26/2023 22:28:44", _dated("mdy", "[0-9]{4}")),
        TimeForm("ymd", "year/month/day: 2023/9/26 22:28:44", _dated("ymd", "[0-9]{4}")),
        TimeForm(
            "dmy2", "day/month/year of two digits (20..): 26/09/23", _dated("dmy", "[0-9]{2}")
        ),
        TimeForm(
            "mdy2", "month/day/year of two digits (20..): 09/26/23", _dated("mdy", "[0-9]{2}")
        ),
        TimeForm("serial", "days of a spreadsheet: 45195.93662", _from_serial),
        TimeForm("epoch", "seconds or milliseconds since 1970: 1695767324", _from_epoch),
    )
}
"""The forms that a person may choose for a file, by key."""
