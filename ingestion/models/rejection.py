"""What was received and not stored, and why."""

from __future__ import annotations

from django.db import models

from devices.access import ScopedQuerySet
from devices.models import Source


class RejectionQuerySet(ScopedQuerySet["Rejection"]):
    """Rejections, scoped by community."""

    community_path = "source__device__community"


class Rejection(models.Model):
    """A received value or entry that was not stored, and why. Seen again, it adds nothing."""

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="rejections")
    received_at = models.DateTimeField(help_text="When we first received it.")
    entry_at = models.DateTimeField(
        null=True, blank=True, help_text="The entry's own time, if readable."
    )
    sequence = models.BigIntegerField("entry number", null=True, blank=True)
    field = models.CharField(max_length=100, blank=True)
    reason = models.CharField(max_length=30)
    detail = models.CharField(max_length=500)
    raw = models.CharField("as received", max_length=255, blank=True)
    fingerprint = models.CharField(max_length=32, editable=False)

    objects = RejectionQuerySet.as_manager()

    class Meta:
        ordering = ["-received_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["source", "fingerprint"], name="rejection_once_per_source"
            )
        ]
        indexes = [
            models.Index(fields=["source", "-received_at"], name="rejections_of_source"),
            models.Index(fields=["received_at"], name="rejections_prune"),
        ]

    def __str__(self) -> str:
        """Why."""
        return self.detail
