"""How one source field becomes one metric's value: what a person set in a field mapping. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from devices.calibrations import Calibration

DataType = Literal["float", "integer", "boolean", "text"]
Value = float | int | bool | str
Stretch = tuple[datetime | None, datetime | None]
"""[since, until); None: without limit on that side."""


@dataclass(frozen=True, slots=True)
class FieldRule:
    """How one source field becomes one metric's value.

    number received x `scale` + `offset` is in `unit`; then x factor + shift (`convert`) is in the
    metric's unit, where `minimum` and `maximum` (both inclusive) apply. `unit` is also the one
    suffix accepted behind a number. Booleans and texts are neither scaled nor range-checked.
    Entries of a `held` stretch are left out: they wait until somebody has decided about them.
    A `calibration` takes the place of scale and offset.

    `versions` are the rules of a calibrated field, newest first, each with the time from which it
    holds (None: always); the rule itself holds before the first of them.
    Raises ValueError for a rule that could only produce nonsense.
    """

    field: str
    metric: int
    data_type: DataType = "float"
    scale: float = 1.0
    offset: float = 0.0
    decimal_mark: Literal[".", ","] = "."
    unit: str = ""
    convert: tuple[float, float] = (1.0, 0.0)
    minimum: float | None = None
    maximum: float | None = None
    held: tuple[Stretch, ...] = ()
    calibration: Calibration | None = None
    versions: tuple[tuple[datetime | None, FieldRule], ...] = ()

    def __post_init__(self) -> None:
        """Refuse rules that could only produce nonsense."""
        if self.data_type not in get_args(DataType):
            raise ValueError(f"unknown data type {self.data_type!r}")
        if self.decimal_mark not in (".", ","):
            raise ValueError(f"unknown decimal mark {self.decimal_mark!r}")
        arithmetic = (self.scale, self.offset, *self.convert)
        if not all(map(math.isfinite, arithmetic)) or self.scale == 0 or self.convert[0] == 0:
            raise ValueError("scale and conversion must be finite and not zero")
        if None not in (self.minimum, self.maximum) and self.minimum > self.maximum:  # type: ignore[operator]
            raise ValueError("the smallest valid value is above the largest")

    @property
    def identity(self) -> bool:
        """Whether a number passes unchanged."""
        return (
            self.calibration is None
            and self.scale == 1.0
            and self.offset == 0.0
            and self.convert == (1.0, 0.0)
        )

    def at(self, instant: datetime) -> FieldRule:
        """The rule that governs an entry of this (aware) time."""
        for since, rule in self.versions:
            if since is None or since <= instant:
                return rule
        return self

    def holds(self, at: datetime) -> bool:
        """Whether an entry of that time (aware) waits."""
        return any(
            (since is None or since <= at) and (until is None or at < until)
            for since, until in self.held
        )


def held_metrics(rules: Iterable[FieldRule], at: datetime) -> set[int]:
    """Metrics that get nothing from an entry of that time (aware), because it waits."""
    held: set[int] = set()
    fed: set[int] = set()
    for rule in rules:
        (held if rule.holds(at) else fed).add(rule.metric)
    return held - fed
