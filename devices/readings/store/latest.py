"""The newest reading of each metric, looked up.

Texts and flags stand where `newest` keeps them. So do numbers, by kind of row; of rows of the kind
that are less than an hour newer, the newest is found in the rows' own index.
"""

# ruff: noqa: S608 - SQL is put together from constants of this package; values are parameters

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from devices.models import DataType
from devices.readings.models import SLOTS
from devices.readings.samples import Reading
from devices.readings.store.engine import Engine
from devices.readings.store.tables import NUMBERS, ORIGIN_OF, ROWS

_NUMERIC = {DataType.FLOAT.value, DataType.INTEGER.value}
CHANGING = ("at", "sequence", "origin", "revised", *NUMBERS)
"""What of a kind's row changes."""
_KIND = " + ".join(
    f"CASE WHEN r.{name} IS NULL THEN 0 ELSE {1 << slot} END" for slot, name in enumerate(NUMBERS)
)
_FOLLOWS = (
    "NOT l.exact AND r.stream_id = l.stream_id AND r.at >= l.at "
    f"AND r.at < {{hour_later}} AND {_KIND} = l.filled"
)
IS_NEWER = "(r.at, r.sequence) > (l.at, l.sequence)"
_NEWEST = ", ".join(f"CASE WHEN {IS_NEWER} THEN r.{name} ELSE l.{name} END" for name in CHANGING)


class Newest(NamedTuple):
    """The newest number of a slot; `at` as the engine has it, `revised` as 0 or another number."""

    at: Any
    sequence: int
    origin: int
    revised: int
    value: float


NewestRow = tuple[Any, ...]
"""(at, sequence, origin, revised, v1 … v8), `revised` with a bit for each slot."""


def following(engine: Engine, since: str = "") -> str:
    """SQL: join, to each kind's row `l`, the newest row `r` of the kind less than an hour after it.

    Where `IS_NEWER` does not say that it is newer, it is the same.
    """
    condition = _FOLLOWS.format(hour_later=engine.hour_after("l.at"))
    return engine.newest_of(ROWS.name, "r", condition + since)


def latest(engine: Engine, metrics: Collection[int]) -> dict[int, Reading]:
    """See `ReadingStore.latest`."""
    wanted, params = engine.relation("k", [("id", "int8")], [[metric] for metric in metrics])
    rows = engine.many(
        "SELECT m.id, m.data_type, s.stream_id, s.position "
        f"FROM {wanted} JOIN devices_metric m ON m.id = k.id "
        "LEFT JOIN readings_slot s ON s.metric_id = m.id",
        params,
    )
    numbers = [row for row in rows if row[1] in _NUMERIC]
    newest = newest_rows(engine, {row[2] for row in numbers} - {None})
    found = {}
    for metric, data_type, stream, position in numbers:
        there = newest_of_slot(newest.get(stream, ()), position)
        if there:
            at, sequence, origin, revised, number = there
            found[metric] = Reading(
                metric,
                engine.moment(at),
                sequence,
                int(number) if data_type == DataType.INTEGER and number.is_integer() else number,
                ORIGIN_OF[origin],
                revised != 0,
            )
    return found | _texts(engine, [row[0] for row in rows if row[1] not in _NUMERIC])


def _texts(engine: Engine, metrics: Sequence[int]) -> dict[int, Reading]:
    if not metrics:
        return {}
    wanted, params = engine.relation("k", [("id", "int8")], [[metric] for metric in metrics])
    rows = engine.many(
        "SELECT t.metric_id, t.at, t.sequence, t.text, t.flag, t.origin, t.revised "
        f"FROM {wanted} JOIN readings_latesttext t ON t.metric_id = k.id "
        "WHERE t.text IS NOT NULL OR t.flag IS NOT NULL",
        params,
    )
    return {
        metric: Reading(
            metric,
            engine.moment(at),
            sequence,
            text if flag is None else bool(flag),
            ORIGIN_OF[origin],
            bool(revised),
        )
        for metric, at, sequence, text, flag, origin, revised in rows
    }


def newest_rows(engine: Engine, streams: Collection[int]) -> dict[int, list[NewestRow]]:
    """The newest row of each kind of streams, the newest first; streams without any are absent."""
    if not streams:
        return {}
    wanted, params = engine.relation("k", [("owner", "int8")], [[one] for one in sorted(streams)])
    kinds = f"{wanted} JOIN readings_latestrow l ON l.stream_id = k.owner"
    since = _since(engine, kinds, params)
    rows = engine.many(
        f"SELECT l.stream_id, {_NEWEST} FROM {kinds} {following(engine, since)}", params
    )
    found: dict[int, list[NewestRow]] = {}
    for stream, *row in rows:
        found.setdefault(stream, []).append(tuple(row))
    for some in found.values():
        if len(some) > 1:
            some.sort(key=itemgetter(0, 1), reverse=True)
    return found


def _since(engine: Engine, kinds: str, params: Sequence[Any]) -> str:
    """SQL: AND that what follows these kinds' rows is no older than all of them.

    To ask for that takes less time than to look into every month.
    """
    if not (engine.transactional and engine.whole_months):
        return ""
    ((since,),) = engine.many(f"SELECT min(l.at) FROM {kinds}", params)
    return "" if since is None else engine.within("r.at", since)


def newest_of_slot(rows: Iterable[NewestRow], position: int) -> Newest | None:
    """The newest number of a slot (1 to 8) in the rows of its stream, the newest first."""
    for row in rows:
        value = row[3 + position]
        if value is not None:
            return Newest(row[0], row[1], row[2], row[3] & (1 << (position - 1)), value)
    return None


def newest_numbers(engine: Engine, streams: Collection[int]) -> dict[int, list[Newest | None]]:
    """What stands as the newest number of each slot of streams; None: nothing."""
    rows = newest_rows(engine, streams)
    return {
        stream: [newest_of_slot(rows.get(stream, ()), slot + 1) for slot in range(SLOTS)]
        for stream in streams
    }
