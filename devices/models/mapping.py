"""Which field of a source feeds which metric, and how its text becomes a value."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import models
from simple_history.models import HistoricalRecords

from devices import units
from devices.access import ScopedQuerySet
from devices.models.metric import DataType, Metric
from devices.models.source import Source


class DecimalMark(models.TextChoices):
    """What separates whole from fraction in the text that a device sends."""

    POINT = ".", "Point: 4.8"
    COMMA = ",", "Comma: 4,8"


class FieldMappingQuerySet(ScopedQuerySet["FieldMapping"]):
    """Field mappings, scoped by community."""

    community_path = "source__device__community"


class FieldMapping(models.Model):
    """value = text x scale + offset in `unit`, converted to the metric's unit, range-checked.

    Where one of its `calibrations` governs an entry, that takes the place of scale and offset.
    """

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="mappings")
    field = models.CharField(max_length=100, help_text="The source's field: field1 … field8.")
    metric = models.ForeignKey(Metric, on_delete=models.CASCADE, related_name="mappings")
    data_type = models.CharField(
        "type",
        max_length=8,
        choices=DataType.choices,
        default=DataType.FLOAT,
        help_text="What the field's text is read as.",
    )
    decimal_mark = models.CharField(
        max_length=1,
        choices=DecimalMark.choices,
        default=DecimalMark.POINT,
        help_text="How the device writes fractions.",
    )
    scale = models.FloatField(default=1.0, help_text="The number received is multiplied by this.")
    offset = models.FloatField(default=0.0, help_text="Added after multiplying.")
    unit = models.CharField(
        max_length=20,
        blank=True,
        help_text="Unit of the value as received; converted when the metric's unit differs. "
        "Empty: the metric's unit.",
    )
    minimum = models.FloatField(
        "smallest valid",
        null=True,
        blank=True,
        help_text="In the metric's unit. Empty: the metric's own limit.",
    )
    maximum = models.FloatField(
        "largest valid",
        null=True,
        blank=True,
        help_text="In the metric's unit. Empty: the metric's own limit.",
    )
    remote_label = models.CharField(
        "field's own name",
        max_length=255,
        blank=True,
        help_text="What the source called the field when it was mapped. If the source renames it, "
        "nothing is stored from it until somebody has looked. Empty: the source told none yet.",
    )
    enabled = models.BooleanField(default=True, help_text="Switch off to ignore the field.")

    objects = FieldMappingQuerySet.as_manager()
    history = HistoricalRecords()

    class Meta:
        ordering = ["source", "field"]
        constraints = [
            models.UniqueConstraint(fields=["source", "metric"], name="metric_fed_once_per_source")
        ]

    def __str__(self) -> str:
        """Field and metric."""
        return f"{self.field} → {self.metric}"

    def clean(self) -> None:
        """Refuse units that cannot be converted, a scale of zero and an empty range."""
        if self.scale == 0:
            raise ValidationError(
                {"scale": "A scale of 0 would turn every reading into the offset."}
            )
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValidationError({"maximum": "The largest value must not be below the smallest."})
        if self.metric_id and self.source_id and self.metric.device_id != self.source.device_id:
            raise ValidationError(
                {"metric": "This metric belongs to another device than the channel."}
            )
        if self.metric_id and not self._unit_fits() and not self._always_calibrated():
            raise ValidationError(
                {
                    "unit": f"“{self.unit}” cannot be converted to the metric's unit "
                    f"“{self.metric.unit or 'none'}”."
                }
            )

    def _unit_fits(self) -> bool:
        return not self.unit or units.conversion(self.unit, self.metric.unit) is not None

    def _always_calibrated(self) -> bool:
        """Whether a calibration governs at any time, so that it alone decides about units."""
        return self.pk is not None and self.calibrations.filter(valid_from=None).exists()
