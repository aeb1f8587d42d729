"""Reading one received value strictly: a number, boolean or text, or a reason why not. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from devices.calibrations import Beyond, Calibration
from devices.readings.samples import LARGEST
from ingestion.entries import FieldValue, Reason, storable
from ingestion.normalise.rules import FieldRule, Value

TEXT_LENGTH = 255
EXACT_INTEGERS = 2.0**53
"""From here on a 64-bit float no longer tells neighbouring whole numbers apart."""

BOOLEAN_WORDS = {
    "true": True, "on": True, "yes": True,
    "false": False, "off": False, "no": False,
}  # fmt: skip
"""Words read as a boolean, in any case, besides the numbers 1 and 0.

«open» and «closed» are left out: for a valve open means on, for a contact it means off.
"""

_PLAIN = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_PLAIN_THEN_TEXT = re.compile(r"(?!0[xX])[+-]?[0-9]+(?:[.,][0-9]+)?\s*[^\s0-9.,_]")
_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(?:[.,'\s\u00a0\u202f][0-9]{3})+(?:[.,][0-9]+)?")
_ROUNDING = 1e-9

_DETAILS = {
    Reason.NOT_A_NUMBER: "This is not a number. If the field carries words, set the mapping's "
    "data type to text or boolean; otherwise the device sends something broken.",
    Reason.NOT_FINITE: "The device reported “not a number” or infinity, which usually means that "
    "its sensor failed to answer. Check the sensor and its wiring.",
    Reason.DECIMAL_COMMA: "The number is written with a decimal comma. Set the mapping's decimal "
    "mark to comma.",
    Reason.DECIMAL_POINT: "The number is written with a decimal point. Set the mapping's decimal "
    "mark to point.",
    Reason.THOUSANDS_SEPARATOR: "The number is written with thousands separators. Have the device "
    "send plain digits with one decimal mark.",
    Reason.TEXT_AFTER_NUMBER: "Text follows the number. If it is the unit, enter exactly this text "
    "as the mapping's unit; otherwise the device sends something broken.",
    Reason.NOT_WHOLE: "The mapping expects whole numbers. Set its data type to float to keep "
    "fractions.",
    Reason.TOO_LARGE: "The whole number is too large to be kept exactly (beyond about nine "
    "quadrillion). Usually the device's counter overflowed; for identifiers use the type text.",
    Reason.NOT_A_BOOLEAN: "The mapping expects on/off, true/false, yes/no or 1/0. Change the "
    "mapping's data type if the field carries something else.",
    Reason.TOO_LONG_TEXT: f"The text is longer than {TEXT_LENGTH} characters. Have the device send "
    "a shorter one.",
    Reason.UNREADABLE_TEXT: "The text holds characters that cannot be stored. Usually the device "
    "sends memory contents by mistake.",
}

_NO_MEASUREMENT = (
    "After scaling and conversion the number is too large to be a measurement. Correct the scale; "
    "otherwise the device sends something broken."
)


class ValueRefused(Exception):
    """One value cannot be read; carries the reason and the sentence."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        self.reason = reason
        self.detail = detail or _DETAILS[reason]


def read(raw: FieldValue, rule: FieldRule) -> Value | None:
    """The value in the metric's unit; None when blank. Raises ValueRefused with the reason."""
    return _READERS[rule.data_type](raw, rule)


def _float(raw: FieldValue, rule: FieldRule) -> float | None:
    number = _number(raw, rule)
    return None if number is None else _in_range(_scaled(number, rule), rule)


def _integer(raw: FieldValue, rule: FieldRule) -> int | None:
    number = _number(raw, rule)
    if number is None:
        return None
    value = _scaled(number, rule)
    if abs(value) >= EXACT_INTEGERS:
        raise ValueRefused(Reason.TOO_LARGE)
    whole = round(value)
    # Only our own arithmetic may be forgiven a rounding error, never what the device sent.
    slack = 0.0 if rule.identity else _ROUNDING * max(1.0, abs(value))
    if abs(value - whole) > slack:
        raise ValueRefused(Reason.NOT_WHOLE)
    _in_range(whole, rule)
    return whole


