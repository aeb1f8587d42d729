"""What the engines do differently; everything else is written once.

An engine has books (streams, slots, the watermark, the late log, latest readings: always in the
default database) and rows (readings, entries as received, tiers: the big tables). `query` and
`change` speak of the books, `read` and the methods of `Rows` of the big tables.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from devices.readings.keeping import Part, Volume
from devices.readings.periods import Span
from devices.readings.samples import Sample, Tier
from devices.readings.store.batch import Batch
from devices.readings.store.tables import Key, Owned, Record, Table

DeviceHour = tuple[int, datetime]
Stored = list[tuple[Any, ...]]


class Rows(ABC):
    """The big tables: how single rows of them are found, and how they are summarised."""

    transactional: bool
    """Whether rows join the transaction in which they are written."""

    @abstractmethod
    def ready(self) -> None:
        """Raises an OperationalError whose text says what is wrong, when rows cannot be had."""

    @abstractmethod
    def source(self, table: str) -> str:
        """SQL: what stands after FROM to read a big table."""

    @abstractmethod
    def read(self, sql: str, params: Sequence[Any] = ()) -> Stored:
        """All rows of a SELECT of one big table."""

    @abstractmethod
    def rows_of(
        self,
        table: Table,
        owners: Sequence[int],
        since: datetime,
        until: datetime,
        columns: Sequence[str],
        limit: int,
    ) -> Stored:
        """(owner, at, *columns) of several owners, `since` <= at < `until`, in order."""

    @abstractmethod
    def rows_at(self, table: Table, keys: Sequence[Key], columns: Sequence[str]) -> Stored:
        """(*key, origin, *columns) of the keys that are there."""

    @abstractmethod
    def owners_in(
        self, table: Table, owners: Sequence[int], since: Any, until: Any
    ) -> Sequence[int]:
        """The owners who have a row in `since` <= at <= `until` (as `instant` made them)."""

    @abstractmethod
    def earliest(
        self, table: Table, owners: Sequence[int], since: datetime, until: datetime
    ) -> datetime | None:
        """The time of the first row of any of the owners, `since` <= at < `until`, if any."""

    @abstractmethod
    def summed(
        self, metric: int, tier: Tier, buckets: Sequence[Span], readings: Sequence[Span]
    ) -> Stored:
        """(metric, bucket, statistics), of a tier's buckets and of readings together."""

    @abstractmethod
    def ranked(
        self, metric: int, spans: Sequence[Span], shares: Sequence[int], whole: int
    ) -> Stored:
        """(bucket, count, share, value) of readings, by nearest rank; of `whole` parts, the value
        that so many parts (`shares`) of the readings do not exceed.
        """

    @abstractmethod
    def log_heard(self, since: datetime, until: datetime) -> None:
        """Enter the hours in which devices have readings into the late log."""

    @abstractmethod
    def log_days_of(self, device: int, since: datetime) -> None:
        """Enter a device's hours of the hour tier into the late log, for their days alone."""

    @abstractmethod
    def remake(
        self,
        tier: Tier,
        buckets: Sequence[Owned],
        of_finer: Sequence[Owned],
        of_readings: Sequence[Owned],
    ) -> int:
        """Make these buckets of devices anew, from spans of the next finer tier and of readings.

        Returns how many buckets of metrics that made.
        """

    @abstractmethod
    def forget_from(self, tier: Tier, device: int, since: datetime) -> None:
        """Delete a device's buckets that begin at or after an instant."""

    @abstractmethod
    def drop_hours(self, before: Mapping[int, datetime]) -> int:
        """Drop hours before an instant of each device, or as many of them as go cheaply."""

    @abstractmethod
    def sweep(self) -> None:
        """Delete rows of what was deleted from the books, where they did not go with it."""

    @abstractmethod
    def hold(self, devices: Collection[int]) -> None:
        """Let nobody else write readings of these devices until the transaction ends."""

    @abstractmethod
    def clear(self, slots: Collection[tuple[int, int]]) -> None:
        """Empty slots (stream, position) that are about to be given of what was undone."""

    @abstractmethod
    def doubts(
        self, batch: Batch, closed: datetime, gone: Sequence[Sample]
    ) -> Collection[DeviceHour]:
        """What a write that was cut short may have left behind of this batch.

        Takes out of `batch.known_…` what the books do not know of, and returns hours that the
        tiers hold wrongly.
        """


