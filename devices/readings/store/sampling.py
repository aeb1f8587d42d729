"""Whose the rows of PostgreSQL's months are, told by some pages of each."""

# ruff: noqa: S608 - SQL is put together from constants of this package; values are parameters

from __future__ import annotations

from django.db import connection
from django.db.backends.utils import CursorWrapper

from devices.readings.keeping import Part
from devices.readings.store.partitions import Month, existing, name_of

PAGES = 1_000
"""So many pages of a month are read: 8 MB, a few hundredths of a second."""


def parts(table: str, owner: str) -> list[Part]:
    """About what each owner takes up in each month, with indexes; small months are counted."""
    found: list[Part] = []
    with connection.cursor() as cursor:
        for month in existing(table):
            found += _parts(cursor, table, owner, month)
    return found


def _parts(cursor: CursorWrapper, table: str, owner: str, month: Month) -> list[Part]:
    name = name_of(table, month)
    cursor.execute(
        "SELECT pg_total_relation_size(%s::regclass), "
        "pg_relation_size(%s::regclass) / current_setting('block_size')::int",
        [name, name],
    )
    ((size, pages),) = cursor.fetchall()
    # The same pages each time: two looks at an unchanged month say the same.
    sampled = "" if pages <= PAGES else "TABLESAMPLE SYSTEM (%s) REPEATABLE (1)"
    cursor.execute(
        f"SELECT {owner}, count(*) FROM {name} {sampled} GROUP BY {owner}",
        [100 * PAGES / pages] if sampled else [],
    )
    rows = cursor.fetchall()
    seen = sum(count for _, count in rows)
    return [
        Part(month.begins, key, size * count / seen, counted=not sampled) for key, count in rows
    ]
