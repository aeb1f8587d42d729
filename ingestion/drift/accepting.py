"""Accepting a source's present field names all at once."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.models import User

from devices.models import Source
from ingestion.drift.fixes import Decision, Fix, apply
from ingestion.models import MappingPause, PauseKind


def accept_field_names(source: Source, now: datetime, by: User | None = None) -> list[str]:
    """Take the names that the source gives its fields now; returns what changed, in words.

    A mapping whose field is gone is switched off. Names that went to another field are left for
    somebody to look at: the values may have gone with them. What waited is stored.
    """
    fixes = {PauseKind.RENAMED: Fix.ACCEPT_NAME, PauseKind.VANISHED: Fix.SWITCH_OFF}
    pauses = MappingPause.objects.filter(
        source=source, resolved_at=None, until=None, kind__in=fixes
    ).order_by("mapping__field")
    return [
        apply(Decision(fixes[PauseKind(one.kind)], one, by, now))
        for one in pauses
        if pauses.filter(pk=one.pk).exists()  # not settled with another mapping of its field
    ]
