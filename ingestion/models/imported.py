"""Imports of whole channels: what is imported, what checking it found, and the file itself."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from devices.access import ScopedQuerySet
from devices.models import Job, Source


class ImportWay(models.TextChoices):
    """Where the entries come from."""

    CSV = "csv", "CSV file"
    API = "api", "API of the provider"


class ImportQuerySet(ScopedQuerySet["Import"]):
    """Imports, scoped by community."""

    community_path = "source__device__community"


class Import(models.Model):
    """One import into a source: checked first (`findings`), then carried out by a job (`job`).

    The file is kept in `ImportChunk`s until the job has ended: web and worker need not share a
    disk. What an import brought stays when the import itself is deleted.
    """

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="imports")
    way = models.CharField(max_length=4, choices=ImportWay.choices)
    file_name = models.CharField(max_length=255, blank=True)
    size = models.PositiveBigIntegerField(default=0, help_text="Bytes of the file.")
    complete = models.BooleanField(default=False, help_text="Whether all of the file arrived.")
    options = models.JSONField(default=dict, blank=True, help_text="What was chosen for the file.")
    findings = models.JSONField(
        default=dict, blank=True, help_text="What the last check found; empty before it."
    )
    check_job = models.ForeignKey(
        Job, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    job = models.ForeignKey(Job, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    objects = ImportQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        """What is imported."""
        what = f"“{self.file_name}”" if self.file_name else "All history"
        return f"{what} into {self.source.device}"


class ImportChunk(models.Model):
    """A compressed piece of an uploaded file; all but the last hold equally many bytes."""

    imported = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="chunks")
    number = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["imported", "number"], name="import_chunk_once")
        ]

    def __str__(self) -> str:
        """Which piece."""
        return f"Piece {self.number} of {self.imported_id}"
