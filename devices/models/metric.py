"""A metric is one time series of one device: what every caller of the readings store speaks in."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models
from simple_history.models import HistoricalRecords

from devices.access import ScopedQuerySet
from devices.models.device import Device, validate_metric_name


class DataType(models.TextChoices):
    """What a metric's values are."""

    FLOAT = "float", "Number"
    INTEGER = "integer", "Whole number"
    BOOLEAN = "boolean", "On / off"
    TEXT = "text", "Text"


class MetricQuerySet(ScopedQuerySet["Metric"]):
    """Metrics, scoped by community."""

    community_path = "device__community"


class Metric(models.Model):
    """One quantity of one device, with its unit."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="metrics")
    name = models.CharField(
        max_length=60,
        validators=[validate_metric_name],
        help_text="Name with its unit, such as water_level_cm.",
    )
    label = models.CharField(max_length=60, help_text="What people read: “Water level”.")
    unit = models.CharField(max_length=20, blank=True, help_text="cm, °C, kW, L/min, %, …")
    data_type = models.CharField(max_length=8, choices=DataType.choices, default=DataType.FLOAT)
    decimals = models.PositiveSmallIntegerField(
        default=1, validators=[MaxValueValidator(6)], help_text="Digits shown after the point."
    )
    minimum = models.FloatField(
        "smallest valid",
        null=True,
        blank=True,
        help_text="Readings below are refused.",
    )
    maximum = models.FloatField(
        "largest valid",
        null=True,
        blank=True,
        help_text="Readings above are refused.",
    )
    expected_every_s = models.PositiveIntegerField(
        "a reading is expected every (seconds)",
        null=True,
        blank=True,
        help_text="Decides when a value counts as late. Empty: the source's own interval.",
    )
    position = models.PositiveSmallIntegerField(
        default=0, help_text="Order on the dashboard; the first one is the headline."
    )

    objects = MetricQuerySet.as_manager()
    history = HistoricalRecords()

    class Meta:
        ordering = ["device", "position", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["device", "name"], name="metric_name_in_device")
        ]

    def __str__(self) -> str:
        """Label and unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    def clean(self) -> None:
        """Refuse a range that admits nothing."""
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValidationError({"maximum": "The largest value must not be below the smallest."})
