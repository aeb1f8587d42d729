"""ThingSpeak channels: the request for a range of feeds, and reading the answer. Sans I/O, pure.

Protocol facts: MathWorks' REST documentation (readdata, error-codes), the open-source server
iobridge/thingspeak, and 9,053 recorded answers of public channels. What matters here:

- A wrong or missing key gives 400 with the body -1; «no data» may be the JSON text "-1". So a body
  that parses is no proof of success, and a 400 is not always our mistake.
- Values are strings or null, often not numbers; rows repeat times, run backwards and lie ahead.
- Of a range the newest rows come first into the limit; at most 8,000 in one answer.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain
from types import NoneType
from typing import Any

import orjson

from devices.masking import shown
from devices.tuples import of_columns
from ingestion.entries import Entry, FieldValue, Reason, Refusal, as_text, storable
from ingestion.resilience.classify import EFFECTS, kind_of_status
from ingestion.sources.base import (
    Facts,
    Fetched,
    HttpRequest,
    HttpResponse,
    Kind,
    SourceError,
    Window,
    address_problem,
)
from ingestion.sources.times import DETAILS, read_time, usual_times

MAX_RESULTS = 8000
"""The most rows that one answer holds."""

KEY_HEADER = "THINGSPEAKAPIKEY"
FIELDS = tuple(f"field{number}" for number in range(1, 9))
COLUMNS = (*FIELDS, "status", "latitude", "longitude", "elevation")
"""What a row may carry besides its time and number; anything else is no column of ThingSpeak."""

_KEYS = {"created_at", "entry_id", *COLUMNS}
_USUAL_TYPES = frozenset([int, str, NoneType])
_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER = b"0" * 19
_LARGEST_SEQUENCE = 2**63 - 1  # what a database's big integer holds
_NAME_LENGTH = 255

_SAYS = {
    Kind.EMPTY: "The channel answered, but has no entries for the time asked about. Check that the "
    "device is switched on and uploads.",
    Kind.CREDENTIAL: "ThingSpeak refused access: the channel is private or the read key is wrong. "
    "Enter the read key from the channel's “API Keys” page.",
    Kind.NOT_FOUND: "ThingSpeak knows no channel with this number. Check the channel ID: it is the "
    "number shown at the top of the channel's page.",
    Kind.NOT_THE_API: "Something answered at this address, but not ThingSpeak. Check the "
    "connection's address; ThingSpeak's own is https://api.thingspeak.com.",
    Kind.BAD_REQUEST: "ThingSpeak did not accept the request. Check the channel ID and the "
    "connection's address.",
    Kind.LICENCE: "The ThingSpeak licence of this account is used up. Requests pause for an hour "
    "at a time; renew the licence at ThingSpeak.",
}
_DETAILS = {
    Reason.NOT_A_ROW: "The answer's list of rows holds something that is no row. Usually the "
    "server or a device between damaged the answer.",
    Reason.MISSING_SEQUENCE: "The row has no entry number, so it cannot be told from its "
    "neighbours. Ask the channel for plain rows, not for sums or averages.",
    Reason.DUPLICATE_IN_ANSWER: "The answer holds this row twice, with the same time and entry "
    "number; the first one is kept.",
    Reason.NESTED_VALUE: "The value is a list or an object instead of text. Have the device send "
    "one value per field.",
    Reason.UNREADABLE_TEXT: "The value holds characters that cannot be stored. Usually the device "
    "sends memory contents by mistake.",
}


@dataclass(frozen=True, slots=True)
class ThingSpeakConfig:
    """One channel: where its API is, its number, and its read key when it is private.

    Raises SourceError, with a sentence for people, for settings that cannot be asked with.
    """

    base_url: str
    channel_id: int
    read_key: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse addresses that cannot be asked, or that would carry secrets."""
        problem = address_problem(self.base_url)
        if problem is not None:
            raise SourceError(Kind.ADDRESS_REFUSED, problem)
        if self.channel_id < 1:
            raise SourceError(Kind.OURS, "The channel ID must be a number from 1 on.")