def _boolean(raw: FieldValue, rule: FieldRule) -> bool | None:
    word = BOOLEAN_WORDS.get((raw or "").strip().lower())
    if word is not None:
        return word
    try:
        number = _number(raw, rule)
    except ValueRefused:
        raise ValueRefused(Reason.NOT_A_BOOLEAN) from None
    if number is None:
        return None
    if number not in (0.0, 1.0):
        raise ValueRefused(Reason.NOT_A_BOOLEAN)
    return number == 1.0


def _text(raw: FieldValue, rule: FieldRule) -> str | None:
    text = (raw or "").strip()
    if not storable(text):
        raise ValueRefused(Reason.UNREADABLE_TEXT)
    if len(text) > TEXT_LENGTH:
        raise ValueRefused(Reason.TOO_LONG_TEXT)
    return text or None


_READERS: dict[str, Callable[[FieldValue, FieldRule], Value | None]] = {
    "float": _float,
    "integer": _integer,
    "boolean": _boolean,
    "text": _text,
}


def _number(raw: FieldValue, rule: FieldRule) -> float | None:
    """The number received; None when blank."""
    if raw is None:
        return None
    if rule.decimal_mark == ".":
        try:
            value = float(raw)
        except ValueError:
            return _careful_number(raw, rule)
        # float() also reads 1_000 and digits of other scripts: those take the careful way
        if math.isfinite(value) and raw.isascii() and "_" not in raw:
            return value
    return _careful_number(raw, rule)


def _careful_number(raw: str, rule: FieldRule) -> float | None:
    """The number in a text that is not obviously one; refused with the most helpful reason."""
    text = raw.strip()
    if not text:
        return None
    digits = text.removesuffix(rule.unit).rstrip() if rule.unit else text
    pointed = digits.replace(",", ".") if rule.decimal_mark == "," else digits
    foreign_mark = rule.decimal_mark == "," and "." in digits
    if _PLAIN.fullmatch(pointed) and not foreign_mark:
        value = float(pointed)
        if not math.isfinite(value):
            raise ValueRefused(Reason.NOT_FINITE)
        return value
    raise ValueRefused(_diagnosis(digits, rule))


def _diagnosis(text: str, rule: FieldRule) -> Reason:
    """Why a text is no number under this rule."""
    swapped = text.replace(",", ".") if rule.decimal_mark == "." else text
    if _PLAIN.fullmatch(swapped):
        return Reason.DECIMAL_COMMA if rule.decimal_mark == "." else Reason.DECIMAL_POINT
    if _THOUSANDS.fullmatch(text):
        return Reason.THOUSANDS_SEPARATOR
    try:
        if not math.isfinite(float(text)):
            return Reason.NOT_FINITE
    except ValueError:
        pass
    if _PLAIN_THEN_TEXT.match(text):
        return Reason.TEXT_AFTER_NUMBER
    return Reason.NOT_A_NUMBER


def _scaled(number: float, rule: FieldRule) -> float:
    factor, shift = rule.convert
    if rule.calibration is None:
        value = (number * rule.scale + rule.offset) * factor + shift
    else:
        value = _calibrated(number, rule.calibration) * factor + shift
    if not math.isfinite(value):
        raise ValueRefused(Reason.NOT_FINITE)
    if abs(value) > LARGEST:
        raise ValueRefused(Reason.TOO_LARGE, _NO_MEASUREMENT)
    return value


def _calibrated(number: float, calibration: Calibration) -> float:
    try:
        return calibration.apply(number)
    except Beyond as error:
        raise ValueRefused(
            Reason.BEYOND_CALIBRATION,
            f"{error}. If the number is right, correct the calibration or let it count what lies "
            "beyond its ends; otherwise check the sensor.",
        ) from None
    except OverflowError:
        raise ValueRefused(Reason.TOO_LARGE, _NO_MEASUREMENT) from None


def _in_range(value: float, rule: FieldRule) -> float:
    low, high = rule.minimum, rule.maximum
    if (low is not None and value < low) or (high is not None and value > high):
        raise ValueRefused(Reason.OUT_OF_RANGE, _range_detail(low, high))
    return value


def _range_detail(low: float | None, high: float | None) -> str:
    if low is None:
        limits = f"at most {high:g}"
    elif high is None:
        limits = f"at least {low:g}"
    else:
        limits = f"from {low:g} to {high:g}"
    return (
        f"After scaling and conversion the value is outside the valid range ({limits}). If the "
        "value is right, widen the range or correct the scale; otherwise check the sensor."
    )
