"""What happened to a source that somebody should be able to look up later."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from devices.access import ScopedQuerySet
from devices.models import Source


class EventKind(models.TextChoices):
    """What can happen to a source. A closed set: lists filter by it."""

    CHANNEL_CLEARED = "channel_cleared", "Channel cleared at the source"
    IDS_FELL = "ids_fell", "Entry numbers fell"
    CLOCK_STANDS = "clock_stands", "Entries repeat one time"
    FIELD_RENAMED = "field_renamed", "Field renamed"
    FIELDS_SWAPPED = "fields_swapped", "Fields swapped"
    FIELD_VANISHED = "field_vanished", "Field gone"
    TYPE_CHANGED = "type_changed", "Values of another type"
    UNIT_JUMPED = "unit_jumped", "Values jumped to another unit"
    SCHEMA_ACCEPTED = "schema_accepted", "Change accepted"
    BACKFILL_REQUESTED = "backfill_requested", "Backfill requested"
    IMPORTED = "imported", "Readings imported"
    RECALCULATED = "recalculated", "Readings recalculated"


class SourceEventQuerySet(ScopedQuerySet["SourceEvent"]):
    """Events, scoped by community."""

    community_path = "source__device__community"


class SourceEvent(models.Model):
    """One thing that happened to a source, in words, and who did it (empty: the site found it)."""

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(help_text="When it was found or done.")
    kind = models.CharField(max_length=20, choices=EventKind.choices)
    text = models.CharField(max_length=500)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )

    objects = SourceEventQuerySet.as_manager()

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [
            models.Index(fields=["source", "-at"], name="events_of_source"),
            models.Index(fields=["-at"], name="events_by_time"),
        ]

    def __str__(self) -> str:
        """What happened."""
        return self.text