class ThingSpeak:
    """`PollingAdapter` for ThingSpeak and servers that speak like it."""

    def request(self, config: ThingSpeakConfig, window: Window) -> HttpRequest:
        """The request for the newest `limit` rows (at most 8,000) of a window.

        `end` alone would keep the default start of one day ago and come back empty for an old
        end, so a window without a start gets one. `start` alone reaches to the newest row.
        """
        params = {"results": str(min(window.limit, MAX_RESULTS)), "timezone": "UTC"}
        if window.since or window.until:
            params["start"] = _whole_second(window.since) if window.since else "1970-01-01 00:00:00"
        if window.until:
            params["end"] = _whole_second(window.until, up=True)
        return HttpRequest(
            f"{config.base_url.rstrip('/')}/channels/{config.channel_id}/feeds.json",
            params,
            _headers(config.read_key),
        )

    def decode(self, response: HttpResponse, window: Window) -> Fetched:
        """Rows, refusals and facts of an answer. Raises SourceError for anything but an answer."""
        kind = _kind(response)
        if kind is not None:
            raise SourceError(kind, self.describe(kind))
        body = _json(response.body)
        if body == "-1":
            return Fetched()
        if not _is_answer(body):
            raise SourceError(Kind.NOT_THE_API, self.describe(Kind.NOT_THE_API))
        rows = body["feeds"]
        full = len(rows) >= min(window.limit, MAX_RESULTS)
        # Only what is escaped could be a NUL or half a surrogate pair.
        entries = _usual(rows) if b"\\u" not in response.body else None
        if entries is not None:
            return Fetched(entries, (), _facts(body["channel"]), full)
        reader = _Rows()
        for row in rows:
            reader.read(row)
        return Fetched(reader.entries, reader.refusals, _facts(body["channel"]), full)

    def describe(self, kind: Kind) -> str:
        """What happened and what to do, for people."""
        return _SAYS.get(kind) or EFFECTS[kind].says


def _headers(key: str | None) -> dict[str, str]:
    """The key travels in a header, never in the address: addresses end up in logs and errors."""
    headers = {"Accept": "application/json"}
    if key:
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise SourceError(
                Kind.CREDENTIAL,
                "The read key holds characters that no key has. Copy it again from the channel's "
                "“API Keys” page.",
            )
        headers[KEY_HEADER] = key
    return headers


def _whole_second(at: datetime, *, up: bool = False) -> str:
    """A time in UTC as ThingSpeak reads it, to the second: down for a start, up for an end."""
    utc = at.astimezone(UTC)
    if up and utc.microsecond:
        utc += timedelta(seconds=1)
    return utc.replace(tzinfo=None).isoformat(" ", "seconds")


def _kind(response: HttpResponse) -> Kind | None:
    """What status and the bare body -1 say; None when the body is to be read."""
    kind = kind_of_status(response.status)
    if kind in (None, Kind.BAD_REQUEST) and response.body[:16].strip() == b"-1":
        return Kind.CREDENTIAL
    return kind


def _json(body: bytes) -> Any:
    # orjson is stricter, and of whole numbers beyond 64 bits it makes others.
    if _LONG_NUMBER not in body.translate(_DIGITS):
        with suppress(orjson.JSONDecodeError):
            return orjson.loads(body)
    try:
        # Damaged bytes in one description or value must not cost all the other rows.
        return json.loads(body.decode("utf-8-sig", errors="replace"), parse_int=_whole)
    except (ValueError, RecursionError):
        return None


def _whole(digits: str) -> int | str:
    """A whole number of JSON; text where Python may refuse to read it, so that it costs no row."""
    return int(digits) if len(digits) <= len(_LONG_NUMBER) else digits


def _is_answer(body: Any) -> bool:
    return (
        isinstance(body, dict)
        and isinstance(body.get("channel"), dict)
        and isinstance(body.get("feeds"), list)
    )


def _usual(rows: list[Any]) -> list[Entry] | None:
    """Rows of which nothing is to be refused, all at once; None where anything needs a look.

    They are used up: what is left of each are its fields.
    """
    if not rows or set(map(type, rows)) != {dict} or not all(map(_KEYS.issuperset, rows)):
        return None
    times = usual_times([row.get("created_at") for row in rows])
    numbers = [row.get("entry_id") for row in rows]
    if times is None or set(map(type, numbers)) != {int}:
        return None
    if min(numbers) < 0 or max(numbers) > _LARGEST_SEQUENCE:
        return None
    if len(set(numbers)) < len(rows) and len(set(zip(times, numbers, strict=True))) < len(rows):
        return None
    types = list(map(type, chain.from_iterable(map(dict.values, rows))))
    if not _USUAL_TYPES.issuperset(types) or types.count(int) > len(rows):
        return None  # a value is neither text nor null
    for row in rows:
        del row["created_at"], row["entry_id"]
    return of_columns(Entry, times, numbers, rows)


