"""PostgreSQL's months that are over, put into the order in which they are read.

Readings lie on disk as they came, so that a day of one device touches a page for each of them.
Once a month is over, a sorted copy takes its place. Nobody waits for the copying: a trigger notes
which keys change meanwhile, these are copied once more, and the two change places under a lock of a
moment. It is `CLUSTER` without its lock, as pg_repack does it.

The copied rows belong to a younger transaction: who reads a moment of the past (a backup) has to
lock the table before he begins to look.
"""

# ruff: noqa: S608 - SQL is put together from constants of this package; values are parameters

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta

from django.db import OperationalError, connection
from django.db.backends.utils import CursorWrapper

from devices.readings.store.partitions import (
    MAKING_PATIENCE_MS,
    PATIENCE_MS,
    TRIES,
    Month,
    ended,
    name_of,
    span_of,
)
from devices.readings.store.tables import Table

ORDERING_LOCK = 0x7E1E_0004
"""Advisory lock: whoever sorts a month; one at a time does."""
SETTLED = timedelta(days=3)
"""So long after its end a month has most of its late readings."""
SCATTERED = 0.9
"""A month is sorted when the order on disk agrees less than so with that of the owners."""
WORTHWHILE = 10_000
"""Rows; fewer lie on a few pages in any order."""
FEW = 1_000
"""So many noted changes may be carried over under the lock."""


def put_in_order(table: Table, now: datetime) -> Month | None:
    """Sort the oldest month that needs it; which one, None when none does or somebody is at it.

    Raises django.db.OperationalError when the table was never free for a moment: nothing is
    changed then, and what was begun is swept away by the next call.
    """
    months = ended(table.name, now - SETTLED)
    with _alone() as cursor:
        if cursor is None:
            return None
        _sweep(cursor, table)
        for month in months:
            if _is_scattered(cursor, table, month):
                _sort(cursor, table, month)
                return month
    return None


@contextmanager
def _alone() -> Iterator[CursorWrapper | None]:
    """A cursor of a connection of its own, which holds the lock; None when another has it."""
    own = connection.copy()
    try:
        with own.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = {MAKING_PATIENCE_MS}")
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [ORDERING_LOCK])
            ((alone,),) = cursor.fetchall()
            yield cursor if alone else None
    finally:
        own.close()


def _is_scattered(cursor: CursorWrapper, table: Table, month: Month) -> bool:
    """By what the planner knows of the order on disk."""
    name = name_of(table.name, month)
    cursor.execute(
        "SELECT correlation FROM pg_stats WHERE tablename = %s AND attname = %s "
        "AND (SELECT reltuples FROM pg_class WHERE oid = %s::regclass) >= %s",
        [name, table.key[0], name, WORTHWHILE],
    )
    return any(found is not None and abs(found) < SCATTERED for (found,) in cursor.fetchall())


def _sort(cursor: CursorWrapper, table: Table, month: Month) -> None:
    name, key = name_of(table.name, month), ", ".join(table.key)
    copy, changed, note = _names(name)
    cursor.execute(f"CREATE TABLE {changed} AS SELECT {key} FROM {name} WITH NO DATA")
    cursor.execute(_NOTE.format(note=note, changed=changed, **_of_old_and_new(table)))
    cursor.execute(
        f"CREATE TRIGGER {note} AFTER INSERT OR UPDATE OR DELETE ON {name} "
        f"FOR EACH ROW EXECUTE FUNCTION {note}()"
    )
    # Begun after the trigger's lock: whoever wrote before is done, whoever comes is noted.
    cursor.execute(f"CREATE TABLE {copy} (LIKE {table.name} INCLUDING ALL)")
    since, until = span_of(month)
    cursor.execute(
        f"ALTER TABLE {copy} ADD CONSTRAINT {copy}_span CHECK (at >= {since} AND at < {until})"
    )
    cursor.execute(f"INSERT INTO {copy} SELECT * FROM {name} ORDER BY {key}")
    cursor.execute(f"ANALYZE {copy}")
    while _carry_over(cursor, table, month) > FEW:
        pass
    _change_places(cursor, table, month)


