"""Rejections that no longer hold: what was refused then and is stored now is no rejection."""

from __future__ import annotations

from collections.abc import Sequence

from devices.models import Source
from devices.readings.samples import Received
from ingestion.entries import Refusal
from ingestion.models import Rejection
from ingestion.normalise import FieldRule


def withdraw(
    source: Source,
    rules: Sequence[FieldRule],
    page: Sequence[Received],
    refusals: Sequence[Refusal],
) -> int:
    """Delete rejections of single values of the page that are not refused (so) any more."""
    entries = {(one.at, one.sequence) for one in page}
    still = {(one.at, one.sequence, one.field, one.reason, one.raw) for one in refusals}
    known = Rejection.objects.filter(
        source=source,
        entry_at__range=(page[0].at, page[-1].at),
        field__in={rule.field for rule in rules},
    )
    obsolete = [
        row.pk
        for row in known
        if (row.entry_at, row.sequence) in entries
        and (row.entry_at, row.sequence, row.field, row.reason, row.raw) not in still
    ]
    Rejection.objects.filter(pk__in=obsolete).delete()
    return len(obsolete)
