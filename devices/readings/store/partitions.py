"""PostgreSQL's monthly partitions: made before a row needs one, and dropped whole.

A new month is made on a connection of its own and committed at once. Inside the writer's
transaction it would hold a lock on the whole table until the end of it, and be gone again if that
transaction is undone. Only months that have not ended are remembered as made: others may be dropped
by another process at any time, so they are looked up, under a lock that keeps them.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime
from typing import NamedTuple

from django.db import OperationalError, connection
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

MAKING_LOCK = 0x7E1E_0003
"""Advisory lock: whoever makes a partition; two of the same month would be an error."""
PATIENCE_MS = 200
"""So long a drop waits for its lock: everybody who comes after it waits as long."""
TRIES = 20
MAKING_PATIENCE_MS = 10_000
"""So long a month waits to be attached; a dropper holds the table for a moment only."""
_NAME = re.compile(r"_y(\d{4})m(\d{2})$")

_known: dict[tuple[str, str], set[Month]] = {}


class Month(NamedTuple):
    """A calendar month in UTC."""

    year: int
    month: int

    @property
    def begins(self) -> datetime:
        """Its first instant."""
        return datetime(self.year, self.month, 1, tzinfo=UTC)

    @property
    def following(self) -> Month:
        """The month after it."""
        return Month(self.year + self.month // 12, self.month % 12 + 1)


def month_of(at: datetime) -> Month:
    """The month that holds an aware instant."""
    utc = at if at.tzinfo is UTC else at.astimezone(UTC)
    return Month(utc.year, utc.month)


def ensure(table: str, months: Collection[Month]) -> None:
    """See to it that rows of these months find their partition until the transaction ends."""
    known = _known.setdefault((str(connection.settings_dict["NAME"]), table), set())
    present = timezone.now()
    ended = {month for month in months if month.following.begins <= present}
    unsure = ended | (set(months) - known)
    if not unsure:
        return
    with connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {table} IN ROW EXCLUSIVE MODE")
    missing = unsure - set(existing(table))
    if missing:
        _make(table, sorted(missing))
    known.update(unsure - ended)


def make_ahead(table: str, now: datetime) -> None:
    """Make this month's and the next two months' partitions before anybody needs them."""
    this = month_of(now)
    missing = {this, this.following, this.following.following} - set(existing(table))
    if missing:
        _make(table, sorted(missing))


def existing(table: str) -> list[Month]:
    """The months that have a partition, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = %s::regclass",
            [table],
        )
        names = [name for (name,) in cursor.fetchall()]
    found = (_NAME.search(name) for name in names)
    return sorted(Month(int(one[1]), int(one[2])) for one in found if one)


def drop(table: str, before: datetime) -> int:
    """Drop the months that end at or before an instant; about how many rows went.

    A month that has not ended stays in any case: processes remember that it is there.
    A lock of a moment for each: who does not get it within PATIENCE_MS lets the others pass and
    tries again. Raises django.db.OperationalError when that was in vain TRIES times.
    """
    rows = 0
    until = min(before, timezone.now())
    for month in existing(table):
        if month.following.begins <= until:
            name = _partition(table, month)
            rows += _rows_about(name)
            _drop(name)
    return rows


def _rows_about(name: str) -> int:
    """What the planner believes: counting would read what is about to be thrown away."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples::bigint FROM pg_class WHERE oid = %s::regclass", [name])
        ((rows,),) = cursor.fetchall()
        return max(int(rows), 0)


def _partition(table: str, month: Month) -> str:
    return f"{table}_y{month.year:04}m{month.month:02}"


def _make(table: str, months: Collection[Month]) -> None:
    """Made apart and attached: that waits for nobody who reads or writes, nor they for it."""
    own = connection.copy()
    try:
        with own.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = {MAKING_PATIENCE_MS}")
            cursor.execute("SELECT pg_advisory_lock(%s)", [MAKING_LOCK])
            there = set(existing(table))  # another process may have been faster
            for month in months:
                if month not in there:
                    _attach(cursor, table, month)
    finally:
        own.close()


def _attach(cursor: CursorWrapper, table: str, month: Month) -> None:
    name = _partition(table, month)
    span = f"FROM ('{month.begins:%Y-%m-%d}Z') TO ('{month.following.begins:%Y-%m-%d}Z')"
    # One that was made and not attached, because its maker died, is empty.
    cursor.execute(f"DROP TABLE IF EXISTS {name}")
    cursor.execute(f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL)")
    cursor.execute(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES {span}")


def _drop(name: str) -> None:
    for attempt in range(1, TRIES + 1):
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"SET lock_timeout = {PATIENCE_MS}")
                cursor.execute(f"DROP TABLE {name}")
            return
        except OperationalError:  # somebody holds the table: let those behind us pass
            if attempt == TRIES:
                raise
        finally:
            with connection.cursor() as cursor:
                cursor.execute("RESET lock_timeout")
