"""Stretches of time in which nothing is stored through a mapping, because its field changed."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models

from devices.access import ScopedQuerySet
from devices.models import FieldMapping, Source


class PauseKind(models.TextChoices):
    """Why a mapping is paused. A closed set: pages choose their buttons by it."""

    RENAMED = "renamed", "Field renamed"
    MOVED = "moved", "Field's name moved to another field"
    VANISHED = "vanished", "Field gone"
    SWAPPED = "swapped", "Values of two fields exchanged"
    TYPE = "type", "Values of another type"
    UNIT = "unit", "Values jumped to another unit"


class Resolution(models.TextChoices):
    """What somebody decided about the rows that wait."""

    STORED = "stored", "Stored as before"
    RENAMED = "renamed", "New name accepted"
    FOLLOWED = "followed", "Mapping moved to the other field"
    CONVERTED = "converted", "Converted from the new unit"
    SWITCHED_OFF = "switched_off", "Mapping switched off"
    LEFT_OUT = "left_out", "Left out for good"
    PASSED = "passed", "Passed by itself"


class MappingPauseQuerySet(ScopedQuerySet["MappingPause"]):
    """Pauses, scoped by community."""

    community_path = "source__device__community"

    def effective(self) -> MappingPauseQuerySet:
        """Those whose rows are not to be stored: undecided, or left out for good."""
        undecided = models.Q(resolved_at__isnull=True)
        return self.filter(undecided | models.Q(resolution=Resolution.LEFT_OUT))


class MappingPause(models.Model):
    """Entries with `since` <= at < `until` wait instead of being stored through a mapping.

    `until` None: it still holds. With `until` and no decision, the field is what it was again, and
    only the rows between wait for somebody.
    """

    mapping = models.ForeignKey(FieldMapping, on_delete=models.CASCADE, related_name="pauses")
    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="mapping_pauses")
    kind = models.CharField(max_length=10, choices=PauseKind.choices)
    since = models.DateTimeField()
    until = models.DateTimeField(null=True, blank=True)
    found_at = models.DateTimeField()
    text = models.CharField(max_length=500)
    evidence = models.JSONField(default=dict)
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolution = models.CharField(max_length=12, choices=Resolution.choices, blank=True)
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )

    objects = MappingPauseQuerySet.as_manager()

    class Meta:
        verbose_name = "changed field"
        ordering = ["-found_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["mapping"],
                condition=models.Q(resolved_at=None, until=None),
                name="one_pause_at_a_time",
            )
        ]

    def __str__(self) -> str:
        """Why."""
        return self.text

    @property
    def holds(self) -> bool:
        """Whether entries that arrive now wait."""
        return self.resolved_at is None and self.until is None

    @property
    def stretch(self) -> tuple[datetime, datetime | None]:
        """From when until when entries wait."""
        return self.since, self.until

    def governs(self, at: datetime) -> bool:
        """Whether an entry of a time (aware UTC) waits, or waited, because of it."""
        return self.since <= at and (self.until is None or at < self.until)
