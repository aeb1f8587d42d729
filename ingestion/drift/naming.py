"""Names of fields: pauses begin when a name changes and end when it is back.

A mapping that knows no name yet takes the first one told, and is watched by it from then on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from devices.models import FieldMapping
from devices.phrases import shortened
from ingestion.drift import telling
from ingestion.drift.answer import INSTANT, Answer
from ingestion.drift.fields import last_number
from ingestion.drift.findings import Findings, add_pause
from ingestion.drift.labels import LabelChange, label_change
from ingestion.gaps import BEGINNING
from ingestion.models import MappingPause, PauseKind

BY_NAME = (PauseKind.RENAMED, PauseKind.MOVED, PauseKind.VANISHED)


def review(answer: Answer, mappings: Sequence[FieldMapping], findings: Findings) -> None:
    """Compare the names of this answer with those the mappings were made for."""
    labels = answer.labels
    if labels is None:
        return
    open_by_name = {
        one.mapping_id: one for one in findings.waiting.pauses if one.holds and one.kind in BY_NAME
    }
    paused = {one.mapping_id for one in findings.waiting.pauses if one.holds}
    for mapping in mappings:
        if not mapping.remote_label and labels.get(mapping.field):
            findings.named.append((mapping, labels[mapping.field]))
        change = _change(mapping, labels)
        known = open_by_name.get(mapping.pk)
        if known is not None:
            _follow(known, change, answer, findings)
        elif change is not None and mapping.pk not in paused:
            add_pause(_pause(mapping, change, answer), findings)


def _change(mapping: FieldMapping, labels: Mapping[str, str]) -> LabelChange | None:
    if not mapping.remote_label:
        return None
    return label_change(mapping.field, mapping.remote_label, labels)


def _pause(mapping: FieldMapping, change: LabelChange, answer: Answer) -> MappingPause:
    """Entries up to the last one seen under the old name are what they were."""
    cursor = answer.state.cursor_at
    return MappingPause(
        mapping=mapping,
        source=answer.source,
        kind=PauseKind(change.fate.value),
        since=BEGINNING if cursor is None else cursor + INSTANT,
        found_at=answer.now,
        text=shortened(telling.name_changed(mapping, change)),
        evidence={**_evidence(mapping, change), "anchor": last_number(mapping.field, answer)},
    )


def _evidence(mapping: FieldMapping, change: LabelChange) -> dict[str, str]:
    return {"was": mapping.remote_label, "now": change.now, "moved_to": change.moved_to}


def _follow(
    pause: MappingPause, change: LabelChange | None, answer: Answer, findings: Findings
) -> None:
    """A name that changes again changes the pause; one that is back ends it.

    So does somebody who has the mapping read another field, whose name it has then.
    Entries of the answer that brings the name back may still have been sent under the other one.
    """
    if change is None:
        newest = answer.entries[-1].at if answer.entries else answer.state.cursor_at
        pause.until = (newest or answer.now) + INSTANT
        if answer.state.cursor_at is not None:
            sure = answer.state.cursor_at + INSTANT
            pause.evidence = {**pause.evidence, "back_after": sure.isoformat()}
        findings.changed.append(pause)
        findings.named_again.append(pause)
        if pause.kind != PauseKind.MOVED:  # then the values may have been another field's
            findings.back.append(pause)
        tell = telling.field_corrected if _corrected(pause) else telling.name_back
        findings.tell(pause, tell(pause.mapping), answer.now)
        return
    evidence = {**pause.evidence, **_evidence(pause.mapping, change)}
    if evidence != pause.evidence:
        pause.kind, pause.evidence = PauseKind(change.fate.value), evidence
        pause.text = shortened(telling.name_changed(pause.mapping, change))
        findings.changed.append(pause)


def _corrected(pause: MappingPause) -> bool:
    """Whether the mapping reads another field than the one that the pause is about."""
    mapping, evidence = pause.mapping, pause.evidence
    return mapping.field == evidence["moved_to"] or bool(mapping.remote_label != evidence["was"])