class _Rows:
    """Reads an answer's rows one by one; a bad row never harms its neighbours."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.refusals: list[Refusal] = []
        self._seen: set[tuple[datetime, int]] = set()

    def read(self, row: Any) -> None:
        """One row becomes an entry, or refusals, or an entry and refusals of single fields."""
        if not isinstance(row, dict):
            self._refuse(Reason.NOT_A_ROW, row)
            return
        time = read_time(row.get("created_at"))
        sequence = _sequence(row.get("entry_id"))
        if isinstance(time, Reason):
            self._refuse(time, row, sequence=sequence)
        elif sequence is None:
            self._refuse(Reason.MISSING_SEQUENCE, row, time)
        elif (time, sequence) in self._seen:
            self._refuse(Reason.DUPLICATE_IN_ANSWER, row, time, sequence)
        else:
            self._seen.add((time, sequence))
            self._entry(row, time, sequence)

    def _entry(self, row: dict[str, Any], at: datetime, sequence: int) -> None:
        fields: dict[str, FieldValue] = {}
        damaged = False
        for name in COLUMNS:
            if name not in row:
                continue
            value = row[name]
            reason = _value_problem(value)
            if reason is None:
                fields[name] = as_text(value)
                continue
            damaged = True
            self._refuse(reason, value, at, sequence, name)
        # A row of which nothing but damage remains was refused field by field.
        if not damaged or any(value not in (None, "") for value in fields.values()):
            self.entries.append(Entry(at, sequence, fields))

    def _refuse(
        self,
        reason: Reason,
        raw: Any,
        at: datetime | None = None,
        sequence: int | None = None,
        name: str | None = None,
    ) -> None:
        detail = _DETAILS.get(reason) or DETAILS[reason]
        self.refusals.append(Refusal(reason, detail, name, shown(raw), at, sequence))


def _value_problem(value: Any) -> Reason | None:
    if isinstance(value, dict | list):
        return Reason.NESTED_VALUE
    if isinstance(value, str) and not storable(value):
        return Reason.UNREADABLE_TEXT
    return None


def _sequence(raw: Any) -> int | None:
    """An entry number: a whole number from 0 on, also as text."""
    if isinstance(raw, str) and raw.isascii() and raw.isdigit() and len(raw) <= 19:
        raw = int(raw)
    if isinstance(raw, int) and not isinstance(raw, bool) and 0 <= raw <= _LARGEST_SEQUENCE:
        return raw
    return None


def _facts(channel: Mapping[str, Any]) -> Facts:
    number = _sequence(channel.get("id"))
    latitude = _degrees(channel.get("latitude"), 90)
    longitude = _degrees(channel.get("longitude"), 180)
    if latitude is None or longitude is None or (latitude == 0 and longitude == 0):
        latitude = longitude = None  # ThingSpeak writes 0.0 for a place that was never set
    updated_at, created_at = (read_time(channel.get(one)) for one in ("updated_at", "created_at"))
    return Facts(
        remote_id=None if number is None else str(number),
        name=_label(channel.get("name")),
        labels={name: label for name in FIELDS if (label := _label(channel.get(name)))},
        last_entry_id=_sequence(channel.get("last_entry_id")),
        latitude=latitude,
        longitude=longitude,
        updated_at=None if isinstance(updated_at, Reason) else updated_at,
        created_at=None if isinstance(created_at, Reason) else created_at,
    )


def _label(raw: Any) -> str:
    """A name that people gave, stripped and cut at 255 characters; empty when unreadable."""
    text = raw.strip()[:_NAME_LENGTH] if isinstance(raw, str) else ""
    return text if storable(text) else ""


def _degrees(raw: Any, limit: int) -> float | None:
    """A coordinate, written as text by ThingSpeak; None when it is none."""
    if isinstance(raw, bool) or not isinstance(raw, str | int | float):
        return None
    try:
        degrees = float(raw)
    except (ValueError, OverflowError):
        return None
    return degrees if math.isfinite(degrees) and abs(degrees) <= limit else None
