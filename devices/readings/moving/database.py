"""The default database as one side of a move."""

# ruff: noqa: S608 - SQL is put together from constants of this package; values are parameters

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection, transaction

from devices.readings.instants import from_ms, to_ms
from devices.readings.moving.pages import INSTANTS, Carrier, Moved, Page, Row, document
from devices.readings.store.engine import Engine
from devices.readings.store.partitions import Month, month_of


class Database(Carrier):
    """Tables of SQLite or PostgreSQL."""

    name = "the default database"

    def __init__(self, engine: Engine) -> None:
        """`engine` is the database's own."""
        self._engine = engine

    def months(self, table: Moved) -> list[Month]:
        """From the first row to the last one."""
        ((first, last),) = self._engine.query(
            f"SELECT min({table.instant}), max({table.instant}) FROM {table.name}"
        )
        if first is None:
            return []
        month, until = (month_of(self._engine.moment(one)) for one in (first, last))
        found = [month]
        while found[-1] < until:
            found.append(found[-1].following)
        return [one for one in found if self._has(table, one)]

    def _has(self, table: Moved, month: Month) -> bool:
        return bool(
            self._engine.query(
                f"SELECT 1 FROM {table.name} WHERE {_within(table)} LIMIT 1", self._month(month)
            )
        )

    def fingerprint(self, table: Moved, month: Month) -> str | None:
        """PostgreSQL sums what it makes of each row; SQLite has no such function."""
        if connection.vendor != "postgresql":
            return None
        ((count, total),) = self._engine.query(
            f"SELECT count(*), sum(hashtextextended(t::text, 0)) FROM {table.name} t "
            f"WHERE {_within(table)}",
            self._month(month),
        )
        return f"{count} {total}"

    def counts(self, table: Moved, month: Month) -> dict[int, int]:
        """In one statement."""
        rows = self._engine.query(
            f"SELECT {table.owner}, count(*) FROM {table.name} WHERE {_within(table)} "
            f"GROUP BY {table.owner}",
            self._month(month),
        )
        found: dict[int, int] = dict(rows)
        return found

    def rows(self, table: Moved, page: Page) -> list[Row]:
        """The key serves."""
        columns = ", ".join(
            f"CAST({name} AS text)" if name == "fields" else name for name in table.columns
        )
        places = ", ".join(["%s"] * len(page.owners))
        rows = self._engine.query(
            f"SELECT {columns} FROM {table.name} WHERE {table.owner} IN ({places}) "
            f"AND {_within(table)} ORDER BY {', '.join(table.key)}",
            [*page.owners, self._instant(page.since), self._instant(page.until)],
        )
        return [tuple(map(self._plain, table.columns, row)) for row in rows]

    def _plain(self, column: str, value: Any) -> Any:
        if value is None:
            return None
        if column in INSTANTS:
            return to_ms(self._engine.moment(value))
        if column == "flag":
            return bool(value)
        return document(value) if column == "fields" else value

    def put(self, table: Moved, page: Page, rows: Sequence[Row]) -> None:
        """One transaction a page."""
        instant = table.columns.index(table.instant)
        self._engine.make_room(table.name, {from_ms(row[instant]) for row in rows})
        others = [name for name in table.columns if name not in table.key]
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO {table.name} ({', '.join(table.columns)}) "
                f"VALUES ({', '.join(['%s'] * len(table.columns))}) "
                f"ON CONFLICT ({', '.join(table.key)}) DO UPDATE SET "
                + ", ".join(f"{name} = excluded.{name}" for name in others),
                [tuple(map(self._stored, table.columns, row)) for row in rows],
            )

    def _stored(self, column: str, value: Any) -> Any:
        return self._instant(value) if column in INSTANTS and value is not None else value

    def remove(self, table: Moved, page: Page, keys: Sequence[Row]) -> None:
        """One by one: there are few, if any."""
        same = " AND ".join(f"{name} = %s" for name in table.key)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.executemany(
                f"DELETE FROM {table.name} WHERE {same}",
                [tuple(map(self._stored, table.key, key)) for key in keys],
            )

    def _month(self, month: Month) -> list[Any]:
        return [self._engine.instant(one) for one in (month.begins, month.following.begins)]

    def _instant(self, milliseconds: int) -> Any:
        return self._engine.instant(from_ms(milliseconds))


def _within(table: Moved) -> str:
    return f"{table.instant} >= %s AND {table.instant} < %s"
