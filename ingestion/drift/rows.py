"""The rows that wait behind a pause, and what they say about the change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
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
from ingestion.models import FieldProfile, FormerField, MappingPause

LOOK = 50
"""So many waiting rows are looked at to say what happened."""

FAR = 10_000
"""So many entries are gone through to find where a change begins or ends."""
A_WHILE = timedelta(hours=1)

Changed = Callable[[Received], float | None]
"""What an entry would have said if nothing had changed; None where it says nothing."""

USUAL = 0.9
"""So many of them are near the one before or where the field had been, if nothing happened."""


@dataclass(frozen=True)
class WaitingRows:
    """The entries that wait behind one pause; loaded when asked for."""

    pause: MappingPause

    @cached_property
    def field(self) -> str:
        """The field whose values wait: the one that the mapping read then."""
        if self.pause.holds:
            return self.pause.mapping.field
        return FormerField.objects.field_at(self.pause.mapping, self.pause.since)

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

    def begins(self, changed: Changed) -> datetime:
        """From which entry on the values fit what changed better than what was (aware UTC)."""
        before = self.anchor
        for entry in self._walk(self.pause.since):
            own, other = self._own(entry), changed(entry)
            if own is None or other is None or before is None:
                continue
            if abs(other - before) < abs(own - before):
                return entry.at
            before = own
        return self.pause.since

    def ends(self, changed: Changed) -> datetime | None:
        """From which entry on they are again what they were (aware UTC); None while they are not.

        Of the answer that brought the old name back, the first entries may still have been sent
        under the other one.
        """
        after = self.pause.evidence.get("back_after")
        if self.pause.until is None or after is None:
            return self.pause.until
        sure = datetime.fromisoformat(after)
        known = [number for one in self._last_before(sure) if (number := changed(one)) is not None]
        before = known[-1] if known else self.anchor
        for entry in self._walk(sure):
            own, other = self._own(entry), changed(entry)
            if own is None or other is None or before is None:
                continue
            if abs(own - before) < abs(other - before):
                return entry.at
            before = other
        return self.pause.until

    def converted(self, change: Change) -> Changed:
        """The number that the field would have said in its old unit."""

        def back(entry: Received) -> float | None:
            own = self._own(entry)
            return None if own is None else change.back(own)

        return back

    @staticmethod
    def read_from(field: str) -> Changed:
        """The number of another field."""
        return lambda entry: _number(entry, field)

    def _own(self, entry: Received) -> float | None:
        return _number(entry, self.field)

    def _walk(self, since: datetime) -> Iterator[Received]:
        """Entries of the pause from a time on, oldest first, not for ever."""
        request = ReceivedRequest(self.pause.source_id, since, self.pause.until, limit=FAR)
        yield from get_store().received(request)

    def _last_before(self, at: datetime) -> Sequence[Received]:
        """Some entries of the pause before a time, oldest first."""
        since = max(self.pause.since, at - A_WHILE)
        return get_store().received(ReceivedRequest(self.pause.source_id, since, at, limit=FAR))

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


def _number(entry: Received, field: str) -> float | None:
    value = what(entry.fields.get(field))
    return value.value if isinstance(value, Number) else None


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
    values = [what(one.fields.get(rows.field)) for one in rows.first]
    numbers = [one for one in values if isinstance(one, Number)]
    usual = 0
    for number in numbers:
        if watch.usual(number):  # what is not must not make its neighbours look so
            watch.accept(number)
            usual += 1
    return bool(numbers) and usual >= USUAL * len(numbers)
