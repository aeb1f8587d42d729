"""Imports of exported readings: what is imported, what checking it found, and the file itself."""

from __future__ import annotations

from typing import Any, Self

from django.conf import settings
from django.db import models

from devices.access import ScopedQuerySet
from devices.masking import fit_document
from devices.models import Device, Job


class ReadingImportQuerySet(ScopedQuerySet["ReadingImport"]):
    """Imports, scoped by community."""

    community_path = "device__community"


class ReadingImport(models.Model):
    """One import into a device: checked first (`findings`), then carried out by a job (`job`).

    The file is kept in `ReadingImportPiece`s until the job has ended: web and worker need not
    share a disk. What an import brought stays when the import itself is deleted.
    """

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="reading_imports")
    file_name = models.CharField(max_length=255)
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

    objects = ReadingImportQuerySet.as_manager()

    class Meta:
        verbose_name = "import of readings"
        verbose_name_plural = "imports of readings"
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        """What is imported."""
        return f"“{self.file_name}” into {self.device}"

    @classmethod
    def from_db(cls, *args: Any, **kwargs: Any) -> Self:
        """As stored. Older versions kept damaged titles as they were, which no page can show."""
        imported = super().from_db(*args, **kwargs)
        loaded = imported.__dict__
        loaded |= {
            name: fit_document(loaded[name]) for name in ("options", "findings") if name in loaded
        }
        return imported


class ReadingImportPiece(models.Model):
    """A compressed piece of an uploaded file; all but the last hold equally many bytes."""

    imported = models.ForeignKey(ReadingImport, on_delete=models.CASCADE, related_name="pieces")
    number = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["imported", "number"], name="reading_import_piece_once")
        ]

    def __str__(self) -> str:
        """Which piece."""
        return f"Piece {self.number} of {self.imported_id}"
