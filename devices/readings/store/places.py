"""Where each metric's values stand. Slots are given on first use and never given twice.

A place is remembered once the transaction that read it is committed: one that is undone would
leave a slot that is given to another metric next. All is forgotten when any metric is deleted, and
when a newest reading is taken out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction

Kind = tuple[int, int]
"""A stream, and which of its slots a row fills, a bit for each."""


@dataclass(frozen=True, slots=True)
class Place:
    """A metric's device and, once it had a number, its stream and position (1 to 8)."""

    device: int
    stream: int | None
    position: int


@dataclass(slots=True)
class Memory:
    """What was seen since the last metric, or newest reading, went; of one database."""

    slots_gone: int | None
    places: dict[int, Place] = field(default_factory=dict)
    shapes: dict[tuple[int, ...], Shape] = field(default_factory=dict)

    def keep(self, places: Mapping[int, Place], shapes: Mapping[tuple[int, ...], Shape]) -> None:
        """Remember what cannot change, once the transaction that found it is committed.

        A metric without a stream may be given one, and a shape follows its metrics.
        """
        lasting = {key: place for key, place in places.items() if place.stream is not None}
        whole = {key: shape for key, shape in shapes.items() if shape.stream is not None}

        def keep() -> None:
            self.places.update(lasting)
            self.shapes.update(whole)

        if lasting:
            transaction.on_commit(keep)


@dataclass(slots=True, eq=False)
class Shape:
    """What samples of the same metrics have in common: whose they are and where they stand."""

    device: int
    stream: int | None
    """The one stream of all the metrics; None when they stand in several, or in none."""
    filled: int
    """One bit for each slot of that stream."""
    arrange: Callable[[tuple[Any, ...]], tuple[Any, ...]]
    """(None, *values) as the eight slots of that stream."""
    followed: tuple[Any, Any] | None = None
    """From when until when rows of its kind only follow the newest one that is entered."""

    def is_followed_at(self, at: Any) -> bool:
        """Whether a row of this time only follows, so that it is found among the rows."""
        return self.followed is not None and self.followed[0] <= at < self.followed[1]

    def follow(self, since: Any, until: Any) -> None:
        """Remember from when until when rows only follow; what is older than known is none."""
        if self.followed is None or self.followed[0] < since:
            self.followed = since, until


_MOST_SHAPES = 200_000
_memories: dict[str, Memory] = {}
"""By database."""


def memory(slots_gone: int | None) -> Memory:
    """What may be believed of earlier batches, by `slots_gone` of the watermark; None: nothing."""
    if slots_gone is None:
        return Memory(None)
    name = str(connection.settings_dict["NAME"])
    known = _memories.get(name)
    if known is None or known.slots_gone != slots_gone or len(known.shapes) > _MOST_SHAPES:
        known = _memories[name] = Memory(slots_gone)
    return known
