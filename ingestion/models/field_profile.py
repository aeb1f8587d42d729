"""What a source's field usually says: its fingerprint, and what is suspected of it."""

from __future__ import annotations

from django.db import models

from devices.access import ScopedQuerySet
from devices.models import Source


class FieldProfileQuerySet(ScopedQuerySet["FieldProfile"]):
    """Field profiles, scoped by community."""

    community_path = "source__device__community"


class FieldProfile(models.Model):
    """What was learned of a field's values as received, before scale and conversion.

    Written now and then, not with every poll. `suspicion` holds what waits for a verdict: live
    polls alone write it, everything else learns from backfill too.
    """

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="field_profiles")
    field = models.CharField(max_length=100)
    label = models.CharField(max_length=255, blank=True, help_text="The source's own name for it.")
    count = models.PositiveBigIntegerField(default=0, help_text="Numbers learned from.")
    numbers = models.FloatField("share of numbers", default=0)
    words = models.FloatField("share of on/off words", default=0)
    texts = models.FloatField("share of texts", default=0)
    blank = models.FloatField("share of blanks", default=0)
    level = models.FloatField("middle", default=0, help_text="Median of the numbers as received.")
    spread = models.FloatField(default=0, help_text="Median distance from the middle.")
    step = models.FloatField(default=0, help_text="Median change from one value to the next.")
    learned = models.JSONField(default=dict, help_text="The fingerprint itself.")
    suspicion = models.JSONField(null=True, blank=True)
    learned_since = models.DateTimeField()
    updated_at = models.DateTimeField()

    objects = FieldProfileQuerySet.as_manager()

    class Meta:
        verbose_name = "field fingerprint"
        ordering = ["source", "field"]
        constraints = [
            models.UniqueConstraint(fields=["source", "field"], name="one_profile_per_field")
        ]

    def __str__(self) -> str:
        """Field and source."""
        return f"{self.field} of {self.source}"
