"""Hot state of ingestion, kept apart from what people edit: saving a form never overwrites it."""

from __future__ import annotations

from django.db import models

from devices.access import ScopedQuerySet
from devices.models import Source


class PollStateQuerySet(ScopedQuerySet["PollState"]):
    """Poll states, scoped by community."""

    community_path = "source__device__community"


class PollState(models.Model):
    """When a source is due, who polls it now, and how far its entries were read.

    A claim is a lease with a fencing token (`claim_token`) and leaves `next_poll_at` alone: a
    crashed worker loses nothing, and a late one is refused.
    """

    source = models.OneToOneField(
        Source, on_delete=models.CASCADE, primary_key=True, related_name="poll_state"
    )
    next_poll_at = models.DateTimeField()
    claim_order = models.DateTimeField(
        help_text="next_poll_at plus the slack of the priority class: priority with ageing."
    )
    lease_until = models.DateTimeField(null=True, blank=True)
    claim_token = models.PositiveBigIntegerField(default=0)
    cursor_at = models.DateTimeField(
        null=True, blank=True, help_text="Time of the newest entry read from the source."
    )
    cursor_sequence = models.BigIntegerField(null=True, blank=True)
    cadence_s = models.FloatField(
        null=True, blank=True, help_text="Median seconds between the source's entries, as observed."
    )
    misses = models.PositiveIntegerField(
        default=0, help_text="Polls in a row without a reading that was due."
    )
    failures = models.PositiveIntegerField(default=0, help_text="Failed polls in a row.")
    last_polled_at = models.DateTimeField(null=True, blank=True)
    last_success_at = models.DateTimeField(null=True, blank=True)
    last_outcome = models.CharField(max_length=20, blank=True)
    last_message = models.CharField(max_length=500, blank=True)
    remote_name = models.CharField(max_length=255, blank=True)
    labels = models.JSONField(
        default=dict, blank=True, help_text="The source's own names of its fields, as last seen."
    )
    last_entry = models.JSONField(
        null=True, blank=True, help_text="The newest entry as received, for comparison."
    )

    objects = PollStateQuerySet.as_manager()

    class Meta:
        indexes = [
            # dispatch.claim: due rows in claim order
            models.Index(fields=["claim_order"], name="poll_claim_order"),
            models.Index(fields=["next_poll_at"], name="poll_due"),
        ]

    def __str__(self) -> str:
        """Whose state this is."""
        return f"Polling of {self.source}"


class Lane(models.TextChoices):
    """Why a request was made."""

    LIVE = "live", "Live poll"
    BACKFILL = "backfill", "Backfill"


class PollLogQuerySet(ScopedQuerySet["PollLog"]):
    """Poll log, scoped by community."""

    community_path = "source__device__community"


class PollLog(models.Model):
    """One poll: what came of it and how long it took. Answers «why did nothing arrive?»."""

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="poll_log")
    at = models.DateTimeField(help_text="When the poll began.")
    lane = models.CharField(max_length=10, choices=Lane.choices)
    outcome = models.CharField(max_length=20)
    status = models.PositiveSmallIntegerField(
        "HTTP status", null=True, blank=True, help_text="Empty when no answer came."
    )
    duration_ms = models.FloatField()
    entries = models.PositiveIntegerField(default=0)
    readings = models.PositiveIntegerField("new readings", default=0)
    refused = models.PositiveIntegerField("new rejections", default=0)
    message = models.CharField(max_length=500, blank=True)

    objects = PollLogQuerySet.as_manager()

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [
            models.Index(fields=["source", "-at"], name="poll_log_of_source"),
            models.Index(fields=["at"], name="poll_log_prune"),
        ]

    def __str__(self) -> str:
        """Outcome and time."""
        return f"{self.outcome} at {self.at:%Y-%m-%d %H:%M:%S}"


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
