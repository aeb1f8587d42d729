"""Which field feeds which metric: on the channel's page, and as a list of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from devices import units
from devices.admin import skin
from devices.admin.base import ScopedInline, VisibleOnly, link
from devices.admin.history import VersionedAdmin
from devices.models import FieldMapping, Metric, Source
from devices.models.calibration import LITRES
from ingestion.admin.recompute import Recomputes, stale_notices
from ingestion.models import PollState

if TYPE_CHECKING:
    _Form = forms.ModelForm[FieldMapping]
else:
    _Form = forms.ModelForm

FIELDS = tuple(f"field{number}" for number in range(1, 9))


class CalibrationColumn:
    """How a mapping is calibrated now, and the way to change it."""

    @admin.display(description="calibration")
    def calibration(self, row: FieldMapping) -> SafeString | str:
        """The newest calibration and where to make another one."""
        if row._state.adding:
            return "after saving"
        page = reverse("admin:devices_calibrationversion_add")
        links = [link(f"{page}?of={row.pk}", "Calibrate…")]
        versions = list(row.calibrations.all())
        if versions:
            newest = reverse("admin:devices_calibrationversion_change", args=[versions[0].pk])
            links.insert(0, link(newest, str(versions[0])))
        if _measures_depth(row):
            links.append(link(f"{page}?of={row.pk}&volume=1", "Also compute volume…"))
        items = format_html_join("", "<span>{}</span>", ((one,) for one in links))
        return format_html('<span class="calibrate-links">{}</span>', items)


def _measures_depth(row: FieldMapping) -> bool:
    """Whether the metric is a length whose field feeds no volume yet."""
    if units.conversion("cm", row.metric.unit) is None:
        return False
    siblings = FieldMapping.objects.filter(source=row.source_id, field=row.field)
    found = siblings.values_list("metric__unit", flat=True)
    return not any(units.conversion(LITRES, unit) for unit in found)


class MappingForm(_Form):
    """A mapping on its channel's page."""

    def save(self, commit: bool = True) -> FieldMapping:
        """Save it; one that reads another field than before is watched by that field's name.

        Else the name stays: a renamed field waits for a decision about its name.
        """
        mapping = self.instance
        if mapping._state.adding or "field" in self.changed_data:
            labels = PollState.objects.labels_of(mapping.source_id)
            mapping.remote_label = labels.get(mapping.field, "")
        return super().save(commit)


class MappingInline(CalibrationColumn, ScopedInline, skin.TabularInline):
    """A channel's mappings; its own labels and the device's metrics are the choices."""

    model = FieldMapping
    form = MappingForm
    fields = [
        "field", "remote_label", "metric", "calibration", "data_type", "decimal_mark", "scale",
        "offset", "unit", "minimum", "maximum", "enabled",
    ]  # fmt: skip
    readonly_fields = ["remote_label", "calibration"]
    verbose_name_plural = "field mappings: which field feeds which metric"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """The mappings with their metrics and calibrations."""
        rows = super().get_queryset(request)
        return rows.select_related("metric").prefetch_related("calibrations")

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
    labels = PollState.objects.labels_of(source.pk)
    choices = [(name, f"{name} – {labels[name]}" if labels.get(name) else name) for name in FIELDS]
    return forms.ChoiceField(choices=choices, widget=skin.Select())


@admin.register(FieldMapping)
class FieldMappingAdmin(CalibrationColumn, Recomputes, VersionedAdmin):
    """All mappings, to search and correct; new ones are added on their channel's page."""

    list_display = ["field", "source", "metric", "data_type", "scale", "offset", "unit", "enabled"]
    list_filter = [("source__device__community", VisibleOnly), "data_type", "enabled"]
    list_select_related = ["source__device__community", "source__thingspeakchannel", "metric"]
    search_fields = [
        "source__device__name", "metric__name", "metric__label",
        "=source__thingspeakchannel__channel_id",
    ]  # fmt: skip
    readonly_fields = ["source", "field", "metric", "calibration"]
    change_form_template = "admin/devices/fieldmapping/change_form.html"
    fieldsets = [
        (None, {"fields": ["source", "field", "metric", "enabled"]}),
        (
            "How its text becomes a value",
            {"fields": ["data_type", "decimal_mark", ("scale", "offset"), "unit", "calibration"]},
        ),
        ("Valid range", {"fields": [("minimum", "maximum")]}),
    ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """A mapping is added on its channel's page."""
        return False

    class Media:
        """Notices and links of calibrations."""

        css = {"all": ["admin_pages/calibrate.css"]}

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """The page, with what older settings left behind."""
        mapping = self.get_object(request, object_id)
        shown: dict[str, Any] = {}
        if mapping is not None and self.has_view_permission(request, mapping):
            shown["stale"] = stale_notices(mapping.source)
        return super().change_view(request, object_id, form_url, {**shown, **(extra_context or {})})
