"""How far the tiers have come; see `models.Watermark`."""

# ruff: noqa: S608 - SQL is put together from constants of this package; values are parameters

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from devices.readings.instants import EPOCH
from devices.readings.samples import Sample
from devices.readings.store.base import RowsMoved
from devices.readings.store.engine import Engine, Stored


class Marks(NamedTuple):
    """How far the tiers have come; see `models.Watermark`."""

    closed: datetime
    rolled: datetime
    kept_from: datetime | None
    slots_gone: int | None
    """None: nobody counts yet."""


_MARKS = (
    "SELECT closed, rolled, kept_from, slots_gone, rows_at FROM readings_watermark WHERE id = 1"
)


def marks(engine: Engine) -> Marks:
    """The watermark, or the beginning of time, for whoever changes anything. Raises RowsMoved."""
    return _marks(engine, engine.query(_MARKS))


def held_marks(engine: Engine) -> Marks:
    """The watermark, which nobody moves until the transaction ends. Raises RowsMoved."""
    return _marks(engine, engine.hold_open(_MARKS))


def _marks(engine: Engine, rows: Stored) -> Marks:
    if not rows:
        return Marks(EPOCH, EPOCH, None, None)
    closed, rolled, kept, slots_gone, rows_at = rows[0]
    if rows_at and rows_at != engine.place:
        raise RowsMoved(rows_at, engine.place)
    return Marks(
        engine.moment(closed),
        engine.moment(rolled),
        None if kept is None else engine.moment(kept),
        slots_gone,
    )


def rows_are_in(engine: Engine) -> None:
    """The rows are where this engine has them: whoever has them elsewhere may not write."""
    engine.change(
        "INSERT INTO readings_watermark (id, closed, rolled, rows_at) VALUES (1, %s, %s, %s) "
        "ON CONFLICT (id) DO UPDATE SET rows_at = excluded.rows_at",
        [engine.instant(EPOCH), engine.instant(EPOCH), engine.place],
    )


def divided(
    engine: Engine, mark: Marks, samples: Sequence[Sample]
) -> tuple[list[Sample], Sequence[Sample]]:
    """Samples that their device's store does not take any more, and all others in their order.

    Live samples are newer than any cut: they cost no query.
    """
    kept = mark.kept_from
    if kept is None or all(sample.at >= kept for sample in samples):
        return [], samples
    devices = sorted({sample.device for sample in samples if sample.at < kept})
    wanted, params = engine.relation("k", [("id", "int8")], [[device] for device in devices])
    rows = engine.query(
        f"SELECT f.device_id, f.readings_from FROM {wanted} "
        "JOIN readings_keptfrom f ON f.device_id = k.id WHERE f.readings_from IS NOT NULL",
        params,
    )
    cuts = {device: engine.moment(stored) for device, stored in rows}
    expired: list[Sample] = []
    taken: list[Sample] = []
    for sample in samples:
        cut = cuts.get(sample.device)
        (taken if cut is None or sample.at >= cut else expired).append(sample)
    return expired, taken
