"""When a source is due, who polls it now, how far it was read."""

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
    crowded_until = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Rows dated ahead of the clock crowd answers; not asked for until then.",
    )
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
