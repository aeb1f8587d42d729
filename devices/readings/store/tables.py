"""The three tables that grow with every message, described once for both engines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from devices.readings.periods import Span
from devices.readings.samples import Origin

ORIGINS = {Origin.LIVE: 1, Origin.BACKFILL: 2, Origin.PUSH: 3, Origin.IMPORT: 4}
"""How a reading reached us, in two bytes."""
ORIGIN_OF = {code: origin for origin, code in ORIGINS.items()}

T = TypeVar("T")
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


class Records(Mapping[Key, Record], Generic[T]):
    """Records by key, in the order of keys.

    Each is made of its key and what stands `behind` it when it is asked for: while the database
    takes the first ones, the others are made.
    """

    def __init__(self, make: Callable[[Key, T], Record]) -> None:
        """None yet. `make` gives whole records, which begin with their key."""
        self.behind: dict[Key, T] = {}
        self._make = make
        self._order: list[Key] = []

    def __getitem__(self, key: Key) -> Record:
        """The record of a key, without the key."""
        return self._make(key, self.behind[key])[len(key) :]

    def __iter__(self) -> Iterator[Key]:
        """All keys, sorted."""
        if len(self._order) < len(self.behind):
            self._order = sorted(self.behind)
        return iter(self._order)

    def __len__(self) -> int:
        """How many records."""
        return len(self.behind)

    def whole(self, keys: Iterable[Key]) -> Iterator[Record]:
        """The records of these keys, each after its key: the fastest way to very many."""
        make, behind = self._make, self.behind
        return (make(key, behind[key]) for key in keys)


def whole(records: Mapping[Key, Record], keys: Iterable[Key]) -> Iterator[Record]:
    """The records of these keys, each after its key."""
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
