"""Writing what a batch of answers taught: a few statements, whatever the number of answers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from simple_history.utils import bulk_update_with_history

from devices.models import FieldMapping, Source
from devices.readings.samples import ReceivedRequest
from devices.readings.store import get_store
from ingestion import recalculation
from ingestion.drift.findings import Findings
from ingestion.drift.rows import WaitingRows, looks_the_same
from ingestion.entries import Entry
from ingestion.models import FieldProfile, MappingPause, Resolution, SourceEvent

LEARNED = [
    "label", "count", "numbers", "words", "texts", "blank", "level", "spread", "step", "learned",
    "suspicion", "updated_at",
]  # fmt: skip
CHANGED = ["kind", "text", "evidence", "until"]


def record(all_findings: Sequence[Findings], now: datetime) -> None:
    """Write the findings of a batch; runs in the transaction that stores its readings."""
    profiles = [row for one in all_findings for row in one.profiles]
    pauses = [row for one in all_findings for row in one.new]
    changed = [row for one in all_findings for row in one.changed]
    events = [row for one in all_findings for row in one.events]
    if profiles:
        FieldProfile.objects.bulk_create(
            profiles,
            update_conflicts=True,
            unique_fields=["source", "field"],
            update_fields=LEARNED,
        )
    if pauses:
        # The mapping may have been deleted, or the lease lost, meanwhile.
        MappingPause.objects.bulk_create(pauses, ignore_conflicts=True)
    for pause in changed:  # somebody may have decided while the poll was under way
        undecided = MappingPause.objects.filter(pk=pause.pk, resolved_at=None)
        undecided.update(**{name: getattr(pause, name) for name in CHANGED})
    if events:
        SourceEvent.objects.bulk_create(events)
    _end(all_findings, now)
    named = [each for one in all_findings for each in one.named]
    if named:
        _name(named)


def _end(all_findings: Sequence[Findings], now: datetime) -> None:
    """End the pauses that nobody has to decide about."""
    for pause in (row for one in all_findings for row in one.passed):
        _pass(pause, "It sends its own kind of values again", now)
    for pause in (row for one in all_findings for row in one.back):
        if looks_the_same(WaitingRows(pause)):
            _pass(pause, "It has its name again, and its values never changed", now)


def _name(named: Sequence[tuple[FieldMapping, str]]) -> None:
    """Let mappings that know no name of their field watch the one that was told.

    Somebody may have corrected a mapping while the poll was under way. One that is being saved
    right now is left to the next poll: who saves it may be waiting for what this poll holds.
    """
    names = {(mapping.pk, mapping.field): name for mapping, name in named}
    nameless = FieldMapping.objects.filter(pk__in=[pk for pk, _ in names], remote_label="")
    locked = nameless.select_for_update(skip_locked=True, no_key=True)
    rows = [row for row in locked if (row.pk, row.field) in names]
    for row in rows:
        row.remote_label = names[row.pk, row.field]
    bulk_update_with_history(
        rows, FieldMapping, ["remote_label"], default_change_reason="The source told its name."
    )


def _pass(pause: MappingPause, why: str, now: datetime) -> None:
    """Store what waits without anybody's decision: there is nothing to decide."""
    undecided = MappingPause.objects.filter(pk=pause.pk, resolved_at=None)
    if undecided.update(resolved_at=now, resolution=Resolution.PASSED):
        text = f"{why}: {pause.mapping.field}."
        recalculation.request(pause.source, pause.since, pause.until, None, text, now)


def released(findings: Findings, source: Source, brought: Sequence[Entry]) -> list[Entry]:
    """Entries held before that are to be stored after all, as they were received.

    Those that the answer brings again are left to it.
    """
    if findings.released is None:
        return []
    identities = {(one.at, one.sequence) for one in brought}
    found = get_store().received(ReceivedRequest(source.pk, since=findings.released))
    return [
        Entry(one.at, one.sequence, one.fields)
        for one in found
        if (one.at, one.sequence) not in identities
    ]
