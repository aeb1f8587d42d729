"""Lists for the admin, which cannot show tables whose key has several columns: database views."""

from __future__ import annotations

from django.db import models
from django.db.models import UniqueConstraint

from devices.access import ScopedQuerySet
from devices.models import Metric, Source
from devices.readings.fields import InstantField


class ReceivedEntryQuerySet(ScopedQuerySet["ReceivedEntry"]):
    """Received entries, scoped by community."""

    community_path = "source__device__community"


class ReceivedEntry(models.Model):
    """One entry as received, to look at."""

    id = models.CharField(primary_key=True, max_length=80)
    at = InstantField("entry's own time")
    source = models.ForeignKey(
        Source, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False
    )
    sequence = models.BigIntegerField("entry number")
    fields = models.JSONField("fields as received")

    objects = ReceivedEntryQuerySet.as_manager()

    class Meta:
        managed = False
        db_table = "readings_received_list"
        ordering = ["-at", "source", "-sequence"]
        verbose_name_plural = "received entries"
        # Declared, so that lists need no further order: an index serves this one.
        constraints = [UniqueConstraint(fields=["source", "at", "sequence"], name="received_once")]

    def __str__(self) -> str:
        """Number and time."""
        return f"Entry {self.sequence} of {self.at:%Y-%m-%d %H:%M:%S}"


class RollupEntryQuerySet(ScopedQuerySet["RollupEntry"]):
    """Days and months, scoped by community."""

    community_path = "metric__device__community"


class RollupEntry(models.Model):
    """A day or month of a metric, to look at."""

    id = models.CharField(primary_key=True, max_length=80)
    tier = models.CharField(max_length=5, choices=[("day", "Day"), ("month", "Month")])
    metric = models.ForeignKey(
        Metric, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False
    )
    bucket = InstantField("begins")
    count = models.BigIntegerField("readings")
    minimum = models.FloatField()
    maximum = models.FloatField()
    average = models.FloatField()

    objects = RollupEntryQuerySet.as_manager()

    class Meta:
        managed = False
        db_table = "readings_rollup_list"
        ordering = ["-bucket", "metric", "tier"]
        verbose_name = "day or month"
        verbose_name_plural = "days and months"
        constraints = [UniqueConstraint(fields=["metric", "bucket", "tier"], name="rollup_once")]

    def __str__(self) -> str:
        """Tier and beginning."""
        return f"{self.get_tier_display()} from {self.bucket:%Y-%m-%d %H:%M} UTC"
