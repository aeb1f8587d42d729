"""What an engine with rows elsewhere leaves to the engine of the default database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from devices.readings.instants import from_ms
from devices.readings.store.engine import Engine, Stored
from devices.readings.store.tables import Record


class BookedEngine(Engine):
    """Streams, slots, watermark, late log and latest readings stay where all configuration is."""

    def __init__(self, books: Engine) -> None:
        """`books` is the engine of the default database."""
        self.books = books
        self.rolled_at_once = books.rolled_at_once

    def hold_open(self, sql: str) -> Stored:
        """As the books do."""
        return self.books.hold_open(sql)

    def hold_closed(self) -> None:
        """As the books do."""
        self.books.hold_closed()

    def become_roller(self) -> bool:
        """As the books say."""
        return self.books.become_roller()

    def instant(self, at: datetime) -> Any:
        """As the books have it; on the way to ClickHouse it becomes milliseconds."""
        return self.books.instant(at)

    def instants(self, at: Sequence[datetime]) -> Sequence[Any]:
        """As the books have them."""
        return self.books.instants(at)

    def moment(self, stored: Any) -> datetime:
        """Of either: milliseconds, or as the books have it."""
        return from_ms(stored) if isinstance(stored, int) else self.books.moment(stored)

    def hour_of(self, column: str) -> str:
        """Of a column in the books."""
        return self.books.hour_of(column)

    def relation(
        self, name: str, columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[Any]]
    ) -> tuple[str, list[Any]]:
        """To join with the books."""
        return self.books.relation(name, columns, rows)

    def for_each(self, table: str, alias: str, condition: str) -> str:
        """Of a table in the books."""
        return self.books.for_each(table, alias, condition)

    def newest_of(self, table: str, alias: str, condition: str) -> str:
        """Of a table in the books."""
        return self.books.newest_of(table, alias, condition)

    def hour_after(self, column: str) -> str:
        """Of a column in the books."""
        return self.books.hour_after(column)

    def execute_many(
        self, sql: str, columns: Sequence[tuple[str, str]], rows: Sequence[Record]
    ) -> None:
        """In the books."""
        self.books.execute_many(sql, columns, rows)

    def query(self, sql: str, params: Sequence[Any] = ()) -> Stored:
        """Of the books."""
        return self.books.query(sql, params)

    def many(self, sql: str, params: Sequence[Any] = ()) -> Stored:
        """Of the books."""
        return self.books.many(sql, params)

    def change(self, sql: str, params: Sequence[Any] = ()) -> int:
        """In the books."""
        return self.books.change(sql, params)
