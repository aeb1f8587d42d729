"""Sources kept by a worker for as long as their rows stay what they are.

Whatever people change is in force at the next poll, so nothing is kept by the clock: one statement
asks for the version of every row that belongs to the claimed sources, and sources whose rows have
the versions of before are as before. Making them anew took a third of a poll
(docs/decisions/0025).

No poll changes what is kept. Of a secret it holds what the row holds: the ciphertext.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import cache
from typing import Any

from django.db import connection, models

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
from ingestion.bulk import one_of, rows_of
from ingestion.derived import mark_kept
from ingestion.models import FieldProfile, FormerField, MappingPause

MOST = 5_000
"""So many sources are kept by a process, those that were polled last: 22 kB each with three fields,
most of it fingerprints."""

_ROWS: dict[str, type[models.Model]] = {
    "source": Source,
    "channel": ThingSpeakChannel,
    "account": Connection,
    "device": Device,
    "kind": DeviceType,
    "place": Community,
    "mapping": FieldMapping,
    "metric": Metric,
    "calibration": CalibrationVersion,
    "pause": MappingPause,
    "profile": FieldProfile,
    "former": FormerField,
}
"""Whose rows belong to a source, by the names that they have below."""

_VERSIONS = """
SELECT source.id, {source}, {channel}, {account}, {device}, {kind}, {place},
    (SELECT {gathered}({mapping} || {metric}, '') FROM devices_fieldmapping AS mapping
        JOIN devices_metric AS metric ON metric.id = mapping.metric_id
        WHERE mapping.source_id = source.id),
    (SELECT {gathered}({calibration}, '') FROM devices_calibrationversion AS calibration
        JOIN devices_fieldmapping AS mapping ON mapping.id = calibration.mapping_id
        WHERE mapping.source_id = source.id),
    (SELECT {gathered}({pause}, '') FROM ingestion_mappingpause AS pause
        WHERE pause.source_id = source.id),
    (SELECT {gathered}({profile}, '') FROM ingestion_fieldprofile AS profile
        WHERE profile.source_id = source.id),
    (SELECT {gathered}({former}, '') FROM ingestion_formerfield AS former
        WHERE former.source_id = source.id)
FROM devices_source AS source
JOIN devices_thingspeakchannel AS channel ON channel.source_ptr_id = source.id
JOIN devices_connection AS account ON account.id = source.connection_id
JOIN devices_device AS device ON device.id = source.device_id
JOIN devices_devicetype AS kind ON kind.id = device.type_id
JOIN devices_community AS place ON place.id = device.community_id
WHERE source.id {one_of}
"""


class Kept:
    """The sources that were polled last, each with the versions of the rows it was made from."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        # In the order of their last use. One that is being looked up is not in here meanwhile.
        self._sources: dict[int, tuple[Any, Source]] = {}

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._sources)

    def get(
        self, pks: Iterable[int], load: Callable[[Collection[int]], dict[int, Source]]
    ) -> dict[int, Source]:
        """The sources as they are now; `load` makes those that are new here or have changed."""
        # The versions first: what changes before the rows are read is made once more next time.
        versions = {row[0]: row for row in rows_of(_statement(connection.vendor), pks)}
        known = {pk: self._sources.pop(pk, None) for pk in versions}
        found = {pk: one[1] for pk, one in known.items() if one and one[0] == versions[pk]}
        for pk, source in load(versions.keys() - found.keys()).items():
            mark_kept(source)
            found[pk] = source
        self._sources.update((pk, (versions[pk], source)) for pk, source in found.items())
        for pk in list(self._sources)[: max(len(self._sources) - self._most, 0)]:
            self._sources.pop(pk, None)
        return found


@cache
def _statement(vendor: str) -> str:
    """The versions of all rows that belong to sources: for each source a few short texts."""
    version, gathered = {
        "postgresql": (_place, "string_agg"),
        "sqlite": (_values, "group_concat"),
    }[vendor]
    versions = {name: version(name, model) for name, model in _ROWS.items()}
    return _VERSIONS.format(gathered=gathered, one_of=one_of(vendor), **versions)


def _place(name: str, _: type[models.Model]) -> str:
    """Where PostgreSQL keeps the row and who wrote it: every change makes a new one."""
    return f"{name}.ctid::text || {name}.xmin::text"


def _values(name: str, model: type[models.Model]) -> str:
    """All values of the row, as SQLite has no such thing."""
    return " || ',' || ".join(f"quote({name}.{one.column})" for one in model._meta.local_fields)
