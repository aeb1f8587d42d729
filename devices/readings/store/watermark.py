"""How far the tiers have come; see `models.Watermark`."""

# ruff: noqa: S608 - SQL is put together from constants of this package; values are parameters

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from devices.readings.instants import EPOCH
from devices.readings.samples import Sample
from devices.readings.store.engine import Engine


class Marks(NamedTuple):
    """How far the tiers have come; see `models.Watermark`."""

    closed: datetime
    rolled: datetime
    kept_from: datetime | None


def marks(engine: Engine) -> Marks:
    """The watermark, or the beginning of time."""
    rows = engine.query("SELECT closed, rolled, kept_from FROM readings_watermark WHERE id = 1")
    if not rows:
        return Marks(EPOCH, EPOCH, None)
    closed, rolled, kept = rows[0]
    return Marks(
        engine.moment(closed),
        engine.moment(rolled),
        None if kept is None else engine.moment(kept),
    )


def expired(engine: Engine, mark: Marks, samples: Sequence[Sample]) -> list[Sample]:
    """Those of the samples that their device's store does not take any more.

    Live samples are newer than any cut: they cost no query.
    """
    kept = mark.kept_from
    old = [sample for sample in samples if sample.at < kept] if kept is not None else []
    if not old:
        return []
    devices = sorted({sample.device for sample in old})
    wanted, params = engine.relation("k", [("id", "int8")], [[device] for device in devices])
    rows = engine.query(
        f"SELECT f.device_id, f.readings_from FROM {wanted} "
        "JOIN readings_keptfrom f ON f.device_id = k.id WHERE f.readings_from IS NOT NULL",
        params,
    )
    cuts = {device: engine.moment(stored) for device, stored in rows}
    return [one for one in old if one.device in cuts and one.at < cuts[one.device]]
