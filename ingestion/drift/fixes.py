"""What somebody can decide about a pause; each is one step: the mapping, the pause, the rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.contrib.auth.models import User
from django.db import transaction

from devices.models import FieldMapping, Source
from devices.phrases import shortened
from ingestion import recalculation
from ingestion.dispatch import poll_now
from ingestion.drift import profiles
from ingestion.drift.conversions import Change
from ingestion.drift.converting import converted
from ingestion.drift.rows import WaitingRows
from ingestion.drift.telling import meaning
from ingestion.models import (
    EventKind,
    FormerField,
    MappingPause,
    PauseKind,
    PollState,
    Resolution,
    SourceEvent,
)
from ingestion.models.mapping_pause import MappingPauseQuerySet


class Fix(StrEnum):
    """What can be done about a change."""

    ACCEPT_NAME = "accept_name"
    FOLLOW = "follow"
    CONVERT = "convert"
    GO_ON = "go_on"
    LEAVE_OUT = "leave_out"
    SWITCH_OFF = "switch_off"


class CannotFix(Exception):
    """The fix does not fit (any more); the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A fix that was chosen: for which pause, by whom, when (aware UTC)."""

    fix: Fix
    pause: MappingPause
    by: User | None
    now: datetime


UNCHANGED = Change(1.0, 0.0, "")
BY_NAME = (PauseKind.RENAMED, PauseKind.MOVED, PauseKind.VANISHED)


def fitting(pause: MappingPause, rows: WaitingRows) -> list[Fix]:
    """The fixes that fit a pause, likeliest first."""
    found = [fix for fix, fits in _FITS.items() if fits(pause, rows)]
    stayed = _values_stayed(pause, rows)
    if pause.until is not None:
        changed = [one for one in found if one in (Fix.CONVERT, Fix.FOLLOW)]
        either = [Fix.GO_ON, *changed] if stayed else [*changed, Fix.GO_ON]
        return [*either, Fix.LEAVE_OUT]
    if stayed:
        found.sort(key=lambda fix: fix is not Fix.ACCEPT_NAME)
    return [*found, Fix.SWITCH_OFF]


def target_of(pause: MappingPause) -> str:
    """The field that has this one's place now; empty when nobody knows."""
    if pause.kind == PauseKind.MOVED:
        moved: str = pause.evidence["moved_to"]
        return moved
    if pause.kind == PauseKind.SWAPPED:
        other: str = pause.evidence["guesses"][0]["other"]
        return other
    return ""


def _values_stayed(pause: MappingPause, rows: WaitingRows) -> bool:
    """Whether the names were exchanged and the values were not."""
    return pause.kind == PauseKind.MOVED and bool(rows.first) and not rows.guesses


_FITS: Mapping[Fix, Callable[[MappingPause, WaitingRows], bool]] = {
    Fix.CONVERT: lambda pause, rows: rows.change is not None,
    Fix.FOLLOW: lambda pause, rows: bool(target_of(pause)),
    Fix.ACCEPT_NAME: lambda pause, rows: pause.kind in BY_NAME and bool(pause.evidence["now"]),
    Fix.GO_ON: lambda pause, rows: pause.kind not in BY_NAME,
}


@transaction.atomic
def apply(decision: Decision) -> str:
    """Carry out a fix, start storing what waits and say what was done, in one sentence.

    Raises CannotFix when somebody has decided already or the fix does not fit.
    """
    locked = _lock(decision.pause)
    chosen = Decision(decision.fix, locked, decision.by, decision.now)
    rows = WaitingRows(locked)
    if decision.fix not in fitting(locked, rows):
        raise CannotFix("This does not fit what changed. Load the page again.")
    done = _APPLY[decision.fix](chosen, rows)
    SourceEvent.objects.create(
        source=locked.source,
        at=decision.now,
        kind=EventKind.SCHEMA_ACCEPTED,
        text=shortened(done),
        by=decision.by,
    )
    poll_now([locked.source_id], decision.now)
    return done


