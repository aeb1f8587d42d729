"""Straight lines and tables: from the number received to the true value. Pure."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from devices.calibrations.base import Ends, Unsuitable, finite, within

Point = tuple[float, float]
MOST_POINTS = 200


@dataclass(frozen=True, slots=True)
class Linear:
    """value = number x scale + offset."""

    scale: float
    offset: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no line, or a flat one."""
        finite(scale=self.scale, offset=self.offset)
        if self.scale == 0:
            raise Unsuitable("scale", "A scale of 0 would turn every reading into the offset.")

    def apply(self, number: float) -> float:
        """The value on the line."""
        return number * self.scale + self.offset


@dataclass(frozen=True, slots=True)
class TwoPoint:
    """The line through two points at which somebody measured: (number received, true value)."""

    first: Point
    second: Point

    def __post_init__(self) -> None:
        """Refuse two points that name no line, or a flat one."""
        finite(raw_1=self.first[0], true_1=self.first[1])
        finite(raw_2=self.second[0], true_2=self.second[1])
        if self.first[0] == self.second[0]:
            raise Unsuitable("raw_2", "Measure at two different levels: both numbers are the same.")
        if self.first[1] == self.second[1]:
            raise Unsuitable("true_2", "Both true values are the same: every reading would be it.")
        if not math.isfinite(self._slope):
            raise Unsuitable("raw_2", "The two numbers are too close together to draw a line.")

    @property
    def _slope(self) -> float:
        return (self.second[1] - self.first[1]) / (self.second[0] - self.first[0])

    def apply(self, number: float) -> float:
        """The value on the line; exactly the true value at both points."""
        if number == self.second[0]:
            return self.second[1]
        return self.first[1] + (number - self.first[0]) * self._slope


@dataclass(frozen=True, slots=True)
class Table:
    """Points (number received, true value), straight lines between them.

    Outside its points a table knows nothing: `ends` refuses (the default), holds the end value, or
    extends the outermost line, when somebody chose so.
    """

    points: tuple[Point, ...]
    ends: Ends = Ends.REFUSE
    _raws: tuple[float, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Sort the points; refuse fewer than two, or one number with two values."""
        if len(self.points) < 2:
            raise Unsuitable("points", "A table needs at least two lines.")
        if len(self.points) > MOST_POINTS:
            raise Unsuitable("points", f"A table holds at most {MOST_POINTS} lines.")
        ordered = tuple(sorted(self.points))
        for raw, value in ordered:
            finite(points=raw)
            finite(points=value)
        for one, other in pairwise(ordered):
            if one[0] == other[0]:
                raise Unsuitable("points", f"The number {one[0]:g} stands there twice.")
            if not math.isfinite((other[1] - one[1]) / (other[0] - one[0])):
                raise Unsuitable("points", f"The numbers around {one[0]:g} are too close together.")
        object.__setattr__(self, "points", ordered)
        object.__setattr__(self, "_raws", tuple(raw for raw, _ in ordered))

    def apply(self, number: float) -> float:
        """The value between the two nearest points; raises Beyond outside, unless chosen."""
        if self.ends is not Ends.EXTEND:
            low, high = self._raws[0], self._raws[-1]
            number = within(number, low, high, self.ends, "The number received")
        place = min(max(bisect_right(self._raws, number), 1), len(self.points) - 1)
        (raw_1, true_1), (raw_2, true_2) = self.points[place - 1], self.points[place]
        if number == raw_2:
            return true_2
        return true_1 + (number - raw_1) * ((true_2 - true_1) / (raw_2 - raw_1))


def points_of(text: str) -> tuple[Point, ...]:
    """Points written as «number, true value», one on a line; empty lines do not count.

    Raises Unsuitable, which names the line that cannot be read.
    """
    points = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            points.append(_point(number, line))
    return tuple(points)


def text_of(points: Sequence[Point]) -> str:
    """Points as `points_of` reads them."""
    return "\n".join(f"{raw!r}, {value!r}" for raw, value in points)


def _point(number: int, line: str) -> Point:
    cells = [cell for cell in line.replace(";", ",").replace("\t", ",").split(",") if cell.strip()]
    if len(cells) == 1:
        cells = line.split()
    if len(cells) != 2:
        raise Unsuitable(
            "points",
            f"Line {number} holds {len(cells)} numbers; write the number received, a comma and the "
            "true value, with a decimal point: 412, 25.5",
        )
    try:
        raw, value = (float(cell) for cell in cells)
    except ValueError:
        raise Unsuitable(
            "points", f"Line {number} is not two numbers. Write them like this: 412, 25.5"
        ) from None
    finite(points=raw)
    finite(points=value)
    return raw, value
