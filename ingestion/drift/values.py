"""What a received value is, before any mapping: a number, a word, a text, or nothing. Pure."""

from __future__ import annotations

import math
import re
from enum import StrEnum
from typing import NamedTuple

from ingestion.entries import FieldValue
from ingestion.normalise.values import BOOLEAN_WORDS

_NUMBER = re.compile(
    r"(?P<whole>[+-]?[0-9]*)(?:[.,](?P<fraction>[0-9]*))?(?P<exponent>[eE][+-]?[0-9]+)?"
    r"\s*(?P<unit>[^\s0-9.,;&=?{}\[\]][^\s0-9.,;&=?{}\[\]]{0,7})?"
)
_PLAIN = re.compile(r"-?[0-9]{1,9}(?:\.[0-9]{1,9})?")  # almost all there is
_GRAINS = [10.0**-digits for digits in range(10)]
_NOTHING = frozenset(
    {"", "nan", "inf", "infinity", "none", "null", "nil", "undefined", "n/a", "na", "-", "--", "()"}
)
"""What devices write when they have no value: it says nothing about the field."""


class Type(StrEnum):
    """What kind of text a field carries."""

    NUMBER = "number"
    WORD = "on/off word"
    TEXT = "text"


class Number(NamedTuple):
    """A number as received and the place of its last digit: 4.80 has the grain 0.01."""

    value: float
    grain: float


Value = Number | Type | None
"""A number, the type of something else, or None for nothing at all."""


def what(raw: FieldValue) -> Value:
    """What a received value is. Decimal commas and a unit behind the number are understood."""
    if raw is None:
        return None
    text = raw.strip()
    if _PLAIN.fullmatch(text):
        return Number(float(text), _GRAINS[len(text) - text.find(".") - 1 if "." in text else 0])
    lowered = text.lower()
    if lowered in _NOTHING or lowered.lstrip("+-") in _NOTHING:
        return None
    if lowered in BOOLEAN_WORDS:
        return Type.WORD
    return _number(text)


def _number(text: str) -> Value:
    match = _NUMBER.fullmatch(text)
    if match is None or not (match["whole"].lstrip("+-") or match["fraction"]):
        return Type.TEXT
    fraction, exponent = match["fraction"] or "", match["exponent"] or ""
    value = float(f"{match['whole']}.{fraction}0{exponent}")
    if not math.isfinite(value):
        return None
    power = int(exponent[1:]) if exponent else 0
    return Number(value, 10.0 ** max(min(power - len(fraction), 300), -300))
