"""The newest reading of every metric by its own time, never by arrival."""

from __future__ import annotations

from django.db import models

from devices.access import ScopedQuerySet
from devices.models import Metric
from devices.readings.fields import InstantField
from devices.readings.models.rows import Stream


class LatestRow(models.Model):
    """The newest numbers of a stream: its newest row of each kind, by the slots that it fills.

    Most devices fill the same slots with every message: one row here. Of a slot that is filled by
    several, the newest counts. `filled` has one bit for each slot. Unless it is `exact`, a row of
    the kind that is less than an hour newer need not be here: whoever asks looks among the rows.
    """

    pk = models.CompositePrimaryKey("stream_id", "filled")
    at = InstantField()
    stream = models.ForeignKey(
        Stream, on_delete=models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )
    filled = models.SmallIntegerField()
    origin = models.SmallIntegerField()
    revised = models.SmallIntegerField(default=0, help_text="One bit for each slot that changed.")
    sequence = models.BigIntegerField()
    exact = models.BooleanField(db_default=False)
    v1 = models.FloatField(null=True)
    v2 = models.FloatField(null=True)
    v3 = models.FloatField(null=True)
    v4 = models.FloatField(null=True)
    v5 = models.FloatField(null=True)
    v6 = models.FloatField(null=True)
    v7 = models.FloatField(null=True)
    v8 = models.FloatField(null=True)

    def __str__(self) -> str:
        """Which stream, and when."""
        return f"Latest of stream {self.stream_id}, {self.at}"


class LatestText(models.Model):
    """The newest text or flag of a metric."""

    metric = models.OneToOneField(
        Metric,
        on_delete=models.CASCADE,
        primary_key=True,
        related_name="latest_text",
        db_constraint=False,
    )
    at = InstantField()
    sequence = models.BigIntegerField()
    text = models.TextField(null=True)  # noqa: DJ001 - NULL means: the value is not text
    flag = models.BooleanField(null=True)
    origin = models.SmallIntegerField()
    revised = models.BooleanField(default=False)

    def __str__(self) -> str:
        """The value."""
        return str(self.text if self.flag is None else self.flag)


class LatestQuerySet(ScopedQuerySet["Latest"]):
    """Latest values, scoped by community."""

    community_path = "metric__device__community"


class Latest(models.Model):
    """The newest reading of a metric, to look at: a view of the two tables above and of rows."""

    metric = models.OneToOneField(
        Metric,
        on_delete=models.DO_NOTHING,
        primary_key=True,
        related_name="latest",
        db_constraint=False,
    )
    at = InstantField()
    sequence = models.BigIntegerField()
    number = models.FloatField(null=True)
    text = models.TextField(null=True)  # noqa: DJ001 - NULL means: the value is not text
    flag = models.BooleanField(null=True)
    origin = models.SmallIntegerField()
    revised = models.BooleanField(default=False)

    objects = LatestQuerySet.as_manager()

    class Meta:
        managed = False
        db_table = "readings_latest"
        ordering = ["metric"]
        verbose_name = "latest reading"

    def __str__(self) -> str:
        """The value."""
        return str(next((v for v in (self.number, self.flag) if v is not None), self.text))
