"""What the way in speaks: rows as received, and refusals with a reason for people. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import chain
from types import NoneType
from typing import NamedTuple, cast

from devices.masking import shown

FieldValue = str | int | float | bool | None
"""One value as a source's JSON holds it."""

_TEXTS = frozenset([str, NoneType])
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class Reason(StrEnum):
    """Why something received was not stored. A closed set: reports count by it."""

    UNREADABLE_TIME = "unreadable_time"
    NO_ZONE = "no_zone"
    UNKNOWN_ZONE = "unknown_zone"
    AMBIGUOUS_TIME = "ambiguous_time"
    NONEXISTENT_TIME = "nonexistent_time"
    FUTURE_TIME = "future_time"
    BEFORE_1970 = "before_1970"
    MISSING_SEQUENCE = "missing_sequence"
    NOT_A_ROW = "not_a_row"
    DUPLICATE_IN_ANSWER = "duplicate_in_answer"
    EMPTY_ROW = "empty_row"
    NOT_A_NUMBER = "not_a_number"
    NOT_FINITE = "not_finite"
    DECIMAL_COMMA = "decimal_comma"
    DECIMAL_POINT = "decimal_point"
    THOUSANDS_SEPARATOR = "thousands_separator"
    TEXT_AFTER_NUMBER = "text_after_number"
    NOT_WHOLE = "not_whole"
    TOO_LARGE = "too_large"
    OUT_OF_RANGE = "out_of_range"
    BEYOND_CALIBRATION = "beyond_calibration"
    NOT_A_BOOLEAN = "not_a_boolean"
    TOO_LONG_TEXT = "too_long_text"
    UNREADABLE_TEXT = "unreadable_text"
    NESTED_VALUE = "nested_value"


class Entry(NamedTuple):
    """One row as received: `at` is aware UTC, `sequence` the source's own entry number or 0."""

    at: datetime
    sequence: int
    fields: Mapping[str, FieldValue]

    @property
    def blank(self) -> bool:
        """Whether no field says anything."""
        return not any(
            value.strip() if isinstance(value, str) else value is not None
            for value in self.fields.values()
        )


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something received that is not stored, and why.

    `detail` is a sentence for people: what is wrong and what to change. It never quotes the
    value; `raw` does, cut at 255 characters and with anything that looks like a key masked
    (devices glue other people's write keys into values). `field` is None when the whole row is
    refused; `at` and `sequence` are None when they could not be read.
    """

    reason: Reason
    detail: str
    field: str | None = None
    raw: str = ""
    at: datetime | None = None
    sequence: int | None = None

    def __post_init__(self) -> None:
        """Make `raw` safe to keep and show, wherever the refusal was made."""
        object.__setattr__(self, "raw", shown(self.raw))


def all_as_texts(entries: Sequence[Entry]) -> Sequence[Mapping[str, str | None]]:
    """The fields of each entry as text."""
    fields = [entry.fields for entry in entries]
    if _TEXTS.issuperset(map(type, chain.from_iterable([one.values() for one in fields]))):
        return cast("list[Mapping[str, str | None]]", fields)
    return list(map(as_texts, fields))


def as_texts(fields: Mapping[str, FieldValue]) -> Mapping[str, str | None]:
    """Fields as text, to be kept so that a number can be explained or recomputed."""
    if _TEXTS.issuperset(map(type, fields.values())):
        return cast("Mapping[str, str | None]", fields)
    return {name: as_text(value) for name, value in fields.items()}


def as_text(value: FieldValue) -> str | None:
    """A received value as text: text unchanged, other JSON values in JSON's own spelling."""
    return value if value is None or isinstance(value, str) else json.dumps(value)


def storable(text: str) -> bool:
    """Whether every database can keep the text: no NUL character, no half of a surrogate pair."""
    return text.isprintable() or _UNSTORABLE.search(text) is None
