"""What examining an answer came to, before anything of it is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from devices.models import FieldMapping
from devices.phrases import shortened
from ingestion.drift.waiting import Waiting
from ingestion.models import EventKind, FieldProfile, MappingPause, PauseKind, SourceEvent

EVENTS = {
    PauseKind.RENAMED: EventKind.FIELD_RENAMED,
    PauseKind.MOVED: EventKind.FIELDS_SWAPPED,
    PauseKind.VANISHED: EventKind.FIELD_VANISHED,
    PauseKind.SWAPPED: EventKind.FIELDS_SWAPPED,
    PauseKind.TYPE: EventKind.TYPE_CHANGED,
    PauseKind.UNIT: EventKind.UNIT_JUMPED,
}


@dataclass
class Findings:
    """What came of examining one answer; nothing of it is written yet.

    `passed`: pauses that ended by themselves and whose rows are stored without anybody's decision;
    `named_again`: pauses that end because a field has its name again, and of those
    `back`: the ones whose rows need no decision if their values never changed.
    `named`: mappings that know no name of their field yet, each with the one that the answer tells;
    `released`: from when on entries held before are to be stored after all (aware UTC).
    """

    waiting: Waiting
    new: list[MappingPause] = field(default_factory=list)
    changed: list[MappingPause] = field(default_factory=list)
    events: list[SourceEvent] = field(default_factory=list)
    profiles: list[FieldProfile] = field(default_factory=list)
    passed: list[MappingPause] = field(default_factory=list)
    named_again: list[MappingPause] = field(default_factory=list)
    back: list[MappingPause] = field(default_factory=list)
    named: list[tuple[FieldMapping, str]] = field(default_factory=list)
    released: datetime | None = None

    def tell(self, pause: MappingPause, text: str, at: datetime) -> None:
        """Enter an event about a pause."""
        kind = EVENTS[PauseKind(pause.kind)]
        self.events.append(SourceEvent(source=pause.source, at=at, kind=kind, text=shortened(text)))


def add_pause(pause: MappingPause, findings: Findings) -> None:
    """Enter a pause with its event; two sides of one exchange are one event."""
    other = pause.evidence.get("moved_to") or _other(pause)
    told = {one.evidence.get("moved_to") or _other(one) for one in findings.new}
    findings.new.append(pause)
    if not (other and pause.mapping.field in told):
        findings.tell(pause, pause.text, pause.found_at)


def _other(pause: MappingPause) -> str:
    guesses = pause.evidence.get("guesses") or [{}]
    other: str = guesses[0].get("other", "")
    return other