def _carry_over(cursor: CursorWrapper, table: Table, month: Month) -> int:
    """Copy once more what was noted; how many rows that were."""
    name, key = name_of(table.name, month), ", ".join(table.key)
    copy, changed, _ = _names(name)
    cursor.execute(
        f"CREATE TEMPORARY TABLE noted AS WITH gone AS (DELETE FROM {changed} RETURNING {key}) "
        f"SELECT DISTINCT {key} FROM gone"
    )
    same = " AND ".join(f"c.{column} = n.{column}" for column in table.key)
    cursor.execute(f"DELETE FROM {copy} c USING noted n WHERE {same}")
    cursor.execute(f"INSERT INTO {copy} SELECT c.* FROM noted n JOIN {name} c ON {same}")
    copied: int = cursor.rowcount
    cursor.execute("DROP TABLE noted")
    return copied


def _change_places(cursor: CursorWrapper, table: Table, month: Month) -> None:
    """Under a lock of a moment; who does not get it lets the others pass and tries again."""
    name = name_of(table.name, month)
    copy, changed, note = _names(name)
    since, until = span_of(month)
    for attempt in range(1, TRIES + 1):
        try:
            with _at_once(cursor):
                cursor.execute(f"SET LOCAL lock_timeout = {PATIENCE_MS}")
                cursor.execute(f"LOCK TABLE ONLY {table.name} IN ACCESS EXCLUSIVE MODE")
                _carry_over(cursor, table, month)
                cursor.execute(f"DROP TABLE {name}")
                cursor.execute(f"ALTER TABLE {copy} RENAME TO {name}")
                cursor.execute(
                    f"ALTER TABLE {table.name} ATTACH PARTITION {name} "
                    f"FOR VALUES FROM ({since}) TO ({until})"
                )
                cursor.execute(f"ALTER TABLE {name} DROP CONSTRAINT {copy}_span")
                cursor.execute(f"DROP TABLE {changed}")
                cursor.execute(f"DROP FUNCTION {note}()")
        except OperationalError:
            if attempt == TRIES:
                raise
            _carry_over(cursor, table, month)
        else:
            return


def _sweep(cursor: CursorWrapper, table: Table) -> None:
    """Away with what somebody left who was killed while he sorted a month."""
    cursor.execute(
        "SELECT substring(relname FROM %s) FROM pg_class WHERE relname ~ %s AND relkind = 'r'",
        [rf"^({table.name}_y\d{{4}}m\d{{2}})_", rf"^{table.name}_y\d{{4}}m\d{{2}}_changed$"],
    )
    for (name,) in cursor.fetchall():
        copy, changed, note = _names(name)
        cursor.execute(f"DROP FUNCTION IF EXISTS {note}() CASCADE")  # and its trigger
        cursor.execute(f"DROP TABLE IF EXISTS {changed}, {copy}")


@contextmanager
def _at_once(cursor: CursorWrapper) -> Iterator[None]:
    """A transaction on a connection that Django does not know by name."""
    cursor.execute("BEGIN")
    try:
        yield
        cursor.execute("COMMIT")
    except BaseException:
        with suppress(OperationalError):
            cursor.execute("ROLLBACK")
        raise


def _names(name: str) -> tuple[str, str, str]:
    """Of the sorted copy, of the table of changed keys, and of the trigger with its function."""
    return f"{name}_sorted", f"{name}_changed", f"{name}_note"


def _of_old_and_new(table: Table) -> dict[str, str]:
    return {each: ", ".join(f"{each}.{column}" for column in table.key) for each in ("old", "new")}


_NOTE = """
CREATE FUNCTION {note}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN INSERT INTO {changed} VALUES ({old}); END IF;
    IF TG_OP <> 'DELETE' THEN INSERT INTO {changed} VALUES ({new}); END IF;
    RETURN NULL;
END $$
"""
