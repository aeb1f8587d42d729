"""When a source is due, who polls it now, how far it was read."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import models

from devices.access import ScopedQuerySet
from devices.models import Connection, Source

# The class of a poll that somebody asked for, in front of all others.
BY_HAND = -1


class PollStateQuerySet(ScopedQuerySet["PollState"]):
    """Poll states, scoped by community."""

    community_path = "source__device__community"

    def labels_of(self, source: int) -> Mapping[str, str]:
        """The names that a source last told of its fields; none if it was never asked."""
        labels: Mapping[str, str] | None
        labels = self.filter(pk=source).values_list("labels", flat=True).first()
        return labels or {}


class PollState(models.Model):
    """When a source is due, who polls it now, and how far its entries were read.

    Rows are made and kept in step with the configuration by `ingestion.enrolment`.

    A claim is a lease with a fencing token (`claim_token`) and leaves `next_poll_at` alone: a
    crashed worker loses nothing, and a late one is refused.
    """

    source = models.OneToOneField(
        Source, on_delete=models.CASCADE, primary_key=True, related_name="poll_state"
    )
    next_poll_at = models.DateTimeField()
    urgency = models.SmallIntegerField(
        default=2,
        help_text="The priority class it is claimed in; raised while its device is in alert, and "
        "until its next poll when somebody asked for one.",
    )
    raised = models.BooleanField(default=False, help_text="Its device is in alert.")
    connection = models.ForeignKey(
        Connection,
        on_delete=models.CASCADE,
        related_name="+",
        db_index=False,
        help_text="The source's connection, repeated here for the claim (ingestion.enrolment).",
    )
    active = models.BooleanField(
        default=True,
        help_text="Whether source and device are switched on, repeated here for the claim.",
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
        null=True, blank=True, help_text="Seconds between the source's entries, as observed."
    )
    spread_s = models.FloatField(
        default=0.0, help_text="Mean deviation from that in seconds: how regular it is."
    )
    phase_trust = models.FloatField(
        default=1.0, help_text="How well the time of its next entry was foretold, 0 to 1."
    )
    unheard = models.PositiveIntegerField(
        default=0, help_text="Polls in a row that expected an entry and found none."
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
            # claiming.candidates: the due rows of an account, class by class, longest due first
            models.Index(
                fields=["connection", "urgency", "next_poll_at", "source"],
                condition=models.Q(active=True),
                name="poll_claim",
            ),
            # enrolment.lower: sources whose device may be well again
            models.Index(fields=["source"], condition=models.Q(raised=True), name="poll_raised"),
        ]

    def __str__(self) -> str:
        """Whose state this is."""
        return f"Polling of {self.source}"
