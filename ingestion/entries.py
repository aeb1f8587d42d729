"""What the way in speaks: rows as received, and refusals with a reason for people. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from devices.masking import shown

JsonValue = str | int | float | bool | None
FieldValue = str | None
"""One value as received; None where nothing was sent.

Always text: it is kept as received, and what is read again later (after a mapping was corrected)
must come to the same as what is read at once.
"""

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
        return not any(value and value.strip() for value in self.fields.values())


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


def as_text(value: JsonValue) -> FieldValue:
    """A value of a source's JSON: text unchanged, anything else in JSON's own spelling."""
    return value if value is None or isinstance(value, str) else json.dumps(value)


def storable(text: str) -> bool:
    """Whether every database can keep the text: no NUL character, no half of a surrogate pair."""
    return text.isprintable() or _UNSTORABLE.search(text) is None
