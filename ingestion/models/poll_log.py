"""What came of every request."""

from __future__ import annotations

from django.db import models

from devices.access import ScopedQuerySet
from devices.models import Source


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
