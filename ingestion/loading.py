"""What a worker needs to know for its claims, in a number of queries that never grows with them.

Put together by hand from rows, as `Model.from_db` and prefetching would: those cost more than all
the rest of a poll (docs/decisions/0011).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from django.db import models

from devices.models import (
    CalibrationVersion,
    Community,
    Connection,
    Device,
    DeviceType,
    FieldMapping,
    Metric,
    Source,
    ThingSpeakChannel,
)
from ingestion.bulk import read_rows
from ingestion.claims import Claim
from ingestion.keeping import Kept
from ingestion.models import FieldProfile, FormerField, Gap, MappingPause, PollState
from ingestion.process import per_process

M = TypeVar("M", bound=models.Model)

_kept = per_process(Kept)
"""The sources that this process polled last."""

_ALWAYS = datetime.min.replace(tzinfo=UTC)
"""A calibration without a beginning comes after all that have one."""
_WATCH: dict[type[MappingPause | FieldProfile | FormerField], str] = {
    MappingPause: "mapping_pauses",
    FieldProfile: "field_profiles",
    FormerField: "former_fields",
}


def load_polls(claims: Sequence[Claim]) -> dict[int, PollState]:
    """The poll states of the claims, with everything that a poll needs to know."""
    states = _by_key(PollState, (one.pk for one in claims))
    _join(states.values(), "source", _kept().get(states, _made))
    return states


def load_gaps(claims: Sequence[Claim]) -> dict[int, Gap]:
    """The gaps of the claims, with everything that a page needs to know."""
    gaps = _by_key(Gap, (one.pk for one in claims))
    sources = {gap.source_id for gap in gaps.values()}
    _join(gaps.values(), "source", _kept().get(sources, _made))
    return gaps


def _made(pks: Collection[int]) -> dict[int, Source]:
    """Sources as their concrete kind, whose table is joined; what they share is loaded once."""
    sources = _by_key(ThingSpeakChannel, pks)
    rows = sources.values()
    _join(rows, "connection", _by_key(Connection, (one.connection_id for one in rows)))
    devices = _by_key(Device, (one.device_id for one in rows))
    _join(rows, "device", devices)
    places = devices.values()
    _join(places, "type", _by_key(DeviceType, (one.type_id for one in places)))
    _join(places, "community", _by_key(Community, (one.community_id for one in places)))
    _gather(rows, "mappings", _mappings(sources), lambda one: one.source_id)
    _load_watch(sources)
    return dict(sources)


def _mappings(sources: Iterable[int]) -> list[FieldMapping]:
    """The mappings of sources with metric and calibrations, in their usual order."""
    mappings = read_rows(FieldMapping, "source_id", sources)
    mappings.sort(key=lambda one: one.field)
    _join(mappings, "metric", _by_key(Metric, (one.metric_id for one in mappings)))
    versions = read_rows(CalibrationVersion, "mapping_id", (one.pk for one in mappings))
    versions.sort(key=lambda one: one.valid_from or _ALWAYS, reverse=True)
    _gather(mappings, "calibrations", versions, lambda one: one.mapping_id)
    return mappings


def _load_watch(sources: dict[int, ThingSpeakChannel]) -> None:
    """What the watch over changed fields knows of sources (`ingestion.drift.waiting`)."""
    for model, name in _WATCH.items():
        found = read_rows(model, "source_id", sources)
        _gather(sources.values(), name, found, lambda one: one.source_id)


def _by_key(model: type[M], pks: Iterable[int]) -> dict[int, M]:
    key = model._meta.pk.attname
    return {row.pk: row for row in read_rows(model, key, pks)}


def _join(rows: Iterable[models.Model], name: str, others: dict[int, Any]) -> None:
    """What a foreign key leads to."""
    key = f"{name}_id"
    for row in rows:
        row._state.fields_cache[name] = others[row.__dict__[key]]


def _gather(
    rows: Iterable[models.Model], name: str, others: Sequence[M], key: Callable[[M], int]
) -> None:
    """What leads back to rows: what `row.<name>.all()` gives.

    A list: asking it for anything else would be a query for each poll, and is an error.
    """
    groups: dict[int, list[M]] = defaultdict(list)
    for one in others:
        groups[key(one)].append(one)
    for row in rows:
        related = row.__dict__.setdefault("_prefetched_objects_cache", {})
        related[name] = groups.get(row.pk, [])
