"""PostgreSQL's monthly partitions: made before a row needs one, and dropped whole.

A new month is made on a connection of its own and committed at once. Inside the writer's
transaction it would hold a lock on the whole table until the end of it, and be gone again if that
transaction is undone. Only months that have not ended are remembered as made: others may be dropped
by another process at any time, so they are looked up, under a lock that keeps them.
"""

# ruff: noqa: S608 - SQL is put together from constants of this package; values are parameters

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from django.db import OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

from devices.readings.keeping import Volume

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


_LAST = Month(9999, 12)
"""No instant comes after it."""


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
        cursor.execute(f"LOCK TABLE ONLY {table} IN ROW EXCLUSIVE MODE")
    missing = unsure - set(existing(table))
    if missing:
        _make(table, sorted(missing))
    _notice(table, sorted(unsure))
    known.update(unsure - ended)


def _notice(table: str, months: Collection[Month]) -> None:
    """Have this connection learn of partitions that another one attached.

    News is read when a lock is taken that was not held, and the table's is held already: a
    prepared INSERT, which looks nothing else up, would find no partition for its rows.
    """
    names = ", ".join(name_of(table, month) for month in months)
    with connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE ONLY {names} IN ROW EXCLUSIVE MODE")


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


def ended(table: str, now: datetime) -> list[Month]:
    """The months with a partition that are over, oldest first.

    One that is not over stays in any case: processes remember that it is there.
    """
    return [month for month in existing(table) if month.following.begins <= now]


def drop(table: str, before: datetime) -> int:
    """Drop the months that end at or before an instant; about how many rows went.

    A lock of a moment for each: who does not get it within PATIENCE_MS lets the others pass and
    tries again. Raises django.db.OperationalError when that was in vain TRIES times.
    """
    rows = 0
    for month in ended(table, min(before, timezone.now())):
        rows += drop_unless_held(table, month, "", ()) or 0
    return rows


def drop_of(
    table: str,
    owner: str,
    until: Mapping[int, datetime | None],
    done: Mapping[int, datetime],
) -> int:
    """See `Engine.drop_of`: a month goes when it is over age for every owner who has a row in it;
    where one keeps longer, the rows of the others go one by one, once.
    """
    rows = 0
    for month in ended(table, timezone.now()):
        ends = month.following.begins
        over_age = {one for one, at in until.items() if at is not None and at >= ends}
        if not over_age:
            continue
        keeping = [one for one in until if one not in over_age]
        dropped = drop_unless_held(table, month, owner, keeping)
        if dropped is None:
            going = [one for one in over_age if one not in done or done[one] < ends]
            dropped = _delete(table, month, owner, sorted(going)) if going else 0
        rows += dropped
    return rows


def _delete(table: str, month: Month, owner: str, owners: Collection[int]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM {name_of(table, month)} WHERE {owner} = ANY(%s)", [list(owners)]
        )
        rows: int = cursor.rowcount
        return rows


def drop_unless_held(table: str, month: Month, owner: str, keeping: Collection[int]) -> int | None:
    """Drop a month in which none of these owners has a row; None when one has.

    Asked again under the lock: a late row may have come meanwhile.
    """
    if _holds(table, month, owner, keeping):
        return None
    rows = _rows_about(name_of(table, month))
    for attempt in range(1, TRIES + 1):
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL lock_timeout = {PATIENCE_MS}")
                cursor.execute(f"LOCK TABLE ONLY {table} IN ACCESS EXCLUSIVE MODE")
                if _holds(table, month, owner, keeping):
                    return None
                cursor.execute(f"DROP TABLE {name_of(table, month)}")
            return rows
        except OperationalError:  # somebody holds the table: let those behind us pass
            if attempt == TRIES:
                raise
    return None


def _holds(table: str, month: Month, owner: str, owners: Collection[int]) -> bool:
    if not owners:
        return False
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM unnest(%s::int8[]) AS k(id) CROSS JOIN LATERAL "
            f"(SELECT 1 FROM {name_of(table, month)} WHERE {owner} = k.id LIMIT 1) AS held)",
            [list(owners)],
        )
        ((held,),) = cursor.fetchall()
        return bool(held)


def volumes(tables: Collection[str]) -> list[Volume]:
    """What the months of these tables take up together, oldest first."""
    rows: Counter[Month] = Counter()
    sizes: Counter[Month] = Counter()
    for table in tables:
        for month in existing(table):
            name = name_of(table, month)
            rows[month] += _rows_about(name)
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_total_relation_size(%s::regclass)", [name])
                ((size,),) = cursor.fetchall()
                sizes[month] += size
    return [
        Volume(month.begins, month.following.begins, rows[month], sizes[month])
        for month in sorted(sizes)
    ]


def _rows_about(name: str) -> int:
    """What the planner believes: counting would read what is about to be thrown away."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples::bigint FROM pg_class WHERE oid = %s::regclass", [name])
        ((rows,),) = cursor.fetchall()
        return max(int(rows), 0)


def name_of(table: str, month: Month) -> str:
    """The partition of a month."""
    return f"{table}_y{month.year:04}m{month.month:02}"


def span_of(month: Month) -> tuple[str, str]:
    """SQL: the first instant of a month and that of the next."""
    return _begin_of(month), _begin_of(month.following)


def _begin_of(month: Month) -> str:
    return f"'{month.begins.date().isoformat()}Z'"


def within(column: str, since: datetime, until: datetime | None) -> str:
    """SQL: AND that an instant lies in the months of [since, until], or in those from `since` on.

    Said in whole months, without parameters: so statements of a month stay the same, and what is
    prepared of one leaves the other months out as well.
    """
    sql = f" AND {column} >= {_begin_of(month_of(since))}"
    if until is None or month_of(until) >= _LAST:
        return sql
    return f"{sql} AND {column} < {_begin_of(month_of(until).following)}"


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
    name, (since, until) = name_of(table, month), span_of(month)
    # One that was made and not attached, because its maker died, is empty.
    cursor.execute(f"DROP TABLE IF EXISTS {name}")
    cursor.execute(f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL)")
    cursor.execute(
        f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ({since}) TO ({until})"
    )
