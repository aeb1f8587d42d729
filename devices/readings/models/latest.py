"""The newest reading of every metric by its own time, never by arrival."""

from __future__ import annotations

from django.db import models

from devices.access import ScopedQuerySet
from devices.models import Metric
from devices.readings.fields import InstantField
from devices.readings.models.rows import SLOTS, Stream


class LatestRow(models.Model):
    """The newest numbers of a stream, slot by slot: one row to write where a row was written.

    Each slot has a time, entry number and origin of its own: not every message fills all of them.
    The columns of the slots (`v1`, `at1`, `sequence1`, `origin1` …) follow below.
    """

    stream = models.OneToOneField(
        Stream,
        on_delete=models.CASCADE,
        primary_key=True,
        related_name="latest",
        db_constraint=False,
    )
    revised = models.SmallIntegerField(default=0, help_text="One bit for each slot that changed.")

    def __str__(self) -> str:
        """Which stream."""
        return f"Latest of stream {self.stream_id}"


for _slot in range(1, SLOTS + 1):
    LatestRow.add_to_class(f"v{_slot}", models.FloatField(null=True))
    LatestRow.add_to_class(f"at{_slot}", InstantField(null=True))
    LatestRow.add_to_class(f"sequence{_slot}", models.BigIntegerField(null=True))
    LatestRow.add_to_class(f"origin{_slot}", models.SmallIntegerField(null=True))


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
    """The newest reading of a metric, to look at: a view of the two tables above."""

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
