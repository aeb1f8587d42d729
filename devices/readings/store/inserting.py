"""Records into PostgreSQL that are not there yet: many by COPY, few by one statement."""

# ruff: noqa: S608 - SQL is put together from constants of this package; values are parameters

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import psycopg
from django.db import IntegrityError, connection, transaction

from devices.readings.store import partitions
from devices.readings.store.arrays import arrays, columns_of
from devices.readings.store.tables import Key, Record, Table, whole

COPY_FROM = 500
"""Records from which a COPY beats sending arrays."""
LOOKS = 3
"""Pages overlap at their edges, the first one of a range most often not; a COPY in vain costs as
much as a dozen looks."""
Span = tuple[datetime, datetime]
"""The first and the last instant."""


@contextmanager
def driver_cursor() -> Iterator[psycopg.Cursor[tuple[Any, ...]]]:
    """A cursor of the driver on Django's connection.

    Django's own binds parameters in the client: slow for arrays, no binary COPY.
    """
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        yield cursor


class Inserter:
    """Inserts what is missing and says what was there.

    What is most of all written is new: history, or what came since the last poll. So nobody looks
    before, until something was there.
    """

    def __init__(self) -> None:
        """Nothing was met yet."""
        self._look: Counter[str] = Counter()
        """Before how many more batches for each table this process looks, if nothing is there."""

    def insert(
        self, table: Table, keys: Sequence[Key], records: Mapping[Key, Record]
    ) -> dict[Key, Record]:
        """Insert the records of these keys, which are sorted; the stored values of those that were
        there.
        """
        span = span_of(keys)
        partitions.ensure(table.name, _months(keys, span))
        if len(keys) >= COPY_FROM:
            known = self._copy(table, keys, records, span)
            if known is not None:
                return known
        return _insert_missing(table, list(whole(records, keys)))

    def _copy(
        self, table: Table, keys: Sequence[Key], records: Mapping[Key, Record], span: Span
    ) -> dict[Key, Record] | None:
        """The same by COPY; None, with nothing stored, where somebody else stores the same now."""
        if not self._look[table.name] and _copied(table, keys, records):
            return {}
        near = _near(table, keys, span)
        known = {key: record for key, record in near.items() if key in records}
        self._look[table.name] = LOOKS if known else max(self._look[table.name] - 1, 0)
        new = [key for key in keys if key not in known] if known else keys
        return known if _copied(table, new, records) else None


def read(
    cursor: psycopg.Cursor[Any], table: Table, keys: Sequence[Key], suffix: str = ""
) -> dict[Key, Record]:
    """What is stored of these keys, in their order; `suffix` ends the statement."""
    columns = ", ".join(f"t.{column}" for column, _ in changing(table))
    order = ", ".join(f"t.{column}" for column in table.key)
    key = ", ".join(table.key)
    within = partitions.within("t.at", *span_of(keys))
    cursor.execute(
        f"SELECT {columns} FROM unnest({arrays(table.types[:3])}) AS k({key}) "
        f"JOIN {table.name} t USING ({key}) WHERE true{within} ORDER BY {order} {suffix}",
        columns_of(keys, table.types[:3]),
    )
    return {row[:3]: row[3:] for row in cursor.fetchall()}


def changing(table: Table) -> list[tuple[str, str]]:
    """Name and type of the columns of the key and of those that may change."""
    pairs = list(zip(table.columns, table.types, strict=True))
    return [*pairs[:3], *pairs[table.changing :]]


def span_of(keys: Sequence[Key]) -> Span:
    """The first and the last instant of keys."""
    instants = [at for _, at, _ in keys]
    return min(instants), max(instants)


def _months(keys: Sequence[Key], span: Span) -> set[partitions.Month]:
    """The months in which the keys lie, all within a span."""
    ends = {partitions.month_of(at) for at in span}
    return ends if len(ends) == 1 else {partitions.month_of(at) for _, at, _ in keys}


def _copied(table: Table, keys: Sequence[Key], records: Mapping[Key, Record]) -> bool:
    """Copy the records of these keys; False, with nothing stored, where one is taken."""
    try:
        if keys:
            copy_in(table, keys, records)
    except IntegrityError:
        return False
    return True


def copy_in(table: Table, keys: Sequence[Key], records: Mapping[Key, Record]) -> None:
    """Binary COPY. Raises IntegrityError, and stores nothing, where a key is taken.

    The server stores the first rows while the others are made.
    """
    columns = ", ".join(table.columns)
    statement = f"COPY {table.name} ({columns}) FROM STDIN (FORMAT BINARY)"
    with transaction.atomic(), driver_cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(table.types)
        for record in whole(records, keys):
            copy.write_row(record)


def _near(table: Table, keys: Sequence[Key], span: Span) -> dict[Key, Record]:
    """What is stored between the first and the last key of each owner, up to as many as these.

    Whoever fills a hole page by page meets its edges again; there is little else.
    """
    owner, at, _ = table.key
    owners, instants = [key[0] for key in keys], [key[1] for key in keys]
    within = partitions.within("t.at", *span)
    first = dict(zip(reversed(owners), reversed(instants), strict=True))
    last = dict(zip(owners, instants, strict=True))
    spans = [(one, since, last[one]) for one, since in first.items()]
    kinds = (table.types[0], table.types[1], table.types[1])
    chosen = ", ".join(f"stored.{column}" for column, _ in changing(table))
    with driver_cursor() as cursor:
        cursor.execute(
            f"SELECT {chosen} FROM unnest({arrays(kinds)}) AS k(owner, since, until) "
            f"CROSS JOIN LATERAL (SELECT * FROM {table.name} t WHERE t.{owner} = k.owner "
            f"AND t.{at} >= k.since AND t.{at} <= k.until{within} LIMIT {len(keys)}) AS stored "
            f"LIMIT {len(keys)}",
            columns_of(spans, kinds),
        )
        return {row[:3]: row[3:] for row in cursor.fetchall()}


def _insert_missing(table: Table, records: Sequence[Record]) -> dict[Key, Record]:
    """One statement; it returns only which records were there already."""
    columns = ", ".join(table.columns)
    key = ", ".join(table.key)
    with driver_cursor() as cursor:
        if len(records) == 1:  # a push: without arrays it takes half the time
            values = ", ".join(f"%s::{kind}" for kind in table.types)
            cursor.execute(
                f"INSERT INTO {table.name} ({columns}) VALUES ({values}) "
                f"ON CONFLICT ({key}) DO NOTHING",
                records[0],
            )
            return {} if cursor.rowcount else read(cursor, table, [records[0][:3]])
        cursor.execute(
            "WITH staged AS MATERIALIZED ("
            f"SELECT * FROM unnest({arrays(table.types)}) WITH ORDINALITY AS s({columns}, n)"
            f"), done AS (INSERT INTO {table.name} ({columns}) "
            f"SELECT {columns} FROM staged ORDER BY {key} "
            f"ON CONFLICT ({key}) DO NOTHING RETURNING {key}) "
            f"SELECT s.n FROM staged s LEFT JOIN done d USING ({key}) "
            f"WHERE d.{table.key[0]} IS NULL",
            columns_of(records, table.types),
        )
        there = [records[number - 1][:3] for (number,) in cursor.fetchall()]
        return read(cursor, table, there) if there else {}
