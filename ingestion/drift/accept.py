"""Accepting a source's present field names, after somebody has looked at its mappings."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from devices.models import FieldMapping, Source
from ingestion.dispatch import poll_now
from ingestion.models import PollState


def renamed_fields(source: Source) -> list[tuple[FieldMapping, str]]:
    """Mappings whose field has another name now, each with that name («» when it is gone)."""
    state = PollState.objects.filter(pk=source.pk).first()
    if state is None or state.last_success_at is None:
        return []
    watched = source.mappings.filter(enabled=True).exclude(remote_label="").select_related("metric")
    named = [(mapping, state.labels.get(mapping.field, "")) for mapping in watched]
    return [(mapping, label) for mapping, label in named if label != mapping.remote_label]


@transaction.atomic
def accept_field_names(source: Source, now: datetime) -> list[str]:
    """Take the names the source gives its fields now; returns what changed, in words.

    A mapping whose field is gone is switched off. What arrived while storing was paused is read
    again and stored: the pause becomes a gap.
    """
    changed = []
    for mapping, label in renamed_fields(source):
        if label:
            changed.append(f"{mapping.field}: “{mapping.remote_label}” → “{label}”")
            mapping.remote_label = label
        else:
            changed.append(f"{mapping.field}: gone, its mapping is switched off")
            mapping.enabled = False
        mapping.save()
    if changed:
        poll_now([source.pk], now)
    return changed
