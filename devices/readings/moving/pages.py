"""The six tables as a move sees them: rows in one form whatever the engine, a page at a time."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from devices.readings.instants import to_ms
from devices.readings.store.partitions import Month
from devices.readings.store.summary import STATISTICS, TIER_TABLES
from devices.readings.store.tables import RECEIVED, ROWS, TEXTS

PAGE = 20_000
"""About so many rows are in memory at once, of either side."""
_DAY = timedelta(days=1)
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Moved:
    """A table with its key first; the first column of the key is the owner."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]

    @property
    def owner(self) -> str:
        """A stream, a metric or a source."""
        return self.key[0]

    @property
    def instant(self) -> str:
        """The column by which months are told."""
        return self.key[1]


TABLES = (
    *(Moved(one.name, one.columns, one.key) for one in (ROWS, TEXTS, RECEIVED)),
    *(
        Moved(name, ("metric_id", "bucket", *STATISTICS.split(", ")), ("metric_id", "bucket"))
        for name in TIER_TABLES.values()
    ),
)
INSTANTS = frozenset({"at", "bucket", "arrived_at", "first_at", "last_at"})


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of some owners in [since, until), milliseconds since 1970."""

    owners: tuple[int, ...]
    since: int
    until: int


class Carrier(ABC):
    """One side of a move. Rows are (instants in milliseconds, documents as sorted text)."""

    name: str
    """For people, without user and password."""

    @abstractmethod
    def months(self, table: Moved) -> list[Month]:
        """The months (UTC) that have rows, oldest first."""

    @abstractmethod
    def fingerprint(self, table: Moved, month: Month) -> str | None:
        """What changes whenever a row of the month does; None where it costs as much as reading."""

    @abstractmethod
    def counts(self, table: Moved, month: Month) -> dict[int, int]:
        """How many rows each owner has in a month."""

    @abstractmethod
    def rows(self, table: Moved, page: Page) -> list[Row]:
        """A page's rows, by key."""

    @abstractmethod
    def put(self, table: Moved, page: Page, rows: Sequence[Row]) -> None:
        """Write rows of a page, over what is there of the same keys."""

    @abstractmethod
    def remove(self, table: Moved, page: Page, keys: Sequence[Row]) -> None:
        """Delete rows of a page by their keys."""


def pages(month: Month, counts: Mapping[int, int]) -> Iterator[Page]:
    """A month in pages of about PAGE rows: some owners together, or days of one that has more."""
    since, until = to_ms(month.begins), to_ms(month.following.begins)
    some: list[int] = []
    rows = 0
    for owner in sorted(counts):
        if counts[owner] > PAGE:
            yield from _days(month, owner)
            continue
        if some and rows + counts[owner] > PAGE:
            yield Page(tuple(some), since, until)
            some, rows = [], 0
        some.append(owner)
        rows += counts[owner]
    if some:
        yield Page(tuple(some), since, until)


def _days(month: Month, owner: int) -> Iterator[Page]:
    begins = month.begins
    while begins < month.following.begins:
        yield Page((owner,), to_ms(begins), to_ms(begins + _DAY))
        begins += _DAY


def checksum(rows: Collection[Row]) -> str:
    """Of rows in their order; the same on every engine."""
    digest = hashlib.blake2b(digest_size=16)
    for row in rows:
        digest.update(repr(row).encode())
    return digest.hexdigest()


def document(text: str) -> str:
    """A JSON text in the one form that both sides compare."""
    return json.dumps(json.loads(text), sort_keys=True)