class Engine(Rows):
    """Locks, instants, relations made of parameters, and idempotent inserts."""

    batch: int
    """Records in one statement."""
    place: str
    """Where the rows are, for people, and to tell one engine from another."""
    whole_months: bool
    """Whether dropping a month's rows is for nothing and frees their disk at once."""
    rolled_at_once: int
    """Device hours that the roller does in one transaction: how long others may have to wait."""

    @abstractmethod
    def hold_open(self, sql: str) -> Stored:
        """Keep the watermark where it is until the transaction ends; many writers may.

        Returns the rows of a SELECT as they are from then on.
        """

    @abstractmethod
    def hold_closed(self) -> None:
        """Wait until no writer holds the watermark, and keep writers out till the end."""

    @abstractmethod
    def become_roller(self) -> bool:
        """Whether this transaction may drain the late log: one at a time does."""

    @abstractmethod
    def instant(self, at: datetime) -> Any:
        """An aware instant as a parameter, to the millisecond."""

    def instants(self, at: Sequence[datetime]) -> Sequence[Any]:
        """Whole milliseconds as `instant` makes them."""
        return list(map(self.instant, at))

    @abstractmethod
    def moment(self, stored: Any) -> datetime:
        """A stored instant as aware UTC."""

    @abstractmethod
    def hour_of(self, column: str) -> str:
        """SQL: the beginning of the UTC hour of an instant."""

    @abstractmethod
    def relation(
        self, name: str, columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[Any]]
    ) -> tuple[str, list[Any]]:
        """SQL for a relation of given rows to select from, and its parameters.

        `columns` are (name, PostgreSQL type); instants come as `instant()` made them.
        """

    @abstractmethod
    def for_each(self, table: str, alias: str, condition: str) -> str:
        """SQL: join, for each row so far, the few rows of a big table that its index finds."""

    def within(self, column: str, since: Any, until: Any = None) -> str:
        """SQL: AND that a big table's instant lies in the months of [since, until], or in those
        from `since` on; nothing where that does not help.

        It is known already, but in terms of other rows.
        """
        return ""

    @abstractmethod
    def newest_of(self, table: str, alias: str, condition: str) -> str:
        """SQL: join, to each row so far, the newest row that the index of a table of the books'
        database finds, or nothing.
        """

    @abstractmethod
    def hour_after(self, column: str) -> str:
        """SQL: the instant an hour after another."""

    @abstractmethod
    def insert(
        self, table: Table, keys: Sequence[Key], records: Mapping[Key, Record]
    ) -> dict[Key, Record]:
        """Insert the records of these keys that are not there; the stored values of those that are.

        Keys are sorted, each once. A record may be made when it is asked for.
        """

    @abstractmethod
    def locked(self, table: Table, keys: Sequence[Key]) -> dict[Key, Record]:
        """The stored values of these keys, kept from changing until the transaction ends."""

    @abstractmethod
    def update(self, table: Table, records: Sequence[tuple[Key, Record]]) -> None:
        """Give the records of these keys new values."""

    def execute_many(
        self, sql: str, columns: Sequence[tuple[str, str]], rows: Sequence[Record]
    ) -> None:
        """Run `sql`, whose `{rows}` stands for a relation `n` of these rows; see `relation`."""
        relation, params = self.relation("n", columns, rows)
        self.change(sql.format(rows=relation), params)

    @abstractmethod
    def make_room(self, table: str, instants: Collection[datetime]) -> None:
        """See to it that rows of these times find their place."""

    @abstractmethod
    def make_ahead(self, table: Table, now: datetime) -> None:
        """Make room for the rows of the coming months."""

    @abstractmethod
    def put_in_order(self, table: Table, now: datetime) -> None:
        """Put rows of times that are over where reads find them beside each other."""

    @abstractmethod
    def drop_until(self, table: Table, owners: str, until: datetime) -> int:
        """Drop rows older than `until`, or as many of them as go without touching the others.

        `owners` is the table whose ids the first column of the key holds. Returns about how many
        rows went.
        """

    @abstractmethod
    def drop_of(
        self,
        table: Table,
        until: Mapping[int, datetime | None],
        done: Mapping[int, datetime],
    ) -> int:
        """Drop rows older than what `until` says of their owner (None: they all stay).

        `until` names every owner, the first column of the key; what is older than `done` of an
        owner went before. Returns about how many rows went.
        """

    @abstractmethod
    def gone_until(self, dropped_until: datetime) -> datetime:
        """Up to when rows are really gone of an owner that `drop_of` dropped until then."""

    @abstractmethod
    def volumes(self, tables: Sequence[Table]) -> list[Volume]:
        """What the rows of each month take up in these tables together, oldest first."""

    @abstractmethod
    def parts(self, table: Table) -> list[Part]:
        """About what each owner has of each month of a table."""

    def query(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a SELECT."""
        with connection.cursor() as cursor:
            cursor.execute(sql, params)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            return rows

    def many(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a SELECT that returns very many of them."""
        return self.query(sql, params)

    def change(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Run a statement; how many rows it touched."""
        with connection.cursor() as cursor:
            cursor.execute(sql, params)
            touched: int = cursor.rowcount
            return max(touched, 0)
