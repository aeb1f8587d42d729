"""Devices, their types and their metrics."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from devices.admin import skin
from devices.admin.base import ReferenceAdmin, ScopedAdmin, ScopedInline, VisibleOnly, link
from devices.admin.history import VersionedAdmin
from devices.models import DefaultMetric, Device, DeviceType, Metric


class DefaultMetricInline(ScopedInline, skin.TabularInline):
    """What devices of this type usually measure."""

    model = DefaultMetric
    verbose_name_plural = "usual metrics, proposed when a channel is verified"


@admin.register(DeviceType)
class DeviceTypeAdmin(ReferenceAdmin):
    """Kinds of devices: a new kind is a new row."""

    list_display = ["name", "picture", "default_priority", "default_interval_s"]
    list_filter = ["picture", "default_priority"]
    search_fields = ["name", "slug"]
    prepopulated_fields = {"slug": ["name"]}
    inlines = [DefaultMetricInline]


class MetricInline(ScopedInline, skin.TabularInline):
    """What a device measures."""

    model = Metric
    fields = ["position", "name", "label", "unit", "data_type", "decimals", "minimum", "maximum"]


@admin.register(Device)
class DeviceAdmin(VersionedAdmin):
    """Devices with their place, geometry and metrics."""

    list_display = ["name", "community", "type", "place", "enabled", "dashboard"]
    list_filter = [("community", VisibleOnly), "type", "enabled"]
    list_select_related = ["community", "type"]
    search_fields = ["name", "place", "uuid", "community__name"]
    autocomplete_fields = ["community"]
    readonly_fields = ["uuid", "dashboard"]
    inlines = [MetricInline]
    fieldsets = [
        (None, {"fields": ["name", "community", "type", "enabled"]}),
        ("Where it is", {"fields": ["place", ("latitude", "longitude")]}),
        ("Tank", {"fields": [("tank_height_cm", "tank_capacity_l")], "classes": ["tank"]}),
        ("More", {"fields": ["installed_at", "notes", "uuid", "dashboard"]}),
    ]

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        """A new device gets its metrics from its channel; without one, after the first save."""
        return self.inlines if obj else []

    def view_on_site(self, obj: Device) -> str:
        """The device's dashboard."""
        return obj.get_absolute_url()

    @admin.display(description="dashboard")
    def dashboard(self, row: Device) -> SafeString | str:
        """A link to the device's page."""
        return link(row.get_absolute_url(), "Open dashboard") if row.pk else "after saving"


@admin.register(Metric)
class MetricAdmin(ScopedAdmin):
    """All metrics of all devices, to search and correct."""

    list_display = ["label", "name", "device", "community", "unit", "data_type", "valid_range"]
    list_filter = [
        ("device__community", VisibleOnly),
        "data_type",
        ("unit", admin.AllValuesFieldListFilter),
    ]
    list_select_related = ["device__community"]
    search_fields = ["name", "label", "device__name"]
    autocomplete_fields = ["device"]
    fieldsets = [
        (None, {"fields": ["device", "name", "label", ("unit", "decimals"), "data_type"]}),
        ("Valid range", {"fields": [("minimum", "maximum")]}),
        ("Dashboard", {"fields": ["position", "expected_every_s"]}),
    ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """A metric stays with its device: its readings are stored under both."""
        return ["device"] if obj else []

    @admin.display(description="community", ordering="device__community__name")
    def community(self, row: Metric) -> str:
        """The device's community."""
        return row.device.community.name

    @admin.display(description="valid range")
    def valid_range(self, row: Metric) -> str:
        """Smallest and largest valid value."""
        low = "" if row.minimum is None else f"from {row.minimum:g}"
        high = "" if row.maximum is None else f"to {row.maximum:g}"
        return f"{low} {high}".strip() or "any"
