"""The rows that wait behind a pause, and what they say about the change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from devices.readings.samples import Received, ReceivedRequest
from devices.readings.store import get_store
from ingestion.drift.conversions import Change, changes
from ingestion.drift.detect import judge
from ingestion.drift.fingerprint import Fingerprint
from ingestion.drift.sent import unit_before, units_sent
from ingestion.drift.stored import to_fingerprint, to_guess
from ingestion.drift.values import Number, what
from ingestion.drift.watch import LEARNED, Guess, Suspected, Watch
from ingestion.models import FieldProfile, MappingPause

LOOK = 50
"""So many waiting rows are looked at to say what happened."""

USUAL = 0.9
"""So many of them are near the one before or where the field had been, if nothing happened."""


@dataclass(frozen=True)
class WaitingRows:
    """The entries that wait behind one pause; loaded when asked for."""

    pause: MappingPause

    @property
    def field(self) -> str:
        """The field whose values wait."""
        return self.pause.mapping.field

    @property
    def _request(self) -> ReceivedRequest:
        pause = self.pause
        return ReceivedRequest(pause.source_id, pause.since, pause.until, limit=LOOK)

    @cached_property
    def count(self) -> int:
        """How many entries wait."""
        return get_store().received_count(self._request)

    @cached_property
    def first(self) -> Sequence[Received]:
        """The first of them, oldest first."""
        return get_store().received(self._request)

    @cached_property
    def guesses(self) -> tuple[Guess, ...]:
        """What the values themselves suggest, likeliest first."""
        known = self.pause.evidence.get("guesses")
        return tuple(map(to_guess, known)) if known else self._guess()

    @property
    def change(self) -> Change | None:
        """The change of unit that the values suggest, if any."""
        found = (one.change for one in self.guesses if one.of is Suspected.UNIT)
        return next(found, None)

    def begins(self, change: Change) -> datetime:
        """From which entry on the values fit the new unit better than the old one (aware UTC)."""
        before = self.anchor
        for entry in self.first:
            value = what(entry.fields.get(self.field))
            if not isinstance(value, Number) or before is None:
                continue
            if abs(change.back(value.value) - before) < abs(value.value - before):
                return entry.at
            before = value.value
        return self.pause.since

    @property
    def anchor(self) -> float | None:
        """The field's last number before the change."""
        anchor: float | None = self.pause.evidence.get("anchor")
        return anchor

    def _guess(self) -> tuple[Guess, ...]:
        """Judge the waiting rows as if they came now."""
        watches = self._watches()
        own = watches.get(self.field)
        if own is None:
            return ()
        for entry in self.first:
            values = {name: what(entry.fields.get(name)) for name in watches}
            judge(watches, values, entry.at.isoformat(), entry.sequence)
            if own.suspicion is not None and len(own.suspicion.held) > 1:
                return own.suspicion.guesses
        return own.suspicion.guesses if own.suspicion else ()

    def _watches(self) -> dict[str, Watch]:
        """The fields of the source as they were before the change."""
        mapping = self.pause.mapping
        unit = unit_before(units_sent(mapping), self.pause.since)
        lasts = {
            one.mapping.field: one.evidence.get("anchor")
            for one in MappingPause.objects.filter(
                source=self.pause.source_id, resolved_at=None
            ).select_related("mapping")
        }
        return {
            profile.field: _watch(profile, unit if profile.field == mapping.field else "", lasts)
            for profile in FieldProfile.objects.filter(source=self.pause.source_id)
        }


def _watch(profile: FieldProfile, unit: str, lasts: dict[str, float | None]) -> Watch:
    known: Fingerprint = to_fingerprint(profile.learned)
    last = lasts.get(profile.field)
    return Watch(known, changes(unit), known.last if last is None else last, calm=known.calm)


def looks_the_same(rows: WaitingRows) -> bool:
    """Whether the first waiting values are what was usual before; no if too little is known."""
    profile = FieldProfile.objects.filter(source=rows.pause.source_id, field=rows.field).first()
    if profile is None or profile.count < LEARNED:
        return False
    watch = _watch(profile, "", {rows.field: rows.anchor})
    numbers = [what(one.fields.get(rows.field)) for one in rows.first]
    usual = []
    for number in numbers:
        if isinstance(number, Number):
            usual.append(watch.usual(number))
            watch.accept(number)
    return bool(usual) and sum(usual) >= USUAL * len(usual)
