"""A source's fields under watch: profiles, mappings and last numbers put together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from devices.models import FieldMapping, Source
from ingestion.derived import derived
from ingestion.drift.answer import Answer
from ingestion.drift.conversions import changes
from ingestion.drift.fingerprint import Fingerprint, learn
from ingestion.drift.sent import Sent, unit_before, units_sent
from ingestion.drift.stored import from_fingerprint, from_suspicion, to_fingerprint, to_suspicion
from ingestion.drift.values import Number, Type, what
from ingestion.drift.watch import CALM, SLACK, Watch
from ingestion.models import FieldProfile, MappingPause

EAGER = 200
"""Up to so many numbers, every answer is learned from."""
REFRESH = timedelta(minutes=10)
"""Later on a profile is written so often, or when something unusual was seen."""
FURTHEST = 1000.0
"""A hole counts for no more than so many steps."""


@dataclass
class Watched:
    """A field under watch with the mappings it feeds. `paused` ends the watch.

    `held_before`: time of the first entry that earlier answers left waiting.
    """

    field: str
    mappings: Sequence[FieldMapping]
    profile: FieldProfile | None
    watch: Watch
    paused: bool = False

    def __post_init__(self) -> None:
        """Remember how things stood."""
        suspicion = self.watch.suspicion
        self._first = self.watch.last
        self._calm = self.watch.calm
        self.held_before = datetime.fromisoformat(suspicion.held[0].at) if suspicion else None

    def update(self, answer: Answer) -> FieldProfile | None:
        """The profile to be written, if there is something to write."""
        if not self._due(answer.now):
            return None
        start = replace(self.watch.fingerprint, last=self._first)
        known = replace(learn(start, self.watch.learned), calm=self.watch.calm)
        suspicion = self.watch.suspicion
        if suspicion is not None and not suspicion.since:
            suspicion = replace(suspicion, since=answer.now.isoformat())
        labels = answer.labels or {}
        return FieldProfile(
            source=answer.source,
            field=self.field,
            label=labels.get(self.field, "")[:255],
            count=known.count,
            numbers=known.share(Type.NUMBER),
            words=known.share(Type.WORD),
            texts=known.share(Type.TEXT),
            blank=known.blank,
            level=known.level,
            spread=known.spread,
            step=known.step,
            learned=from_fingerprint(known),
            suspicion=from_suspicion(suspicion) if suspicion else None,
            learned_since=self.profile.learned_since if self.profile else answer.now,
            updated_at=answer.now,
        )

    def _due(self, now: datetime) -> bool:
        if self.held_before is not None or self.watch.suspicion is not None:
            return True
        if not self.watch.learned:
            return False
        if self.profile is None or self.profile.count < EAGER:
            return True
        return self.watch.calm != self._calm or now - self.profile.updated_at >= REFRESH


def watch_fields(
    answer: Answer, mappings: Iterable[FieldMapping], past: Sequence[MappingPause]
) -> dict[str, Watched]:
    """The fields that feed these mappings, ready for the answer's new entries.

    `past`: pauses that hold no more; what came under one is nothing to compare with.
    """
    profiles = _profiles(answer.source)
    of_field: dict[str, list[FieldMapping]] = defaultdict(list)
    for mapping in mappings:
        of_field[mapping.field].append(mapping)
    return {
        field: Watched(field, fed, profiles.get(field), _watch(fed[0], answer, past))
        for field, fed in of_field.items()
    }


@derived
def _profiles(source: Source) -> dict[str, FieldProfile]:
    return {one.field: one for one in source.field_profiles.all()}


@derived
def _units(source: Source) -> dict[int, list[Sent]]:
    return {one.pk: units_sent(one) for one in source.mappings.all()}


def _watch(mapping: FieldMapping, answer: Answer, past: Sequence[MappingPause]) -> Watch:
    profile, begun = _profiles(answer.source).get(mapping.field), _just_past(mapping, answer, past)
    known = to_fingerprint(profile.learned) if profile else Fingerprint()
    suspicion = to_suspicion(profile.suspicion) if profile else None
    last = suspicion.anchor if suspicion else _last_own_number(mapping, answer, begun)
    last = known.last if last is None else last
    return Watch(
        fingerprint=known,
        changes=changes(unit_before(_units(answer.source)[mapping.pk], answer.now)),
        last=last,
        apart=_apart(answer, begun.since if begun else answer.state.cursor_at),
        suspicion=suspicion,
        calm=known.calm,
    )


def nothing_unusual(
    answer: Answer, mappings: Iterable[FieldMapping], past: Sequence[MappingPause]
) -> bool:
    """Whether every new value is a small step from the one before it, and nothing is to be learned.

    Almost every poll is like that, and costs a look at a few numbers.
    """
    profiles = _profiles(answer.source)
    of_field = {mapping.field: mapping for mapping in mappings}
    return all(
        _settled(profiles.get(field), answer.now)
        and not _just_past(mapping, answer, past)
        and _small_steps(field, profiles[field], answer)
        for field, mapping in of_field.items()
    )


def _settled(profile: FieldProfile | None, now: datetime) -> bool:
    return (
        profile is not None
        and profile.suspicion is None
        and profile.count >= EAGER
        and profile.learned["calm"] >= CALM
        and now - profile.updated_at < REFRESH
    )


def _small_steps(field: str, profile: FieldProfile, answer: Answer) -> bool:
    """So small that neither a change of unit nor an exchange would be distinct."""
    last, reach = last_number(field, answer), SLACK * profile.step
    for entry in answer.entries:
        raw = entry.fields.get(field)
        if raw is None:
            continue
        value = what(raw)
        if last is None or not isinstance(value, Number) or abs(value.value - last) > reach:
            return False
        last = value.value
    return True


def last_number(field: str, answer: Answer) -> float | None:
    """The newest number that was there before this answer."""
    for entry in reversed(answer.before):
        value = what(entry.fields.get(field))
        if isinstance(value, Number):
            return value.value
    last = answer.state.last_entry
    value = what(last["fields"].get(field)) if last else None
    return value.value if isinstance(value, Number) else None


def _just_past(
    mapping: FieldMapping, answer: Answer, past: Sequence[MappingPause]
) -> MappingPause | None:
    """The pause of a mapping under which the last known entry came."""
    at = answer.state.cursor_at
    for one in past:
        if one.mapping_id == mapping.pk and at is not None and one.governs(at):
            return one
    return None


def _last_own_number(
    mapping: FieldMapping, answer: Answer, past: MappingPause | None
) -> float | None:
    """The field's newest number before this answer, or before what changed and changed back."""
    if past is None:
        return last_number(mapping.field, answer)
    anchor: float | None = past.evidence.get("anchor")
    return anchor


def _apart(answer: Answer, last_at: datetime | None) -> float:
    """How many of the source's usual steps lie between the last own number and this answer."""
    cadence = answer.state.cadence_s
    if not cadence or last_at is None or not answer.entries:
        return 1.0
    elapsed = (answer.entries[0].at - last_at).total_seconds()
    return min(max(elapsed / cadence, 1.0), FURTHEST)
