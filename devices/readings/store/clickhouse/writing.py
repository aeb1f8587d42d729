"""Rows found by key and written in versions; who writes holds the rows' devices."""

# ruff: noqa: S608 - SQL is put together from constants of this package; values are numbers

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from devices.readings.instants import to_ms
from devices.readings.store.batch import Placed, columns_of
from devices.readings.store.clickhouse.literals import listed, relation
from devices.readings.store.clickhouse.native import block
from devices.readings.store.clickhouse.schema import TYPES, VERSION
from devices.readings.store.clickhouse.server import Server
from devices.readings.store.tables import NUMBERS, ROWS, Key, Record, Records, Table, whole

_DENSE = 2
_INSTANTS = frozenset({"at", "arrived_at"})


class _Milliseconds(dict[Any, Any]):
    """Instants of a batch, as the books have them: many devices speak at the same ones."""

    def __missing__(self, at: Any) -> Any:
        self[at] = found = to_ms(at) if isinstance(at, datetime) else at
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
    near = _near(server, table, keys)
    known = stored(server, table, [key for key in keys if key[0] in near]) if near else {}
    missing = [key for key in keys if key not in known] if known else keys
    if missing and isinstance(records, Records) and table is ROWS:
        _put_new(server, records, missing)
    elif missing:
        put(server, table, list(whole(records, missing)), [1] * len(missing))
    return known


def _put_new(server: Server, records: Records[Placed], keys: Sequence[Key]) -> None:
    """Insert rows that are not there: column by column, those together that are built alike."""
    known, types = _Milliseconds(), TYPES[ROWS.name]
    names = (*ROWS.columns, VERSION)
    blocks = []
    for owners, instants, *rest in columns_of(records, keys):
        at = [known[one] for one in instants or ()]
        columns = (owners, at, *rest, [1] * len(at))
        described = [(name, types[name], one) for name, one in zip(names, columns, strict=True)]
        blocks.append(block(described, len(at)))
    server.insert_blocks(ROWS.name, names, blocks)


def _near(server: Server, table: Table, keys: Sequence[Key]) -> set[int]:
    """Owners who have anything between the first and the last key: most have nothing."""
    known = _Milliseconds()
    instants = [known[at] for at in {at for _, at, _ in keys}]
    rows = server.rows(
        f"SELECT DISTINCT {table.key[0]} FROM {table.name} "
        f"WHERE {_among(table.key[0], {key[0] for key in keys})} "
        f"AND at >= {min(instants)} AND at <= {max(instants)}"
    )
    return {one for (one,) in rows}


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
