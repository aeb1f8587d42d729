"""What a worker needs to know for its claims: few queries, and none more for more claims.

Rows become objects without Django's own constructor, which takes longer than the query: for what
was just read there is nothing to default, to convert or to announce.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any, TypeVar

from django.db import models
from django.db.models.base import ModelState

from devices.models import (
    Connection,
    Device,
    DeviceType,
    FieldMapping,
    Metric,
    ThingSpeakChannel,
)
from ingestion.claims import Claim
from ingestion.models import Gap, PollState

M = TypeVar("M", bound=models.Model)
Row = TypeVar("Row", PollState, Gap)

# What polls read. Anything else is there as well, at the price of a query of its own.
_READ: dict[type[models.Model], tuple[str, ...]] = {
    PollState: (
        *("source_id", "claim_token", "cursor_at", "cursor_sequence", "cadence_s"),
        *("failures", "misses", "labels"),
    ),
    ThingSpeakChannel: (
        *("id", "source_ptr_id", "device_id", "connection_id", "kind", "interval_s", "priority"),
        *("history_from", "channel_id", "read_key"),
    ),
    Device: ("id", "uuid", "name", "community_id", "type_id"),
    Metric: ("id", "device_id", "name", "label", "unit", "minimum", "maximum"),
}


def load_polls(claims: Sequence[Claim]) -> dict[int, PollState]:
    """The poll states of the claims, with everything that a poll needs to know."""
    return _with_sources(PollState, claims)


def load_gaps(claims: Sequence[Claim]) -> dict[int, Gap]:
    """The gaps of the claims, with everything that a page needs to know."""
    return _with_sources(Gap, claims)


def _with_sources(model: type[Row], claims: Sequence[Claim]) -> dict[int, Row]:
    """Rows by key, each with its source: account, device, type and mappings included.

    What sources share is loaded once. They come as their concrete kind, so that no second query
    asks for it.
    """
    own, channel, device = _names(model), _names(ThingSpeakChannel), _names(Device)
    paths = [*own, *map(_path_to, channel), *(f"source__device__{name}" for name in device)]
    found: dict[int, Row] = {}
    sources: dict[int, ThingSpeakChannel] = {}
    devices: dict[int, Device] = {}
    wanted = model._default_manager.filter(pk__in=[one.pk for one in claims]).order_by()
    for values in wanted.values_list(*paths):
        row = _made(model, own, values)
        source = _made(ThingSpeakChannel, channel, values[len(own) :])
        place = _made(Device, device, values[len(own) + len(channel) :])
        found[row.pk] = row
        source = sources.setdefault(source.id, source)
        _link(row, "source", source)
        _link(source, "device", devices.setdefault(place.id, place))
    types = _by_key(DeviceType, {one.type_id for one in devices.values()})
    accounts = _by_key(Connection, {one.connection_id for one in sources.values()})
    mappings = _mappings(sources)
    for place in devices.values():
        _link(place, "type", types[place.type_id])
    for source in sources.values():
        _link(source, "connection", accounts[source.connection_id])
        _remember(source, "mappings", mappings[source.id])
    return found


def _path_to(name: str) -> str:
    """The way from a row to a column of its source, whose kind has a table of its own."""
    own = {field.attname for field in ThingSpeakChannel._meta.local_concrete_fields}
    return f"source__thingspeakchannel__{name}" if name in own else f"source__{name}"


def _mappings(sources: Collection[int]) -> defaultdict[int, list[FieldMapping]]:
    """Field mappings by source, in their usual order, each with its metric."""
    own, metric = _names(FieldMapping), _names(Metric)
    rows = FieldMapping.objects.filter(source__in=list(sources)).order_by("source", "field")
    found: defaultdict[int, list[FieldMapping]] = defaultdict(list)
    for row in rows.values_list(*own, *(f"metric__{name}" for name in metric)):
        mapping = _made(FieldMapping, own, row)
        _link(mapping, "metric", _made(Metric, metric, row[len(own) :]))
        found[mapping.source_id].append(mapping)
    return found


def _by_key(model: type[M], pks: Iterable[int]) -> dict[int, M]:
    names = _names(model)
    rows = model._default_manager.filter(pk__in=list(pks)).order_by().values_list(*names)
    return {made.pk: made for made in (_made(model, names, row) for row in rows)}


def _names(model: type[models.Model]) -> Sequence[str]:
    return _READ.get(model) or [field.attname for field in model._meta.concrete_fields]


def _made(model: type[M], names: Sequence[str], row: Sequence[Any]) -> M:
    """An object of a row that was read, as `Model.from_db` would make it."""
    made = model.__new__(model)
    made.__dict__.update(zip(names, row, strict=False))
    state = ModelState()
    state.adding, state.db, state.fields_cache = False, "default", {}
    made._state = state
    return made


def _link(one: models.Model, name: str, other: models.Model) -> None:
    """What a foreign key leads to."""
    one._state.fields_cache[name] = other


def _remember(one: models.Model, name: str, related: Sequence[models.Model]) -> None:
    """What `one.name.all()` gives, as prefetching would leave it."""
    found: Any = FieldMapping.objects.all()
    found._result_cache, found._prefetch_done = list(related), True
    one.__dict__.setdefault("_prefetched_objects_cache", {})[name] = found
