"""What is known and suspected of a field while its entries are gone through. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ingestion.drift.conversions import Change
from ingestion.drift.fingerprint import Fingerprint
from ingestion.drift.values import Number, Type, Value

LEARNED = 30
"""Values that must be known before anything is judged."""
SLACK = 4.0
"""A step is small up to so many times the step that half of them do not exceed."""
FAR = 2.5
"""How many times further than a small step an unusual number is."""
NEAR = 0.02
"""The share of a number within which it counts as a place where the field has been."""
CALM = 3
"""After so many usual numbers a new level counts as the field's own."""
ERRORS = frozenset({0.0, -1.0, 1.0, 85.0, -127.0, 127.0, -999.0, 999.0, 9999.0, -9999.0, 255.0,
                    1023.0, 1024.0, 4095.0, 4096.0, 32767.0, -32768.0, 65535.0})  # fmt: skip
"""Numbers that sensors report when they fail, and nothings: they never speak for a change."""


class Suspected(StrEnum):
    """What a guess is about."""

    UNIT = "unit"
    SWAP = "swap"
    TYPE = "type"


@dataclass(frozen=True, slots=True)
class Guess:
    """What may have happened: another unit, the exchange with another field, another type."""

    of: Suspected
    change: Change | None = None
    other: str = ""
    type: Type | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """A value that waits for the verdict: its entry (time as ISO 8601) and its number, if any."""

    at: str
    sequence: int
    value: float | None


@dataclass(frozen=True, slots=True)
class Suspicion:
    """What is thought of a field for the moment.

    `anchor` is its last number before, `others` the last numbers of its neighbours then; `since`
    is when the suspicion arose by our clock (ISO 8601).
    """

    guesses: tuple[Guess, ...]
    anchor: float
    others: Mapping[str, float]
    held: tuple[Held, ...]
    since: str = ""


@dataclass(slots=True)
class Watch:
    """A field under watch: what is usual, its last number, and what is suspected.

    `apart`: how many usual steps lie between the last number and the next (1 without a hole).
    """

    fingerprint: Fingerprint
    changes: tuple[Change, ...] = ()
    last: float | None = None
    apart: float = 1.0
    suspicion: Suspicion | None = None
    learned: list[Value] = field(default_factory=list)
    calm: int = CALM

    def reach(self, grain: float = 0.0) -> float:
        """How far one number may be from the one before it without anybody wondering."""
        known = self.fingerprint
        return SLACK * known.step * math.sqrt(self.apart) + 0.5 * (known.grain + grain)

    def usual(self, number: Number) -> bool:
        """Whether a number is near the one before it, or where the field has been before."""
        small = self.reach(number.grain)
        if self.last is not None and abs(number.value - self.last) <= FAR * small:
            return True
        near = max(small, NEAR * abs(number.value))
        return any(
            abs(number.value - place) <= near
            for place in self.fingerprint.places
            if place not in ERRORS
        )

    def accept(self, value: Value) -> None:
        """Take a value for what it seems: the next one is compared with it."""
        self.learned.append(value)
        if isinstance(value, Number):
            young = self.fingerprint.count < LEARNED
            self.calm = min(self.calm + 1, CALM) if young or self.usual(value) else 0
            self.last, self.apart = value.value, 1.0
