"""What becomes of fingerprints when somebody has decided about a change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from devices.models import Source
from ingestion.drift.conversions import Change
from ingestion.drift.stored import from_fingerprint, to_fingerprint
from ingestion.models import FieldProfile


def forget(source: Source, fields: Sequence[str]) -> None:
    """Learn the fields anew: what is usual is not usual any more."""
    FieldProfile.objects.filter(source=source, field__in=fields).delete()


def convert(source: Source, field: str, change: Change) -> None:
    """What was usual, in the new unit: the watch goes on without a break."""
    for profile in FieldProfile.objects.filter(source=source, field=field):
        known = to_fingerprint(profile.learned)
        new = replace(
            known,
            last=None,
            grain=known.grain * abs(change.factor),
            places=tuple(map(change.forth, known.places)),
            steps=tuple(one * abs(change.factor) for one in known.steps),
            step=known.step * abs(change.factor),
        )
        profile.learned, profile.level, profile.spread = (
            from_fingerprint(new),
            new.level,
            new.spread,
        )
        profile.step, profile.suspicion = new.step, None
        profile.save()


def exchange(source: Source, moves: Mapping[str, str]) -> None:
    """Each field's fingerprint goes to the field that has its values now."""
    rows = {one.field: one for one in FieldProfile.objects.filter(source=source)}
    moved = {target: rows[field] for field, target in moves.items() if field in rows}
    FieldProfile.objects.filter(source=source, field__in=[*moves, *moves.values()]).delete()
    for field, profile in moved.items():
        profile.pk, profile.field, profile.suspicion = None, field, None
    FieldProfile.objects.bulk_create(moved.values())
