"""Which field a mapping read in earlier times."""

from __future__ import annotations

from datetime import datetime

from django.db import models

from devices.access import ScopedQuerySet
from devices.models import FieldMapping, Source


class FormerFieldQuerySet(ScopedQuerySet["FormerField"]):
    """Former fields, scoped by community."""

    community_path = "source__device__community"

    def field_at(self, mapping: FieldMapping, at: datetime) -> str:
        """The field that a mapping reads for entries of a time (aware UTC)."""
        later = self.filter(mapping=mapping, until__gt=at).order_by("until").first()
        return mapping.field if later is None else later.field


class FormerField(models.Model):
    """Before `until` the mapping read another field: a swap must not rewrite what came before."""

    mapping = models.ForeignKey(
        FieldMapping, on_delete=models.CASCADE, related_name="former_fields"
    )
    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="former_fields")
    field = models.CharField(max_length=100)
    until = models.DateTimeField(help_text="Entries from then on are read from the next field.")

    objects = FormerFieldQuerySet.as_manager()

    class Meta:
        ordering = ["mapping", "until"]
        constraints = [
            models.UniqueConstraint(fields=["mapping", "until"], name="one_field_at_a_time")
        ]

    def __str__(self) -> str:
        """Field and time."""
        return f"{self.field} until {self.until:%Y-%m-%d %H:%M:%S}"
