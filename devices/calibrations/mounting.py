"""A level sensor in a tank: from what it measures to the litres in the tank. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from devices.calibrations.base import Ends, Unsuitable, finite, within
from devices.calibrations.tanks import Shape

SLACK = 0.02
"""Share of the height by which a level may miss empty or full: waves, a lid, a rough floor."""


@dataclass(frozen=True, slots=True)
class Mounted:
    """A tank with the sensor that looks into it; `apply` takes the sensor's number.

    `to_cm` makes centimetres of the number. A sensor on top measures the distance down to the
    water (`from_top`); `gap_cm` is then what it still measures when the tank is full. Otherwise it
    measures depth, and `gap_cm` is the water below it that it does not see.

    A level up to 2 % of the height below empty or above full counts as empty or full. Beyond that
    `ends` decides: refuse it (the default), or count it all the same.
    """

    shape: Shape
    to_cm: float = 1.0
    from_top: bool = False
    gap_cm: float = 0.0
    ends: Ends = Ends.REFUSE

    def __post_init__(self) -> None:
        """Refuse a mounting that cannot be."""
        finite(to_cm=self.to_cm, gap_cm=self.gap_cm)
        if self.to_cm <= 0:
            raise Unsuitable("input_unit", "The sensor's unit must be a length.")
        if self.gap_cm < 0:
            raise Unsuitable("gap_cm", "Enter 0 or a length above it.")
        if not self.from_top and self.gap_cm >= self.shape.height_cm:
            raise Unsuitable("gap_cm", "The sensor would sit above the full mark.")
        if self.ends is Ends.EXTEND:
            raise Unsuitable("ends", "A tank holds nothing below its floor or above its rim.")

    @property
    def capacity_l(self) -> float:
        """Litres when full."""
        return self.shape.volume(self.shape.height_cm)

    def depth_cm(self, number: float) -> float:
        """Depth of the water, not limited to the tank."""
        measured = number * self.to_cm
        if self.from_top:
            return self.shape.height_cm + self.gap_cm - measured
        return measured + self.gap_cm

    def apply(self, number: float) -> float:
        """Litres in the tank; raises Beyond for a level that cannot be in it."""
        height = self.shape.height_cm
        slack = 0.0 if self.ends is Ends.HOLD else SLACK * height
        depth = self.depth_cm(number)
        depth = within(depth, -slack, height + slack, self.ends, "The depth of the water, in cm,")
        return self.shape.volume(min(max(depth, 0.0), height))
