"""Streams, their rows, and what was received.

Foreign keys of the big tables carry no constraint and no index of their own: the primary key
serves both, and a check per row would halve the speed of writing. Rows of a deleted metric go with
it; what a writer adds in that very moment is never found again, because numbers are not reused.
"""

from __future__ import annotations

from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from devices.models import Device, Metric, Source
from devices.readings.fields import InstantField

SLOTS = 8


class Stream(models.Model):
    """A device's row shape: up to eight numeric slots. A device with twenty metrics has three."""

    id = models.AutoField(primary_key=True)  # four bytes: it stands in every row
    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="streams")
    number = models.PositiveSmallIntegerField()
    used = models.PositiveSmallIntegerField(
        default=0,
        help_text="Slots ever given away. A slot is never given twice: its column may hold the "
        "values of a metric that was deleted.",
    )

    class Meta:
        constraints = [
            UniqueConstraint(fields=["device", "number"], name="stream_number_in_device"),
            CheckConstraint(condition=Q(used__lte=SLOTS), name="stream_slots"),
        ]

    def __str__(self) -> str:
        """Device and number."""
        return f"Stream {self.number} of device {self.device_id}"


class Slot(models.Model):
    """Where a numeric metric's values stand: column v<position> of a stream's rows."""

    metric = models.OneToOneField(
        Metric, on_delete=models.CASCADE, primary_key=True, related_name="slot"
    )
    stream = models.ForeignKey(Stream, on_delete=models.CASCADE, related_name="slots")
    position = models.PositiveSmallIntegerField()

    class Meta:
        constraints = [
            UniqueConstraint(fields=["stream", "position"], name="slot_position_in_stream"),
            CheckConstraint(condition=Q(position__gte=1, position__lte=SLOTS), name="slot_exists"),
        ]

    def __str__(self) -> str:
        """Metric and column."""
        return f"v{self.position} of stream {self.stream_id}"


class Row(models.Model):
    """The numbers of one instant: identity (stream, at, sequence); an empty slot is NULL.

    Columns are ordered by size: PostgreSQL then loses no byte to alignment.
    """

    pk = models.CompositePrimaryKey("stream_id", "at", "sequence")
    at = InstantField()
    stream = models.ForeignKey(
        Stream, on_delete=models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )
    origin = models.SmallIntegerField()
    revised = models.SmallIntegerField(default=0, help_text="One bit for each slot that changed.")
    sequence = models.BigIntegerField()
    v1 = models.FloatField(null=True)
    v2 = models.FloatField(null=True)
    v3 = models.FloatField(null=True)
    v4 = models.FloatField(null=True)
    v5 = models.FloatField(null=True)
    v6 = models.FloatField(null=True)
    v7 = models.FloatField(null=True)
    v8 = models.FloatField(null=True)

    def __str__(self) -> str:
        """Identity."""
        return f"{self.stream_id} {self.at} {self.sequence}"


class TextValue(models.Model):
    """A text or on/off value: the sparse side table beside the numeric rows."""

    pk = models.CompositePrimaryKey("metric_id", "at", "sequence")
    at = InstantField()
    metric = models.ForeignKey(
        Metric, on_delete=models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )
    origin = models.SmallIntegerField()
    revised = models.SmallIntegerField(default=0)
    sequence = models.BigIntegerField()
    text = models.TextField(null=True)  # noqa: DJ001 - NULL means: this row holds a flag
    flag = models.BooleanField(null=True)

    def __str__(self) -> str:
        """The value."""
        return str(self.flag) if self.text is None else self.text


class StateRun(models.Model):
    """A text or on/off value for as long as it was all that a metric said: what stays of its
    readings when they are dropped by age. `at` and `until` are those of its first and last one.
    """

    pk = models.CompositePrimaryKey("metric_id", "at", "sequence")
    at = InstantField()
    until = InstantField()
    metric = models.ForeignKey(
        Metric, on_delete=models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )
    sequence = models.BigIntegerField()
    longest_ms = models.BigIntegerField(help_text="The longest time between two neighbours.")
    text = models.TextField(null=True)  # noqa: DJ001 - NULL means: this row holds a flag
    flag = models.BooleanField(null=True)

    def __str__(self) -> str:
        """The value."""
        return str(self.flag) if self.text is None else self.text


class Received(models.Model):
    """One entry as its source sent it; explains numbers and allows to recompute them."""

    pk = models.CompositePrimaryKey("source_id", "at", "sequence")
    at = InstantField()
    source = models.ForeignKey(
        Source, on_delete=models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )
    device = models.ForeignKey(
        Device, on_delete=models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )
    sequence = models.BigIntegerField()
    arrived_at = InstantField(null=True, help_text="When it reached us as it stands.")
    fields = models.TextField(help_text="JSON; a document would be taken apart at every entry.")

    def __str__(self) -> str:
        """Identity."""
        return f"{self.source_id} {self.at} {self.sequence}"
