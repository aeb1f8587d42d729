"""The three tables that grow with every message, described once for both engines."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from devices.readings.periods import Span
from devices.readings.samples import Origin

ORIGINS = {Origin.LIVE: 1, Origin.BACKFILL: 2, Origin.PUSH: 3, Origin.IMPORT: 4}
"""How a reading reached us, in two bytes."""
ORIGIN_OF = {code: origin for origin, code in ORIGINS.items()}

Key = tuple[Any, ...]
Record = tuple[Any, ...]
Owned = tuple[int, Span]
"""A span of a metric, or of every metric of a device."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table with an identity of three columns; records are (*key, *fixed, *values).

    `fixed` columns are set when a record is first stored, `values` may change later. `types` are
    PostgreSQL's names, in the order of `columns`.
    """

    name: str
    key: tuple[str, str, str]
    fixed: tuple[str, ...]
    values: tuple[str, ...]
    types: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns, in the order of a record."""
        return (*self.key, *self.fixed, *self.values)

    @property
    def changing(self) -> int:
        """Where the values begin in a record."""
        return len(self.key) + len(self.fixed)

    def stored_of(self, record: Sequence[Any]) -> Record:
        """The values of a record."""
        return tuple(record[self.changing :])


class Records(Mapping[Key, Record]):
    """Records by key, in the order of keys.

    Each is made of its key and what stands behind it when it is asked for: while the database
    takes the first ones, the others are made. None has to be looked up on the way.
    """

    def __init__(self, make: Callable[..., Record], behind: int = 1) -> None:
        """None yet. `make` gives a whole record, which begins with its key.

        It is given the key, and as many things as stand `behind` it.
        """
        self.order_kept = True
        """Whether they are in the order in which they were put."""
        self._make = make
        self._keys: list[Key] = []
        self._behind: list[list[Any]] = [[] for _ in range(behind)]
        self._sorted = 0
        self._places: dict[Key, int] = {}

    def put(self, keys: Iterable[Key], *behind: Iterable[Any]) -> None:
        """Add keys, none of which is there yet, and what stands behind them, column by column."""
        self._keys.extend(keys)
        for column, added in zip(self._behind, behind, strict=True):
            column.extend(added)

    def keys_in_order(self) -> Sequence[Key]:
        """All keys, sorted."""
        if self._sorted < len(self._keys):
            keys = sorted(self._keys)
            if keys != self._keys:
                places = list(map(self._look_up().__getitem__, keys))
                self._behind = [list(map(one.__getitem__, places)) for one in self._behind]
                self._keys, self._places, self.order_kept = keys, {}, False
            self._sorted = len(keys)
        return self._keys

    def behind(self, keys: Sequence[Key]) -> list[list[Any]]:
        """What stands behind these keys, which are sorted, column by column."""
        all_keys = self.keys_in_order()
        start = bisect_left(all_keys, keys[0]) if keys else 0
        part = slice(start, start + len(keys))
        if all_keys[part] == keys:
            return [column[part] for column in self._behind]
        places = list(map(self._look_up().__getitem__, keys))
        return [list(map(column.__getitem__, places)) for column in self._behind]

    def whole(self, keys: Sequence[Key]) -> Iterator[Record]:
        """The records of these keys, which are sorted, each after its key."""
        return map(self._make, keys, *self.behind(keys))

    def __getitem__(self, key: Key) -> Record:
        """The record of a key, without the key."""
        place = self._look_up()[key]
        return self._make(key, *[column[place] for column in self._behind])[len(key) :]

    def __contains__(self, key: object) -> bool:
        """Whether there is a record of this key; it is not made."""
        return key in self._look_up()

    def __iter__(self) -> Iterator[Key]:
        """All keys, sorted."""
        return iter(self.keys_in_order())

    def __len__(self) -> int:
        """How many records."""
        return len(self._keys)

    def _look_up(self) -> Mapping[Key, int]:
        """Where each key stands."""
        if len(self._places) < len(self._keys):
            self._places = dict(zip(self._keys, range(len(self._keys)), strict=True))
        return self._places


def keys_of(records: Mapping[Key, Record]) -> Sequence[Key]:
    """All keys, sorted."""
    return records.keys_in_order() if isinstance(records, Records) else sorted(records)


def whole(records: Mapping[Key, Record], keys: Sequence[Key]) -> Iterator[Record]:
    """The records of these keys, which are sorted, each after its key."""
    if isinstance(records, Records):
        return records.whole(keys)
    return ((*key, *records[key]) for key in keys)


NUMBERS = tuple(f"v{position}" for position in range(1, 9))

ROWS = Table(
    name="readings_row",
    key=("stream_id", "at", "sequence"),
    fixed=(),
    values=("origin", "revised", *NUMBERS),
    types=("int4", "timestamptz", "int8", "int2", "int2", *["float8"] * 8),
)
TEXTS = Table(
    name="readings_textvalue",
    key=("metric_id", "at", "sequence"),
    fixed=(),
    values=("origin", "revised", "text", "flag"),
    types=("int8", "timestamptz", "int8", "int2", "int2", "text", "bool"),
)
RECEIVED = Table(
    name="readings_received",
    key=("source_id", "at", "sequence"),
    fixed=("device_id",),
    values=("arrived_at", "fields"),
    types=("int8", "timestamptz", "int8", "int8", "timestamptz", "text"),
)
