"""What all calibrations share. Pure."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Protocol


class Ends(StrEnum):
    """What becomes of a number outside what the calibration knows."""

    REFUSE = "refuse"
    HOLD = "hold"
    EXTEND = "extend"


class Calibration(Protocol):
    """How the number received becomes the quantity that is meant."""

    def apply(self, number: float) -> float:
        """The calibrated value; raises Beyond when the calibration says nothing about it."""


class Beyond(ValueError):
    """The number lies outside what the calibration knows; the message says its limits."""


class Unsuitable(ValueError):
    """An entry of a calibration makes no sense; `field` names it, the message says what to change.

    `field` is empty when several entries together are the reason.
    """

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


def finite(**numbers: float) -> None:
    """Raise Unsuitable for the first number that is not one."""
    for field, number in numbers.items():
        if not math.isfinite(number):
            raise Unsuitable(field, "Enter a plain number.")


def positive(**lengths: float) -> None:
    """Raise Unsuitable for the first length that is not above zero."""
    finite(**lengths)
    for field, length in lengths.items():
        if length <= 0:
            raise Unsuitable(field, "Enter a length above 0.")


def within(value: float, low: float, high: float, ends: Ends, what: str) -> float:
    """`value`, or the nearer limit when the ends hold; raises Beyond when they refuse."""
    if low <= value <= high:
        return value
    if ends is Ends.HOLD:
        return low if value < low else high
    raise Beyond(f"{what} lies outside {low:g} to {high:g}, which is all this calibration knows")
