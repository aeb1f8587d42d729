"""The embedded engine: SQLite in WAL mode, one writer at a time, instants as milliseconds."""

# ruff: noqa: S608 - SQL is put together from constants of this package; values are parameters

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from django.db import connection

from devices.readings.instants import from_ms, to_ms
from devices.readings.keeping import Part, Volume
from devices.readings.store.engine import Stored
from devices.readings.store.partitions import Month, month_of
from devices.readings.store.sqlrows import SqlRows
from devices.readings.store.tables import Key, Record, Table, whole

_HOUR_MS = 3_600_000
_DAY = timedelta(days=1)
_DAY_MS = 24 * _HOUR_MS
_ROW_BYTES = 112
_ENTRY_BYTES = 70
"""Measured: what an entry as received takes beside its text, with its index."""
_SAMPLED = 1_000
_LAST_ROW = 2**63 - 1


class SqliteEngine(SqlRows):
    """SQLite lets one transaction write at a time, so that reading before writing is no race."""

    batch = 1_000
    whole_months = False
    rolled_at_once = 250

    def hold_open(self, sql: str) -> Stored:
        """Nothing to hold: writers come one after the other."""
        return self.query(sql)

    def hold_closed(self) -> None:
        """Nothing to do: so does the roller."""

    def become_roller(self) -> bool:
        """Always: the transaction is the only one that writes."""
        return True

    def instant(self, at: datetime) -> int:
        """Milliseconds since 1970."""
        return to_ms(at)

    def moment(self, stored: int) -> datetime:
        """From milliseconds since 1970."""
        return from_ms(stored)

    def hour_of(self, column: str) -> str:
        """Rounds down also before 1970."""
        return f"({column} - (({column} %% {_HOUR_MS}) + {_HOUR_MS}) %% {_HOUR_MS})"

    def relation(
        self, name: str, columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[Any]]
    ) -> tuple[str, list[Any]]:
        """One JSON text: no limit on the number of parameters."""
        parts = ", ".join(
            f"json_extract(value, '$[{place}]') AS {column}"
            for place, (column, _) in enumerate(columns)
        )
        return f"(SELECT {parts} FROM json_each(%s)) AS {name}", [json.dumps(rows)]

    def for_each(self, table: str, alias: str, condition: str) -> str:
        """SQLite keeps CROSS JOIN in the order in which it is written."""
        return f"CROSS JOIN {table} {alias} ON {condition}"

    def newest_of(self, table: str, alias: str, condition: str) -> str:
        """By the row's number: SQLite has no LATERAL."""
        return (
            f"LEFT JOIN {table} {alias} ON {alias}.rowid = ("
            f"SELECT {alias}.rowid FROM {table} {alias} WHERE {condition} "
            f"ORDER BY {alias}.at DESC, {alias}.sequence DESC LIMIT 1)"
        )

    def hour_after(self, column: str) -> str:
        """Milliseconds."""
        return f"({column} + {_HOUR_MS})"

    def execute_many(
        self, sql: str, columns: Sequence[tuple[str, str]], rows: Sequence[Record]
    ) -> None:
        """One prepared statement, run for each row: a relation of rows has to be taken apart."""
        row = ", ".join(f"%s AS {column}" for column, _ in columns)
        with connection.cursor() as cursor:
            cursor.executemany(sql.format(rows=f"(SELECT {row}) AS n"), rows)

    def insert(
        self, table: Table, keys: Sequence[Key], records: Mapping[Key, Record]
    ) -> dict[Key, Record]:
        """Row numbers grow: what has one that was there before is not ours."""
        ((last,),) = self.query(f"SELECT max(rowid) FROM {table.name}")
        places = ", ".join(["%s"] * len(table.columns))
        with connection.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO {table.name} ({', '.join(table.columns)}) VALUES ({places}) "
                f"ON CONFLICT ({', '.join(table.key)}) DO NOTHING",
                list(whole(records, keys)),
            )
            if cursor.rowcount == len(keys):
                return {}
        return self._stored(table, keys, last)

    def locked(self, table: Table, keys: Sequence[Key]) -> dict[Key, Record]:
        """The transaction itself is the lock."""
        return self._stored(table, keys, _LAST_ROW)

    def _stored(self, table: Table, keys: Sequence[Key], last: int) -> dict[Key, Record]:
        """The stored values of these keys, in rows numbered up to `last`."""
        found: dict[Key, Record] = {}
        columns = ", ".join(f"t.{column}" for column in (*table.key, *table.values))
        same = " AND ".join(f"t.{c} = k.{k}" for c, k in zip(table.key, "abc", strict=True))
        for start in range(0, len(keys), self.batch):
            part = keys[start : start + self.batch]
            rows = self.query(
                f"WITH k(a, b, c) AS (VALUES {', '.join(['(%s, %s, %s)'] * len(part))}) "
                f"SELECT {columns} FROM k CROSS JOIN {table.name} t ON {same} AND t.rowid <= %s",
                [*chain.from_iterable(part), last],
            )
            found |= {row[:3]: row[3:] for row in rows}
        return found

    def update(self, table: Table, records: Sequence[tuple[Key, Record]]) -> None:
        """One prepared statement, run for each record."""
        assignments = ", ".join(f"{column} = %s" for column in table.values)
        where = " AND ".join(f"{column} = %s" for column in table.key)
        with connection.cursor() as cursor:
            cursor.executemany(
                f"UPDATE {table.name} SET {assignments} WHERE {where}",
                [(*values, *key) for key, values in records],
            )

    def make_room(self, table: str, instants: Collection[datetime]) -> None:
        """Nothing to do: rows of all months live in one table."""

    def make_ahead(self, table: Table, now: datetime) -> None:
        """Nothing to do either."""

    def put_in_order(self, table: Table, now: datetime) -> None:
        """Nothing to do: its cache holds what a small site reads."""

    def drop_until(self, table: Table, owners: str, until: datetime) -> int:
        """One short transaction for each owner: writers never wait long."""
        return sum(
            self.change(
                f"DELETE FROM {table.name} WHERE {table.key[0]} = %s AND at < %s",
                [owner, self.instant(until)],
            )
            for (owner,) in self.query(f"SELECT id FROM {owners}")
        )

    def drop_of(
        self,
        table: Table,
        until: Mapping[int, datetime | None],
        done: Mapping[int, datetime],
    ) -> int:
        """One short transaction for each owner of whom a day more is over age."""
        return sum(
            self.change(
                f"DELETE FROM {table.name} WHERE {table.key[0]} = %s AND at < %s",
                [owner, self.instant(before)],
            )
            for owner, before in until.items()
            if before is not None and (owner not in done or before - done[owner] >= _DAY)
        )

    def gone_until(self, dropped_until: datetime) -> datetime:
        """To the row."""
        return dropped_until

    def volumes(self, tables: Sequence[Table]) -> list[Volume]:
        """Counted; what a row takes is what was measured of such rows."""
        counts: Counter[Month] = Counter()
        for table in tables:
            for (month, _), count in self._counts(table).items():
                counts[month] += count
        bytes_a_row = max(map(self._bytes_of, tables))
        return [
            Volume(month.begins, month.following.begins, count, round(count * bytes_a_row))
            for month, count in sorted(counts.items())
        ]

    def parts(self, table: Table) -> list[Part]:
        """Counted."""
        bytes_a_row = self._bytes_of(table)
        return [
            Part(month.begins, owner, count * bytes_a_row, counted=True)
            for (month, owner), count in self._counts(table).items()
        ]

    def _counts(self, table: Table) -> Counter[tuple[Month, int]]:
        """Rows of each month and owner. A day is found by arithmetic, faster than a month."""
        counts: Counter[tuple[Month, int]] = Counter()
        rows = self.query(
            f"SELECT {table.key[0]} AS owner, at - ((at %% {_DAY_MS}) + {_DAY_MS}) %% {_DAY_MS} "
            f"AS day, count(*) FROM {table.name} GROUP BY owner, day"
        )
        for owner, day, count in rows:
            counts[month_of(self.moment(day)), owner] += count
        return counts

    def _bytes_of(self, table: Table) -> float:
        """Of a row: texts as long as the newest ones."""
        if "fields" not in table.columns:
            return _ROW_BYTES
        ((length,),) = self.query(
            f"SELECT avg(length(fields)) FROM "
            f"(SELECT fields FROM {table.name} ORDER BY rowid DESC LIMIT {_SAMPLED})"
        )
        return _ENTRY_BYTES + (length or 0.0)
