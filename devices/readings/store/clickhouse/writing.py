"""Rows found by key and written in versions; who writes holds the rows' devices."""

# ruff: noqa: S608 - SQL is put together from constants of this package; values are numbers

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from devices.readings.instants import to_ms
from devices.readings.store.batch import Rows
from devices.readings.store.clickhouse.literals import listed, relation
from devices.readings.store.clickhouse.native import block
from devices.readings.store.clickhouse.schema import TYPES, VERSION
from devices.readings.store.clickhouse.server import Server
from devices.readings.store.engine import Stored
from devices.readings.store.tables import NUMBERS, ROWS, Key, Record, Table, whole

_NAMES = (*ROWS.columns, VERSION)
_DENSE = 2
_INSTANTS = frozenset({"at", "arrived_at"})


def _ms(at: Any) -> int:
    """Milliseconds of an instant as the books have it."""
    return to_ms(at) if isinstance(at, datetime) else at


class _Milliseconds(dict[Any, int]):
    """The same of a batch: many devices speak at the same instants."""

    def __missing__(self, at: Any) -> int:
        self[at] = found = _ms(at)
        return found


def put(server: Server, table: Table, records: Sequence[Record], versions: Sequence[int]) -> None:
    """Insert records with their versions."""
    known = _Milliseconds()
    columns: list[Sequence[Any]] = list(zip(*records, strict=True))
    for place, name in enumerate(table.columns):
        if name in _INSTANTS:
            columns[place] = [known[at] for at in columns[place]]
    server.insert(table.name, (*table.columns, VERSION), [*columns, versions])


def insert_missing(
    server: Server, table: Table, keys: Sequence[Key], records: Mapping[Key, Record]
) -> dict[Key, Record]:
    """Insert the records that are not there; the stored values of those that are."""
    if isinstance(records, Rows):
        return _insert_rows(server, keys, records)
    known = _known(server, table, keys, server.rows(_near(table, keys)))
    missing = [key for key in keys if key not in known]
    if missing:
        put(server, table, list(whole(records, missing)), [1] * len(missing))
    return known


def _insert_rows(server: Server, keys: Sequence[Key], rows: Rows) -> dict[Key, Record]:
    """Most often none is there: all are made ready while the server looks."""
    with ThreadPoolExecutor(max_workers=1) as beside:
        near = beside.submit(server.rows, _near(ROWS, keys))
        blocks = _blocks(rows, keys)
    known = _known(server, ROWS, keys, near.result())
    if known:
        blocks = _blocks(rows, [key for key in keys if key not in known])
    if blocks:
        server.insert_blocks(ROWS.name, _NAMES, blocks)
    return known


def _blocks(rows: Rows, keys: Sequence[Key]) -> list[bytes]:
    """New rows column by column, those together that are built alike."""
    known, types = _Milliseconds(), TYPES[ROWS.name]
    blocks = []
    for owners, instants, *rest in rows.columns(keys):
        at = list(map(known.__getitem__, instants or ()))
        columns = (owners, at, *rest, [1] * len(at))
        described = [(name, types[name], one) for name, one in zip(_NAMES, columns, strict=True)]
        blocks.append(block(described, len(at)))
    return blocks


def _near(table: Table, keys: Sequence[Key]) -> str:
    """SQL: owners who have anything between the first and the last key. Most have nothing."""
    owners, instants, _ = map(set, zip(*keys, strict=True))
    return (
        f"SELECT DISTINCT {table.key[0]} FROM {table.name} "
        f"WHERE {_among(table.key[0], owners)} "
        f"AND at >= {_ms(min(instants))} AND at <= {_ms(max(instants))}"
    )


def _known(server: Server, table: Table, keys: Sequence[Key], near: Stored) -> dict[Key, Record]:
    """What is stored of the keys, of which only the owners `near` have anything."""
    owners = {owner for (owner,) in near}
    return stored(server, table, [key for key in keys if key[0] in owners]) if owners else {}


def _among(column: str, owners: set[int]) -> str:
    """Rows of these owners, perhaps of some between: thousands of numbers take longer to read."""
    first, last = min(owners), max(owners)
    if last - first < _DENSE * len(owners):
        return f"{column} >= {first} AND {column} <= {last}"
    return f"{column} IN {listed(sorted(owners))}"


def stored(server: Server, table: Table, keys: Sequence[Key]) -> dict[Key, Record]:
    """The stored values of the keys that are there."""
    return {key: row[table.changing : -1] for key, row in _full(server, table, keys).items()}


def rewrite(server: Server, table: Table, records: Sequence[tuple[Key, Record]]) -> None:
    """Write new versions of what is stored, with new values."""
    full = _full(server, table, [key for key, _ in records])
    rows = [(*full[key][: table.changing], *values) for key, values in records]
    put(server, table, rows, [full[key][-1] + 1 for key, _ in records])


def rows_at(
    server: Server, table: Table, keys: Sequence[Key], columns: Sequence[str]
) -> dict[Key, Record]:
    """The columns of the keys that are there, by key as it was asked."""
    if not keys:
        return {}
    known = _Milliseconds()
    asked = {(owner, known[at], sequence): (owner, at, sequence) for owner, at, sequence in keys}
    names = ", ".join(table.key)
    kinds = [(name, TYPES[table.name][name]) for name in table.key]
    wanted = relation("k", kinds, sorted(asked))
    rows = server.rows(
        f"SELECT {names}, {', '.join(columns)} FROM {table.name} FINAL "
        f"WHERE ({names}) IN (SELECT {names} FROM {wanted})"
    )
    return {asked[row[:3]]: row[3:] for row in rows}


def _full(server: Server, table: Table, keys: Sequence[Key]) -> dict[Key, Record]:
    """Whole records with their version, in the keys that were asked."""
    rest = table.columns[3:]
    found = rows_at(server, table, keys, [*rest, VERSION])
    return {key: (*key, *row) for key, row in found.items()}


def clear(server: Server, slots: Iterable[tuple[int, int]]) -> None:
    """Empty slots of what a transaction that was undone has left in them: most often nothing."""
    for stream, position in slots:
        column = NUMBERS[position - 1]
        where = f"FROM {ROWS.name} FINAL WHERE stream_id = {stream} AND {column} IS NOT NULL"
        if not server.rows(f"SELECT 1 {where} LIMIT 1"):
            continue
        columns = (*ROWS.columns, VERSION)
        changed = {
            column: "NULL",
            "revised": f"bitAnd(revised, bitNot(toInt16({1 << (position - 1)})))",
            VERSION: f"{VERSION} + 1",
        }
        chosen = ", ".join(changed.get(name, name) for name in columns)
        server.run(f"INSERT INTO {ROWS.name} ({', '.join(columns)}) SELECT {chosen} {where}")
