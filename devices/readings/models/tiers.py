"""What is kept up to date beside the rows: hours, days, months, and how far."""

from __future__ import annotations

from django.db import models

from devices.models import Device, Metric
from devices.readings.fields import InstantField


class Summary(models.Model):
    """Statistics of one metric in one bucket of a tier; `first` and `last` by (at, sequence)."""

    pk = models.CompositePrimaryKey("metric_id", "bucket")
    bucket = InstantField(help_text="Beginning of the hour (UTC), day or month (community's zone).")
    metric = models.ForeignKey(
        Metric, on_delete=models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )
    count = models.BigIntegerField()
    minimum = models.FloatField()
    maximum = models.FloatField()
    sum = models.FloatField()
    sum_of_squares = models.FloatField()
    first = models.FloatField()
    last = models.FloatField()
    first_at = InstantField()
    last_at = InstantField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        """Bucket and count."""
        return f"{self.bucket}: {self.count}"


class RollupHour(Summary):
    """UTC hours, from readings."""

    class Meta:
        db_table = "readings_rollup_hour"


class RollupDay(Summary):
    """Days in the community's zone, from hours (and readings where an hour crosses midnight)."""

    class Meta:
        db_table = "readings_rollup_day"


class RollupMonth(Summary):
    """Months in the community's zone, from days."""

    class Meta:
        db_table = "readings_rollup_month"


class Watermark(models.Model):
    """How far the tiers have come: one row.

    Writers log what they change before `closed` (LateLog). Every hour before `rolled` is in the
    tiers or in that log. No device has dropped readings of `kept_from` or later (KeptFrom).
    `doubted_since`: since when the server's clock is not believed (believing); null: it is.
    """

    id = models.SmallIntegerField(primary_key=True, default=1)
    closed = InstantField()
    rolled = InstantField()
    kept_from = InstantField(null=True)
    doubted_since = InstantField(null=True)
    slots_gone = models.BigIntegerField(
        db_default=0,
        help_text="Counts slots and newest readings that are gone: whoever remembers any forgets.",
    )
    rows_at = models.CharField(
        max_length=500,
        blank=True,
        db_default="",
        default="",
        help_text="The engine that holds the rows since they were moved; empty: never moved.",
    )

    def __str__(self) -> str:
        """The instant up to which hours are closed."""
        return str(self.closed)


class LateLog(models.Model):
    """A device's hour to roll up (again): appended by writers, drained by the roller."""

    device = models.ForeignKey(
        Device, on_delete=models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )
    hour = InstantField()
    days_only = models.BooleanField(
        default=False, help_text="The hour itself stands; the day moved to another zone."
    )

    class Meta:
        # rolling: next hours to do; reading: hours that the tiers do not hold rightly yet
        indexes = [models.Index(fields=["device", "hour"], name="late_log_of_device")]

    def __str__(self) -> str:
        """The hour."""
        return f"{self.device_id} {self.hour}"


class DayZone(models.Model):
    """The zone in which a device's days and months were rolled up."""

    device = models.OneToOneField(
        Device, on_delete=models.CASCADE, primary_key=True, related_name="+", db_constraint=False
    )
    zone = models.CharField(max_length=64)

    def __str__(self) -> str:
        """The zone."""
        return self.zone
