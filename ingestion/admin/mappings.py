"""Which field feeds which metric: on the channel's page, and as a list of all."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from devices.admin import skin
from devices.admin.base import ScopedInline, VisibleOnly
from devices.admin.history import VersionedAdmin
from devices.models import FieldMapping, Metric, Source
from ingestion.models import PollState

FIELDS = tuple(f"field{number}" for number in range(1, 9))


class MappingInline(ScopedInline, skin.TabularInline):
    """A channel's mappings; its own labels and the device's metrics are the choices."""

    model = FieldMapping
    fields = [
        "field", "metric", "data_type", "decimal_mark", "scale", "offset", "unit", "minimum",
        "maximum", "enabled",
    ]  # fmt: skip
    verbose_name_plural = "field mappings: which field feeds which metric"

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        """Mappings of this channel's device only."""
        formset = super().get_formset(request, obj, **kwargs)
        boxes = formset.form.base_fields
        metrics = boxes.get("metric")
        if isinstance(obj, Source) and isinstance(metrics, forms.ModelChoiceField):
            metrics.queryset = Metric.objects.filter(device=obj.device_id)
            for offer in ("add", "change", "delete", "view"):
                setattr(metrics.widget, f"can_{offer}_related", False)
            boxes["field"] = _field_choice(obj)
        return formset


def _field_choice(source: Source) -> forms.ChoiceField:
    """The eight fields, named as the channel names them."""
    labels = PollState.objects.filter(pk=source.pk).values_list("labels", flat=True).first() or {}
    choices = [(name, f"{name} – {labels[name]}" if labels.get(name) else name) for name in FIELDS]
    return forms.ChoiceField(choices=choices, widget=skin.Select())


@admin.register(FieldMapping)
class FieldMappingAdmin(VersionedAdmin):
    """All mappings, to search and correct; new ones are added on their channel's page."""

    list_display = ["field", "source", "metric", "data_type", "scale", "offset", "unit", "enabled"]
    list_filter = [("source__device__community", VisibleOnly), "data_type", "enabled"]
    list_select_related = ["source__device", "metric"]
    search_fields = [
        "source__device__name", "metric__name", "metric__label",
        "=source__thingspeakchannel__channel_id",
    ]  # fmt: skip
    readonly_fields = ["source", "field", "metric"]
    fieldsets = [
        (None, {"fields": ["source", "field", "metric", "enabled"]}),
        (
            "How its text becomes a value",
            {"fields": ["data_type", "decimal_mark", ("scale", "offset"), "unit"]},
        ),
        ("Valid range", {"fields": [("minimum", "maximum")]}),
    ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """A mapping is added on its channel's page."""
        return False
