"""Tanks: from the depth of the water to its volume, centimetres to litres. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol

from devices.calibrations.base import Unsuitable, finite, positive
from devices.calibrations.curves import Point, Table

CM3_IN_A_LITRE = 1000.0


class Shape(Protocol):
    """A tank's inside; `volume` takes depths from 0 to `height_cm`."""

    @property
    def height_cm(self) -> float:
        """Depth of the water when full."""

    def volume(self, depth_cm: float) -> float:
        """Litres at a depth."""


@dataclass(frozen=True, slots=True)
class UprightCylinder:
    """A round tank that stands: the usual plastic tank on a roof."""

    diameter_cm: float
    height_cm: float

    def __post_init__(self) -> None:
        """Refuse lengths that are none."""
        positive(diameter_cm=self.diameter_cm, height_cm=self.height_cm)

    def volume(self, depth_cm: float) -> float:
        """Litres at a depth."""
        return math.pi * (self.diameter_cm / 2) ** 2 * depth_cm / CM3_IN_A_LITRE


@dataclass(frozen=True, slots=True)
class HorizontalCylinder:
    """A round tank that lies, with flat ends: it is full at the depth of its diameter."""

    diameter_cm: float
    length_cm: float

    def __post_init__(self) -> None:
        """Refuse lengths that are none."""
        positive(diameter_cm=self.diameter_cm, length_cm=self.length_cm)

    @property
    def height_cm(self) -> float:
        """The diameter."""
        return self.diameter_cm

    def volume(self, depth_cm: float) -> float:
        """Litres at a depth: the segment of the circle below the water line, times the length."""
        share = min(max(depth_cm / self.diameter_cm, 0.0), 1.0)
        if share > 0.5:  # what is missing on top: near full, the segment itself loses digits
            return self._full - self._segment(1.0 - share)
        return self._segment(share)

    @property
    def _full(self) -> float:
        return math.pi * (self.diameter_cm / 2) ** 2 * self.length_cm / CM3_IN_A_LITRE

    def _segment(self, share: float) -> float:
        radius = self.diameter_cm / 2
        angle = 2 * math.asin(math.sqrt(share))  # half of the angle that the water line spans
        area = radius**2 * (angle - math.sin(2 * angle) / 2)
        return area * self.length_cm / CM3_IN_A_LITRE


@dataclass(frozen=True, slots=True)
class Box:
    """A tank with a flat floor and upright walls: sumps."""

    length_cm: float
    width_cm: float
    height_cm: float

    def __post_init__(self) -> None:
        """Refuse lengths that are none."""
        positive(length_cm=self.length_cm, width_cm=self.width_cm, height_cm=self.height_cm)

    def volume(self, depth_cm: float) -> float:
        """Litres at a depth."""
        return self.length_cm * self.width_cm * depth_cm / CM3_IN_A_LITRE


@dataclass(frozen=True, slots=True)
class Cone:
    """A round tank that narrows: a cone when one diameter is 0, else cut off.

    Bottom 0: it stands on its point, as hoppers do. Top 0: it ends in a point.
    """

    bottom_diameter_cm: float
    top_diameter_cm: float
    height_cm: float

    def __post_init__(self) -> None:
        """Refuse lengths that are none, and a tank without any width."""
        positive(height_cm=self.height_cm)
        for name in ("bottom_diameter_cm", "top_diameter_cm"):
            length = getattr(self, name)
            finite(**{name: length})
            if length < 0:
                raise Unsuitable(name, "Enter 0 for a point, or a length above 0.")
        if self.bottom_diameter_cm == self.top_diameter_cm == 0:
            raise Unsuitable("top_diameter_cm", "One of the two diameters must be above 0.")

    def volume(self, depth_cm: float) -> float:
        """Litres at a depth: a cut-off cone between the floor and the water line."""
        floor = self.bottom_diameter_cm / 2
        line = floor + (self.top_diameter_cm / 2 - floor) * (depth_cm / self.height_cm)
        square = floor**2 + floor * line + line**2
        return math.pi * depth_cm / 3 * square / CM3_IN_A_LITRE


@dataclass(frozen=True, slots=True)
class DepthTable:
    """Any other tank: litres measured at depths, straight lines between, empty at depth 0."""

    points: tuple[Point, ...]
    _table: Table = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse depths or litres below 0, and water that gets less the deeper it is."""
        table = Table(self.points)
        for depth, litres in table.points:
            if depth < 0 or litres < 0:
                raise Unsuitable("points", "Depths and litres cannot be below 0.")
        for one, other in pairwise(table.points):
            if other[1] < one[1]:
                raise Unsuitable(
                    "points",
                    f"At {other[0]:g} cm there would be less water than at {one[0]:g} cm.",
                )
        if table.points[0][0] > 0:
            table = Table(((0.0, 0.0), *table.points))
        object.__setattr__(self, "_table", table)

    @property
    def height_cm(self) -> float:
        """The greatest depth of the table."""
        return self._table.points[-1][0]

    def volume(self, depth_cm: float) -> float:
        """Litres at a depth."""
        return self._table.apply(depth_cm)
