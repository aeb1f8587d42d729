"""What the two SQL engines do differently; everything else is one dialect."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from devices.readings.keeping import Volume
from devices.readings.store.tables import Key, Record, Table


class Engine(ABC):
    """Locks, instants, relations made of parameters, and idempotent inserts."""

    batch: int
    """Records in one statement."""
    whole_months: bool
    """Whether dropping a month's rows is for nothing and frees their disk at once."""
    archives: bool = False
    """Whether months of readings can be archived; where not, a rule that asks for it drops none."""
    rolled_at_once: int
    """Device hours that the roller does in one transaction: how long others may have to wait."""

    @abstractmethod
    def hold_open(self) -> None:
        """Keep the watermark where it is until the transaction ends; many writers may."""

    @abstractmethod
    def hold_closed(self) -> None:
        """Wait until no writer holds the watermark, and keep writers out till the end."""

    @abstractmethod
    def become_roller(self) -> bool:
        """Whether this transaction may drain the late log: one at a time does."""

    @abstractmethod
    def instant(self, at: datetime) -> Any:
        """An aware instant as a parameter, to the millisecond."""

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

    @abstractmethod
    def insert(self, table: Table, records: Sequence[Record]) -> dict[Key, Record]:
        """Insert the records that are not there; the stored values of those that are.

        Records are sorted by key and hold each key once.
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
