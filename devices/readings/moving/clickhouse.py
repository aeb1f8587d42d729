"""ClickHouse as one side of a move."""

# ruff: noqa: S608 - SQL is put together from constants of this package; values are numbers

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from devices.readings.instants import from_ms, to_ms
from devices.readings.moving.pages import Carrier, Moved, Page, Row, document
from devices.readings.store.clickhouse.clusters import place_of
from devices.readings.store.clickhouse.literals import listed, relation
from devices.readings.store.clickhouse.schema import GONE, TYPES, VERSION
from devices.readings.store.clickhouse.server import Server
from devices.readings.store.partitions import Month, month_of


class Clickhouse(Carrier):
    """Rows go in as versions: what the running engine reads is the newest."""

    def __init__(self, server: Server) -> None:
        """The server of an address."""
        self._server = server
        self.name = str(server.address)

    def months(self, table: Moved) -> list[Month]:
        """Of all rows of whatever version."""
        instant = table.instant
        rows = self._server.rows(
            f"SELECT min({instant}) FROM {table.name} FINAL "
            f"GROUP BY toYYYYMM(fromUnixTimestamp64Milli({instant}, 'UTC'))"
        )
        return sorted(month_of(from_ms(first)) for (first,) in rows)

    def fingerprint(self, table: Moved, month: Month) -> str | None:
        """The sum of what is made of each row."""
        ((count, total),) = self._server.rows(
            f"SELECT count(), sum(cityHash64(toString(tuple({', '.join(table.columns)})))) "
            f"FROM {table.name} FINAL WHERE {_of_month(table, month)}"
        )
        return f"{count} {total}"

    def counts(self, table: Moved, month: Month) -> dict[int, int]:
        """In one statement."""
        return dict(
            self._server.rows(
                f"SELECT {table.owner}, count() FROM {table.name} FINAL "
                f"WHERE {_of_month(table, month)} GROUP BY {table.owner}"
            )
        )

    def rows(self, table: Moved, page: Page) -> list[Row]:
        """The key serves."""
        rows = self._server.rows(
            f"SELECT {', '.join(table.columns)} FROM {table.name} FINAL "
            f"WHERE {_of_page(table, page)} ORDER BY {', '.join(table.key)}"
        )
        if "fields" not in table.columns:
            return rows
        return [(*row[:-1], document(row[-1])) for row in rows]

    def put(self, table: Moved, page: Page, rows: Sequence[Row]) -> None:
        """Each as the version after the one that is there."""
        versions = self._versions(table, page)
        places = [table.columns.index(name) for name in table.key]
        written = [
            (*row, versions.get(tuple(row[place] for place in places), 0) + 1) for row in rows
        ]
        columns = [*table.columns, VERSION]
        self._server.insert(table.name, columns, list(zip(*written, strict=True)))

    def remove(self, table: Moved, page: Page, keys: Sequence[Row]) -> None:
        """Tiers mark what is gone, so that a version that comes later counts on."""
        if GONE in TYPES[table.name]:
            versions = self._versions(table, page)
            nothing = [_nothing(table.name, name) for name in table.columns[len(table.key) :]]
            rows = [(*key, *nothing, versions[key] + 1, 1) for key in keys]
            columns = [*table.columns, VERSION, GONE]
            self._server.insert(table.name, columns, list(zip(*rows, strict=True)))
            return
        names = ", ".join(table.key)
        wanted = relation("k", [(name, TYPES[table.name][name]) for name in table.key], keys)
        target = place_of(self._server, table.name).target
        self._server.run(f"DELETE FROM {target} WHERE ({names}) IN (SELECT {names} FROM {wanted})")

    def _versions(self, table: Moved, page: Page) -> dict[Row, int]:
        names = ", ".join(table.key)
        rows = self._server.rows(
            f"SELECT {names}, max({VERSION}) FROM {table.name} WHERE {_of_page(table, page)} "
            f"GROUP BY {names}"
        )
        return {row[:-1]: row[-1] for row in rows}


def _of_month(table: Moved, month: Month) -> str:
    begins, ends = to_ms(month.begins), to_ms(month.following.begins)
    return f"{table.instant} >= {begins} AND {table.instant} < {ends}"


def _of_page(table: Moved, page: Page) -> str:
    return (
        f"{table.owner} IN {listed(page.owners)} "
        f"AND {table.instant} >= {page.since} AND {table.instant} < {page.until}"
    )


def _nothing(table: str, column: str) -> Any:
    return 0.0 if TYPES[table][column] == "Float64" else 0