def _lock(pause: MappingPause) -> MappingPause:
    """The pause as it is now, with all others of its source locked too: fixes go one by one."""
    Source.objects.select_for_update(no_key=True, of=("self",)).get(pk=pause.source_id)
    rows = MappingPause.objects.select_related("mapping__metric", "source__device__community")
    locked = rows.filter(pk=pause.pk, resolved_at=None).first()
    if locked is None:
        raise CannotFix("Somebody has decided about this already.")
    return locked


def _accept_name(decision: Decision, rows: WaitingRows) -> str:
    """Of the field: one that feeds a level and a volume is asked about once."""
    field, name = decision.pause.mapping.field, decision.pause.evidence["now"]
    was = decision.pause.mapping.remote_label
    named = _open(decision.pause).filter(mapping__field=field, kind__in=BY_NAME, until=None)
    together = [one for one in named if one.evidence["now"] == name] or [decision.pause]
    for one in together:
        one.mapping.remote_label = name
        one.mapping.save()
    _resolve(decision, together, Resolution.RENAMED)
    earliest = min(together, key=lambda one: one.since)
    _store(decision, earliest, f"The name of {field} was accepted.")
    return f"{field}: the name “{name}” was accepted instead of “{was}”."


def _go_on(decision: Decision, rows: WaitingRows) -> str:
    pause, mapping = decision.pause, decision.pause.mapping
    together = [pause]
    if pause.holds:
        profiles.forget(pause.source, [mapping.field])
        together = list(_open(pause).filter(mapping__field=mapping.field, until=None))
    _resolve(decision, together, Resolution.STORED)
    _store(decision, decision.pause, f"The values of {mapping.field} are right.")
    return f"{mapping.field}: its values are right and are stored as before."


def _leave_out(decision: Decision, rows: WaitingRows) -> str:
    pause = decision.pause
    _resolve(decision, [pause], Resolution.LEFT_OUT)
    until = f"{pause.until:%Y-%m-%d %H:%M:%S}" if pause.until else "now"
    return f"{pause.mapping.field}: its rows until {until} UTC are left out for good."


def _switch_off(decision: Decision, rows: WaitingRows) -> str:
    mapping = decision.pause.mapping
    mapping.enabled = False
    mapping.save()
    _resolve(decision, list(_open(decision.pause).filter(mapping=mapping)), Resolution.SWITCHED_OFF)
    return f"{mapping.field}: its mapping to {mapping.metric.label} was switched off."


def _convert(decision: Decision, rows: WaitingRows) -> str:
    pause, change = decision.pause, rows.change
    if change is None:
        raise CannotFix("The values no longer suggest another unit. Load the page again.")
    since, until = rows.begins(rows.converted(change)), rows.ends(rows.converted(change))
    alike = _open(pause).filter(mapping__field=pause.mapping.field, until=pause.until)
    together = list(alike)
    for one in together:
        _convert_mapping(one.mapping, change, since, until, decision.by)
        if pause.holds and one.kind in BY_NAME and one.evidence["now"]:
            one.mapping.remote_label = one.evidence["now"]
            one.mapping.save()
    if pause.holds:
        profiles.convert(pause.source, pause.mapping.field, change)
    _resolve(decision, together, Resolution.CONVERTED)
    _store(decision, pause, f"The unit of {pause.mapping.field} changed.")
    return f"{pause.mapping.field}: converted {_stretch(since, until)}, {meaning(change)}."


def _convert_mapping(
    mapping: FieldMapping, change: Change, since: datetime, until: datetime | None, by: User | None
) -> None:
    """Have a calibration take the changed numbers, until the unit is what it was again."""
    versions = [converted(mapping, change, since)]
    notes = [f"The unit changed: {meaning(change)}."]
    if until is not None:
        versions.append(converted(mapping, UNCHANGED, until))
        notes.append("The unit is what it was again.")
    for version, note in zip(versions, notes, strict=True):
        if version is None:
            raise CannotFix(
                f"{mapping} has a calibration that cannot be converted by itself. Enter one "
                f"for the new numbers, valid {_stretch(since, until)}, and choose that "
                "the values are right."
            )
        version.note, version.created_by = note[:200], by
        version.save()


