"""Devices and their types. A type is a row, so that a new kind of device needs no code."""

from __future__ import annotations

import uuid

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.urls import reverse
from simple_history.models import HistoricalRecords

from devices.access import ScopedQuerySet
from devices.models.community import Community
from devices.models.priority import Priority

validate_metric_name = RegexValidator(
    r"^[a-z][a-z0-9_]*$",
    "Begin with a small letter and use small letters, digits and underscores only, such as "
    "water_level_cm.",
)


class Picture(models.TextChoices):
    """How a device is drawn on the dashboards."""

    TANK = "tank", "Overhead tank"
    SUMP = "sump", "Sump"
    PUMP = "pump", "Pump"
    FLOW = "flow", "Flow meter"
    BOREWELL = "borewell", "Borewell"
    GRILL = "grill", "Grill"
    COLD_ROOM = "cold_room", "Cold room"
    ENERGY = "energy", "Energy meter"
    GRID = "grid", "Grid region"
    GENERIC = "generic", "Generic sensor"


class DeviceType(models.Model):
    """A kind of device, with what a new device of that kind starts from."""

    name = models.CharField(max_length=60, unique=True)
    slug = models.SlugField(
        max_length=60, unique=True, help_text="Short name for programs, such as “flow-meter”."
    )
    picture = models.CharField(
        max_length=12,
        choices=Picture.choices,
        default=Picture.GENERIC,
        help_text="How such devices are drawn on the dashboards.",
    )
    default_priority = models.PositiveSmallIntegerField(
        choices=Priority.choices,
        default=Priority.NORMAL,
        help_text="Who is asked first when the request budget is short.",
    )
    default_interval_s = models.PositiveIntegerField(
        "default interval (seconds)",
        default=60,
        validators=[MinValueValidator(5), MaxValueValidator(30 * 86_400)],
        help_text="How often a source of such a device is asked, unless the source says otherwise.",
    )

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        """The type's name."""
        return self.name


class DeviceQuerySet(ScopedQuerySet["Device"]):
    """Devices, scoped by community."""

    community_path = "community"


class Device(models.Model):
    """One thing that is measured: a tank, a pump, a cold room."""

    uuid = models.UUIDField("UUID", default=uuid.uuid4, unique=True, editable=False)
    community = models.ForeignKey(Community, on_delete=models.CASCADE, related_name="devices")
    type = models.ForeignKey(DeviceType, on_delete=models.PROTECT, related_name="devices")
    name = models.CharField(
        max_length=100, help_text="What people call it: “School tank”. Unique in its community."
    )
    place = models.CharField(
        max_length=200, blank=True, help_text="Where people find it: “behind the school”."
    )
    latitude = models.DecimalField(
        max_digits=9,
        decimal_places=6,
        null=True,
        blank=True,
        validators=[MinValueValidator(-90), MaxValueValidator(90)],
        help_text="Degrees north, between -90 and 90: for example 12.971599.",
    )
    longitude = models.DecimalField(
        max_digits=9,
        decimal_places=6,
        null=True,
        blank=True,
        validators=[MinValueValidator(-180), MaxValueValidator(180)],
        help_text="Degrees east, between -180 and 180: for example 77.594566.",
    )
    tank_height_cm = models.FloatField(
        "tank height (cm)",
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(100_000)],
        help_text="Water depth when full. Lets the dashboard draw the tank at its level.",
    )
    tank_capacity_l = models.FloatField(
        "tank capacity (litres)",
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="What it holds when full. May stay empty.",
    )
    installed_at = models.DateField("installed on", null=True, blank=True)
    notes = models.TextField(blank=True, help_text="Shown to the community on the device's page.")
    enabled = models.BooleanField(
        default=True,
        help_text="Switch off during maintenance: the device is shown as paused and raises no "
        "alert, and its sources are not asked.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = DeviceQuerySet.as_manager()
    history = HistoricalRecords()

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["community", "name"], name="device_name_in_community")
        ]

    def __str__(self) -> str:
        """The device's name."""
        return self.name

    def get_absolute_url(self) -> str:
        """The device's dashboard."""
        return reverse("device", args=[self.uuid])


class DefaultMetric(models.Model):
    """A metric that devices of a type usually have; proposed when a channel is verified."""

    device_type = models.ForeignKey(
        DeviceType, on_delete=models.CASCADE, related_name="default_metrics"
    )
    name = models.CharField(
        max_length=60,
        validators=[validate_metric_name],
        help_text="Name with its unit, such as water_level_cm.",
    )
    label = models.CharField(max_length=60, help_text="What people read: “Water level”.")
    unit = models.CharField(max_length=20, blank=True, help_text="cm, °C, kW, L/min, %, …")
    minimum = models.FloatField(
        "smallest valid", null=True, blank=True, help_text="Readings below are refused."
    )
    maximum = models.FloatField(
        "largest valid", null=True, blank=True, help_text="Readings above are refused."
    )

    class Meta:
        ordering = ["device_type", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["device_type", "name"], name="default_metric_once_per_type"
            )
        ]

    def __str__(self) -> str:
        """The metric's label."""
        return self.label
