"""A second mapping of a field that another mapping reads already: it takes over what that went
through, so that at every time the two read the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

from devices import units
from devices.models import CalibrationVersion, FieldMapping
from ingestion.drift.conversions import Change
from ingestion.drift.converting import copied
from ingestion.drift.sent import Sent
from ingestion.models import FormerField, MappingPause


def share_past(first: FieldMapping, second: FieldMapping) -> None:
    """Have the second mapping, just stored, read every field that the first one ever read.

    What waits for a decision about the first, or was left out of it for good, is held back too.
    """
    former, pauses = list(first.former_fields.all()), list(first.pauses.effective())
    rows: list[FormerField | MappingPause] = [*former, *pauses]
    for one in rows:
        one.pk, one.mapping = None, second
    FormerField.objects.bulk_create(former)
    MappingPause.objects.bulk_create(pauses)


def in_former_units(
    tank: CalibrationVersion, sent: Sequence[Sent]
) -> list[CalibrationVersion] | None:
    """Copies of a tank's calibration, unsaved, for the numbers that came before the unit changed.

    The tank itself takes the newest numbers. None when it cannot take the older ones.
    """
    found = []
    for one in sent[:-1]:
        conversion = units.conversion(sent[-1].unit, one.unit)
        if conversion is None:
            return None
        new = CalibrationVersion(valid_from=one.since, note=tank.note)
        former = copied(new, tank, Change(*conversion, one.unit))
        if former is None:
            return None
        found.append(former)
    return found
