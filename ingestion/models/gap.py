"""The gap ledger: ranges of a source that we know we have not read."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from devices.access import ScopedQuerySet
from devices.models import Source

PAGE = 8000
"""The most entries that one answer holds [ThingSpeak, «Read data»: results]."""


class GapState(models.TextChoices):
    """Life of a hole in the readings."""

    OPEN = "open", "Open"
    FILLING = "filling", "Being filled"
    FILLED = "filled", "Filled"
    LOST = "lost", "Lost at the source"
    CANCELLED = "cancelled", "Cancelled"


UNREAD = (GapState.OPEN, GapState.FILLING)


class GapReason(models.TextChoices):
    """Why a range is to be read."""

    UNREAD = "unread", "Not read yet"
    NUMBERS = "numbers", "Entry numbers missing"
    CLEARED = "cleared", "Channel was cleared"
    REQUESTED = "requested", "Requested"


class GapQuerySet(ScopedQuerySet["Gap"]):
    """Gaps, scoped by community."""

    community_path = "source__device__community"


class Gap(models.Model):
    """A range of a source's entries that we have not read yet: [since, until], both inclusive.

    Filled newest page first: `until` moves back from `range_until` as pages arrive. `since` 1970
    means «from the beginning».
    """

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="gaps")
    reason = models.CharField(max_length=10, choices=GapReason.choices, default=GapReason.UNREAD)
    since = models.DateTimeField()
    until = models.DateTimeField(help_text="Newest time that is still to be read.")
    range_until = models.DateTimeField(help_text="Where the range ended when it was opened.")
    state = models.CharField(max_length=10, choices=GapState.choices, default=GapState.OPEN)
    found_at = models.DateTimeField()
    next_try_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True, blank=True)
    claim_token = models.PositiveBigIntegerField(default=0)
    entries = models.PositiveIntegerField("entries fetched", default=0)
    expected = models.PositiveBigIntegerField(
        "entries expected",
        null=True,
        blank=True,
        help_text="By the entry numbers that were not read when it was opened; empty when those "
        "say nothing.",
    )
    last_number = models.BigIntegerField(
        null=True, blank=True, help_text="The source's last entry number when it was opened."
    )
    missing = models.PositiveBigIntegerField(
        "numbers lost", default=0, help_text="Entry numbers that the source does not give."
    )
    page_size = models.PositiveIntegerField(
        default=PAGE, help_text="Entries asked for at once: fewer after an answer was too large."
    )
    failures = models.PositiveSmallIntegerField(default=0, help_text="Failed pages in a row.")
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
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
            ),
            # housekeeping: what was closed long ago
            models.Index(fields=["closed_at"], name="gaps_closed"),
            # completeness of a device's days
            models.Index(fields=["source", "-range_until"], name="gaps_of_source"),
        ]

    def __str__(self) -> str:
        """The range."""
        begins = f"{self.since:%Y-%m-%d %H:%M}" if self.since.year > 1970 else "the beginning"
        return f"{begins} – {self.range_until:%Y-%m-%d %H:%M}"

    @property
    def percent(self) -> int:
        """Share that was read, 0 to 100: by entry numbers, else by time."""
        if self.state == GapState.FILLED:
            return 100
        if self.expected:
            return min(100 * self.entries // self.expected, 99)
        whole = (self.range_until - self.since).total_seconds()
        done = (self.range_until - self.until).total_seconds()
        return min(int(100 * done / whole), 99) if whole > 0 else 0
