"""In which known ways a field's numbers may change when its unit does. Pure."""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

from devices import units

_POWERS = (10.0, 100.0, 1000.0, 0.1, 0.01, 0.001)


class Change(NamedTuple):
    """new number = old number x factor + shift. `unit` is the new unit, empty when nobody knows."""

    factor: float
    shift: float
    unit: str
    was: str = ""

    def forth(self, number: float) -> float:
        """The number in the new unit."""
        return number * self.factor + self.shift

    def back(self, number: float) -> float:
        """What the number would have been before the change."""
        return (number - self.shift) / self.factor


@cache
def changes(unit: str) -> tuple[Change, ...]:
    """Ways in which numbers in `unit` may change; without a known one by powers of ten."""
    known = units.canonical(unit)
    found = [_between(known, other) for other in units.siblings(unit)] if known else []
    found += [Change(power, 0.0, "") for power in _POWERS if not _has(found, power)]
    return tuple(found)


def _between(was: str, unit: str) -> Change:
    conversion = units.conversion(was, unit)
    if conversion is None:
        raise ValueError(f"{was} and {unit} do not compare")
    return Change(tidy(conversion.factor), tidy(conversion.shift), unit, was)


def tidy(number: float) -> float:
    """1.8 for 1.7999999999999998: what arithmetic left behind goes, every true digit stays."""
    short = float(f"{number:.12g}")
    return short if math.isclose(short, number, rel_tol=1e-14) else number


def _has(found: list[Change], factor: float) -> bool:
    return any(one.shift == 0 and abs(one.factor / factor - 1) < 1e-9 for one in found)
