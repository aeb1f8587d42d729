"""The line through a metric's readings: what lies under it, and how it changes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from devices.readings.periods import Span
from devices.readings.samples import Integral


class Knot(NamedTuple):
    """The line's value from `begins` to `ends`, in seconds since 1970.

    A reading begins and ends at its own instant; an hour of readings at its first and its last,
    with their average as its value.
    """

    begins: float
    ends: float
    value: float


class _Piece(NamedTuple):
    """A straight piece of the line."""

    begins: float
    ends: float
    head: float
    tail: float

    def at(self, moment: float) -> float:
        """The line's value at a moment within the piece."""
        if moment == self.ends:
            return self.tail
        share = (moment - self.begins) / (self.ends - self.begins)
        return self.head + (self.tail - self.head) * share


class _Sum:
    """A bucket being filled."""

    __slots__ = ("area", "begins", "change", "ends", "known", "start")

    def __init__(self, span: Span) -> None:
        self.start = span.bucket
        self.begins, self.ends = span.since.timestamp(), span.until.timestamp()
        self.known = self.area = self.change = 0.0

    def add(self, piece: _Piece) -> None:
        """Take in the part of a piece that lies within."""
        if piece.begins == piece.ends:
            if self.begins <= piece.begins < self.ends:
                self.change += piece.tail - piece.head
            return
        begins, ends = max(self.begins, piece.begins), min(self.ends, piece.ends)
        if begins >= ends:
            return
        head, tail = piece.at(begins), piece.at(ends)
        self.known += ends - begins
        self.area += (head + tail) / 2 * (ends - begins)
        self.change += tail - head


def integrals(
    knots: Iterable[Knot], spans: Sequence[Span], bridge_s: float, held: bool
) -> list[Integral]:
    """The integral of each bucket of which anything is known.

    Knots come in order and may begin before the first span and end after the last one; spans are
    in order and do not overlap. Two knots more than `bridge_s` apart are not connected. `held`: a
    value stays until the next one, instead of changing evenly. Takes memory for the spans only.
    """
    sums = [_Sum(span) for span in spans]
    place = 0
    previous: Knot | None = None
    for knot in knots:
        for piece in _pieces(previous, knot, bridge_s, held):
            while place < len(sums) and sums[place].ends <= piece.begins:
                place += 1
            for one in range(place, len(sums)):
                if sums[one].begins > piece.ends:
                    break
                sums[one].add(piece)
        previous = knot
    return [Integral(one.start, one.known, one.area, one.change) for one in sums if one.known > 0]


def _pieces(previous: Knot | None, knot: Knot, bridge_s: float, held: bool) -> Iterable[_Piece]:
    """What lies between two knots, and the extent of the second one."""
    if previous is not None and knot.begins - previous.ends <= bridge_s:
        head, tail = previous.value, knot.value
        if held and head != tail:
            yield _Piece(previous.ends, knot.begins, head, head)
            yield _Piece(knot.begins, knot.begins, head, tail)
        else:
            yield _Piece(previous.ends, knot.begins, head, tail)
    if knot.ends > knot.begins:
        yield _Piece(knot.begins, knot.ends, knot.value, knot.value)


def knot_of(at: datetime, value: float) -> Knot:
    """A reading's knot."""
    moment = at.timestamp()
    return Knot(moment, moment, value)
