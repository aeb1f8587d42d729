"""A cell as a value of its metric: strictly, or refused with a reason. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from devices.readings.imports.reasons import TEXT_LENGTH, Reason, Refused
from devices.readings.imports.rows import Damage
from devices.readings.samples import LARGEST, Value, storable
from devices.units import Conversion

_PLAIN = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_WHOLE = re.compile(r"[+-]?[0-9]{1,160}")
_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")
_WORDS = {"true": True, "false": False}
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Rule:
    """What a metric takes: its data type and valid range, and how a column's unit becomes its."""

    data_type: str
    minimum: float | None = None
    maximum: float | None = None
    convert: Conversion | None = None
    """None: the units are the same, and every digit stays."""


def read_value(cell: Any, rule: Rule) -> Value | None:
    """The value in the metric's unit; None for an empty cell. Raises Refused."""
    if cell is None:
        return None
    if isinstance(cell, Damage):
        raise Refused(Reason.FORMULA_ERROR)
    return _READERS[rule.data_type](cell, rule)


def _float(cell: Any, rule: Rule) -> float | None:
    number = _number(cell)
    if number is None:
        return None
    value = float(number)
    if rule.convert is not None:
        value = value * rule.convert.factor + rule.convert.shift
    return float(_in_range(value, rule))


def _integer(cell: Any, rule: Rule) -> int | None:
    number = _number(cell)
    if number is None:
        return None
    slack = 0.0
    if rule.convert is not None:
        number = float(number) * rule.convert.factor + rule.convert.shift
        # Only our own arithmetic is forgiven a rounding error.
        slack = _ROUNDING * max(1.0, abs(number))
    whole = round(number)
    if abs(number - whole) > slack:
        raise Refused(Reason.NOT_WHOLE)
    return int(_in_range(whole, rule))


def _boolean(cell: Any, rule: Rule) -> bool | None:
    if isinstance(cell, bool):
        return cell
    if isinstance(cell, str):
        text = cell.strip().lower()
        if not text:
            return None
        if text in _WORDS:
            return _WORDS[text]
        cell = {"1": 1, "0": 0}.get(text)
    if isinstance(cell, int | float) and cell in (0, 1):
        return cell == 1
    raise Refused(Reason.NOT_ON_OFF)


def _text(cell: Any, rule: Rule) -> str:
    if not isinstance(cell, str):
        raise Refused(Reason.NOT_A_TEXT)
    if len(cell) > TEXT_LENGTH:
        raise Refused(Reason.TOO_LONG_TEXT)
    if not storable(cell):
        raise Refused(Reason.UNREADABLE_TEXT)
    return cell


_READERS: dict[str, Callable[[Any, Rule], Value | None]] = {
    "float": _float,
    "integer": _integer,
    "boolean": _boolean,
    "text": _text,
}


def _number(cell: Any) -> float | int | None:
    """A finite number of any kind of cell; None for a blank text."""
    if isinstance(cell, str):
        return _written(cell.strip())
    if isinstance(cell, Decimal):
        cell = float(cell)
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        raise Refused(Reason.NOT_A_NUMBER)
    if isinstance(cell, float) and not math.isfinite(cell):
        raise Refused(Reason.NOT_FINITE)
    if abs(cell) > LARGEST:
        raise Refused(Reason.TOO_LARGE)
    return cell


def _written(text: str) -> float | int | None:
    if not text:
        return None
    if _WHOLE.fullmatch(text):
        return int(text) if not text.startswith("-0") else float(text)
    if not _PLAIN.fullmatch(text):
        raise Refused(_diagnosis(text))
    value = float(text)
    if not math.isfinite(value):
        raise Refused(Reason.NOT_FINITE)
    return value


def _diagnosis(text: str) -> Reason:
    if _COMMA.fullmatch(text):
        return Reason.DECIMAL_COMMA
    if text.lower() in ("nan", "inf", "-inf", "infinity", "-infinity"):
        return Reason.NOT_FINITE
    return Reason.NOT_A_NUMBER


def _in_range(value: float, rule: Rule) -> float:
    if not -LARGEST <= value <= LARGEST or not storable(value):
        raise Refused(Reason.TOO_LARGE)
    low, high = rule.minimum, rule.maximum
    if (low is not None and value < low) or (high is not None and value > high):
        raise Refused(
            Reason.OUT_OF_RANGE,
            "The value is outside the metric's valid range "
            f"({_limits(low, high)}). Widen the range if the value is right.",
        )
    return value


def _limits(low: float | None, high: float | None) -> str:
    if low is None:
        return f"at most {high:g}"
    return f"at least {low:g}" if high is None else f"from {low:g} to {high:g}"
