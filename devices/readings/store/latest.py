"""The newest reading of each metric, looked up.

Texts and flags stand where `newest` keeps them. So do numbers, by kind of row; of rows of the kind
that are less than an hour newer, the newest is found in the rows' own index.
"""

# ruff: noqa: S608 - SQL is put together from constants of this package; values are parameters

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any, NamedTuple

from django.utils import timezone

from devices.models import DataType
from devices.readings.models import SLOTS
from devices.readings.samples import Reading
from devices.readings.store.engine import Engine, Stored
from devices.readings.store.partitions import month_of
from devices.readings.store.tables import NUMBERS, ORIGIN_OF, ROWS

_A_DAY = timedelta(days=1)
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
    lately = _lately(engine)
    rows = _looked_up(engine, streams, lately)
    older = [row for row in rows if lately and row[1] and row[1] < lately]
    if older:
        again = {row[0] for row in older}
        rows = [row for row in rows if row[0] not in again]
        rows += _looked_up(engine, again, min(row[1] for row in older))
    found: dict[int, list[NewestRow]] = {}
    for stream, _, *row in rows:
        found.setdefault(stream, []).append(tuple(row))
    for some in found.values():
        if len(some) > 1:
            some.sort(key=itemgetter(0, 1), reverse=True)
    return found


def _looked_up(engine: Engine, streams: Collection[int], since: datetime | None) -> Stored:
    """(stream, time of what others may follow, *newest row) of each kind of streams.

    What follows is looked for in the months from `since` on: to open them all takes longer.
    """
    wanted, params = engine.relation("k", [("owner", "int8")], [[one] for one in sorted(streams)])
    within = "" if since is None else engine.within("r.at", since)
    return engine.many(
        f"SELECT l.stream_id, CASE WHEN l.exact THEN NULL ELSE l.at END, {_NEWEST} "
        f"FROM {wanted} JOIN readings_latestrow l ON l.stream_id = k.owner "
        f"{following(engine, within)}",
        params,
    )


def _lately(engine: Engine) -> datetime | None:
    """The month in which almost all devices spoke last, where readings lie by months."""
    if not (engine.transactional and engine.whole_months):
        return None
    return month_of(timezone.now() - _A_DAY).begins


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
