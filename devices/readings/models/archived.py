"""What the archive holds: which files, and which of them hold readings of a metric.

This catalogue is what makes a file part of the archive. It names metrics by reference: readings of
a metric that was deleted stay in their file and are never found again, whoever gets its number.
"""

from __future__ import annotations

from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from devices.models import Metric
from devices.readings.fields import InstantField


class ArchivedFile(models.Model):
    """A file that was written, read back and found equal to the readings that then went."""

    name = models.CharField(max_length=120, unique=True, help_text="Path inside the archive.")
    month = InstantField(help_text="Beginning of the month (UTC) of all its readings.")
    readings = models.BigIntegerField()
    size = models.BigIntegerField(help_text="Bytes.")
    checksum = models.CharField(max_length=64, help_text="SHA-256 of the whole file.")
    written_at = models.DateTimeField()

    class Meta:
        ordering = ["month", "name"]

    def __str__(self) -> str:
        """The name."""
        return self.name


class ArchivedMetric(models.Model):
    """How many readings of a metric a file holds, from the first to the last."""

    metric = models.ForeignKey(Metric, on_delete=models.CASCADE, related_name="+", db_index=False)
    file = models.ForeignKey(ArchivedFile, on_delete=models.CASCADE, related_name="metrics")
    readings = models.BigIntegerField()
    first_at = InstantField()
    last_at = InstantField()

    class Meta:
        # reading: the files of a metric, and deleting it
        constraints = [UniqueConstraint(fields=["metric", "file"], name="archived_metric_in_file")]

    def __str__(self) -> str:
        """Metric and file."""
        return f"{self.metric_id} in {self.file_id}"


class ArchiveState(models.Model):
    """How the last attempt to archive ended: one row. Without a trouble `kind` is empty."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    ran_at = models.DateTimeField()
    kind = models.CharField(max_length=20, blank=True)
    message = models.TextField(blank=True)
    since = models.DateTimeField(null=True, help_text="Since when it has failed.")

    class Meta:
        constraints = [CheckConstraint(condition=Q(id=1), name="archive_state_is_one_row")]

    def __str__(self) -> str:
        """Its trouble, if any."""
        return self.message or "no trouble"
