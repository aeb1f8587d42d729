"""Calibrations: how the number a sensor sends becomes the quantity that is meant. Pure.

Each is a frozen value with `apply(number)`, checked when it is made: `Unsuitable` says which entry
is wrong and what to change. What a calibration knows nothing about raises `Beyond`.
"""

from devices.calibrations.base import Beyond, Calibration, Ends, Unsuitable
from devices.calibrations.curves import Linear, Table, TwoPoint, points_of
from devices.calibrations.mounting import Mounted
from devices.calibrations.tanks import (
    Box,
    Cone,
    DepthTable,
    HorizontalCylinder,
    Shape,
    UprightCylinder,
)

__all__ = [
    "Beyond",
    "Box",
    "Calibration",
    "Cone",
    "DepthTable",
    "Ends",
    "HorizontalCylinder",
    "Linear",
    "Mounted",
    "Shape",
    "Table",
    "TwoPoint",
    "Unsuitable",
    "UprightCylinder",
    "points_of",
]
