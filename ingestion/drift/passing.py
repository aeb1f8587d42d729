"""Changes of type that pass by themselves: a sensor that said «fail» measures again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from devices.models import DataType
from ingestion.drift import telling
from ingestion.drift.answer import Answer
from ingestion.drift.findings import Findings
from ingestion.drift.stored import to_fingerprint
from ingestion.drift.values import Number, Type, what
from ingestion.models import FieldProfile, PauseKind


def review(answer: Answer, findings: Findings) -> None:
    """End pauses for another type whose field sends its own kind of values again.

    What waits needs no decision: a mapping to numbers or on/off refuses each wrong value itself.
    Texts would take anything, so there the rows between keep waiting.
    """
    if not findings.waiting.pauses:
        return
    profiles = {one.field: one for one in answer.source.field_profiles.all()}
    for pause in findings.waiting.pauses:
        if not pause.holds or pause.kind != PauseKind.TYPE:
            continue
        profile = profiles.get(pause.mapping.field)
        at = next(_own(answer, profile), None) if profile else None
        if at is None:
            continue
        pause.until = at
        if pause.mapping.data_type != DataType.TEXT:
            findings.passed.append(pause)
        findings.changed.append(pause)
        findings.tell(pause, telling.type_back(pause.mapping), answer.now)


def _own(answer: Answer, profile: FieldProfile) -> Iterator[datetime]:
    """Times of new entries whose value is of the kind that the field usually sends."""
    known = to_fingerprint(profile.learned)
    usual = max(Type, key=known.share)
    for entry in answer.entries:
        value = what(entry.fields.get(profile.field))
        kind = Type.NUMBER if isinstance(value, Number) else value
        if kind is usual:
            yield entry.at
