"""The gap ledger: ranges of a source that we know we have not read."""

from __future__ import annotations

from django.db import models

from devices.access import ScopedQuerySet
from devices.models import Source


class GapState(models.TextChoices):
    """Life of a hole in the readings."""

    OPEN = "open", "Open"
    FILLING = "filling", "Being filled"
    FILLED = "filled", "Filled"
    LOST = "lost", "Lost at the source"


class GapQuerySet(ScopedQuerySet["Gap"]):
    """Gaps, scoped by community."""

    community_path = "source__device__community"


class Gap(models.Model):
    """A range of a source's entries that we have not read yet: [since, until], both inclusive.

    Filled newest page first: `until` moves back as pages arrive.
    """

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="gaps")
    since = models.DateTimeField()
    until = models.DateTimeField()
    state = models.CharField(max_length=10, choices=GapState.choices, default=GapState.OPEN)
    found_at = models.DateTimeField()
    next_try_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True, blank=True)
    claim_token = models.PositiveBigIntegerField(default=0)
    entries = models.PositiveIntegerField("entries fetched", default=0)
    closed_at = models.DateTimeField(null=True, blank=True)
    message = models.CharField(max_length=500, blank=True)

    objects = GapQuerySet.as_manager()

    class Meta:
        ordering = ["-found_at", "-pk"]
        indexes = [
            models.Index(
                fields=["next_try_at"],
                condition=models.Q(state__in=["open", "filling"]),
                name="gaps_to_fill",
            )
        ]

    def __str__(self) -> str:
        """The range."""
        return f"{self.since:%Y-%m-%d %H:%M} – {self.until:%Y-%m-%d %H:%M}"