def _stretch(since: datetime, until: datetime | None) -> str:
    """A stretch of time, for people."""
    begins = f"from {since:%Y-%m-%d %H:%M:%S} UTC"
    return f"{begins} until {until:%Y-%m-%d %H:%M:%S} UTC" if until else f"{begins} on"


def _follow(decision: Decision, rows: WaitingRows) -> str:
    """Let every mapping of the exchange read the field that has its values now."""
    pause = decision.pause
    moves, told = _moves(pause), []
    other = rows.read_from(target_of(pause))
    since, until = rows.begins(other), rows.ends(other)
    for mapping, target in moves.items():
        field = FormerField.objects.field_at(mapping, since)
        FormerField.objects.get_or_create(
            mapping=mapping, until=since, defaults={"source": pause.source, "field": field}
        )
        told.append(f"{mapping.metric.label} is read from {target} instead of {field}")
        if until is not None:
            FormerField.objects.update_or_create(
                mapping=mapping, until=until,
                defaults={"source": pause.source, "field": target},
            )  # fmt: skip
    if pause.holds:
        _read_from_now_on(pause.source, moves)
    moved = [one for one in _open(pause).filter(until=pause.until) if one.mapping in moves]
    _resolve(decision, moved, Resolution.FOLLOWED)
    _store(decision, pause, "Its fields were exchanged.")
    return f"{'; '.join(told)} {_stretch(since, until)}."


def _read_from_now_on(source: Source, moves: Mapping[FieldMapping, str]) -> None:
    """Fields of mappings, with what is known of their values and the names they have now."""
    labels = PollState.objects.labels_of(source.pk)
    profiles.exchange(source, {mapping.field: target for mapping, target in moves.items()})
    for mapping, target in moves.items():
        mapping.field = target
        if mapping.remote_label:
            mapping.remote_label = labels.get(target, mapping.remote_label)
        mapping.save()


def _moves(pause: MappingPause) -> dict[FieldMapping, str]:
    """Which mapping reads which field then: all whose names or values went round."""
    moved = {
        one.mapping: target
        for one in _open(pause).filter(kind=pause.kind, until=pause.until)
        if (target := target_of(one))
    }
    if pause.kind == PauseKind.SWAPPED:
        ours, theirs = pause.mapping.field, target_of(pause)
        pair = {ours: theirs, theirs: ours}
        mappings = pause.source.mappings.filter(enabled=True, field__in=pair)
        moved = {one: pair[one.field] for one in mappings.select_related("metric")}
    return moved


def _open(pause: MappingPause) -> MappingPauseQuerySet:
    rows = MappingPause.objects.filter(source=pause.source_id, resolved_at=None)
    return rows.select_related("mapping__metric", "mapping__source")


def _resolve(decision: Decision, pauses: Sequence[MappingPause], how: Resolution) -> None:
    MappingPause.objects.filter(pk__in=[one.pk for one in pauses]).update(
        resolved_at=decision.now, resolved_by=decision.by, resolution=how
    )


def _store(decision: Decision, pause: MappingPause, why: str) -> None:
    """Map what waits: everything received since, as it stands now."""
    recalculation.request(pause.source, pause.since, pause.until, decision.by, why, decision.now)


_APPLY: Mapping[Fix, Callable[[Decision, WaitingRows], str]] = {
    Fix.ACCEPT_NAME: _accept_name,
    Fix.FOLLOW: _follow,
    Fix.CONVERT: _convert,
    Fix.GO_ON: _go_on,
    Fix.LEAVE_OUT: _leave_out,
    Fix.SWITCH_OFF: _switch_off,
}
