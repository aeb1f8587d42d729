"""The page of a calibration: on a mapping's behalf, with a live preview, and what follows."""

from __future__ import annotations

from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.views.decorators.http import require_POST

from devices.admin.base import VisibleOnly, link
from devices.admin.history import VersionedAdmin
from devices.models import CalibrationVersion, FieldMapping
from devices.models.calibration import BOXES, PARAMETERS, TANKS
from devices.readings.samples import ReceivedRequest
from devices.readings.store import get_store
from ingestion.admin.calibration.form import MOUNTING, OF, VOLUME, CalibrationForm, volume_mapping
from ingestion.admin.calibration.preview import Preview, preview
from ingestion.admin.recompute import job_link, recompute_url, shown
from ingestion.drift.sent import units_sent
from ingestion.drift.sharing import share_past
from ingestion.recalculation import request as recalculate
from ingestion.recalculation.governed import Stretch, governed

_HIDDEN = (OF, VOLUME)


@admin.register(CalibrationVersion)
class CalibrationAdmin(VersionedAdmin):
    """Calibrations of all mappings; a new one begins on its mapping's page."""

    form = CalibrationForm
    change_form_template = "admin/devices/calibrationversion/change_form.html"
    list_display = ["field", "kind", "valid_from", "note", "created_by", "created_at"]
    list_filter = [("mapping__source__device__community", VisibleOnly), "kind"]
    list_select_related = ["mapping__metric", "mapping__source__device", "created_by"]
    search_fields = ["mapping__source__device__name", "mapping__metric__label", "note"]

    class Media:
        """The preview and the boxes of each kind."""

        css = {"all": ["admin_pages/calibrate.css"]}
        js = ["admin_pages/calibrate.js"]

    @admin.display(description="field", ordering="mapping__field")
    def field(self, row: CalibrationVersion) -> str:
        """Device, field and metric."""
        return f"{row.mapping.source.device}: {row.mapping}"

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """What, how the sensor sits, from when."""
        beginning = [] if obj is None and _asks_for_volume(request) else ["valid_from"]
        wish = ["recompute"] if self.has_change_permission(request, obj) else []
        return [
            (None, {"fields": ["kind", *PARAMETERS]}),
            ("Sensor and limits", {"fields": [*MOUNTING, "ends"]}),
            ("When", {"fields": [*beginning, "note", *wish, *([] if obj else _HIDDEN)]}),
        ]

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> type[forms.ModelForm[Any]]:
        """The form, with the mappings that the user operates."""
        form = super().get_form(request, obj, change, **kwargs)
        if obj is None:
            box = form.base_fields[OF]
            assert isinstance(box, forms.ModelChoiceField)  # noqa: S101  # declared so
            box.queryset = FieldMapping.objects.operable_by(request.user)
        else:
            for name in _HIDDEN:
                form.base_fields.pop(name, None)
                form.declared_fields.pop(name, None)
        return form

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """The mapping that the address names."""
        return {name: request.GET.get(name, "") for name in _HIDDEN}

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Without a mapping there is nothing to calibrate: choose one."""
        chosen = request.POST.get(OF) or request.GET.get(OF) or ""
        mine = FieldMapping.objects.operable_by(request.user)
        if self.has_add_permission(request) and not (
            chosen.isdecimal() and len(chosen) < 19 and mine.filter(pk=chosen).exists()
        ):
            text = "Choose a mapping; its page leads to its calibrations."
            self.message_user(request, text, messages.INFO)
            return HttpResponseRedirect(reverse("admin:devices_fieldmapping_changelist"))
        answer: HttpResponse = super().add_view(request, form_url, extra_context)
        return answer

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """The page, with its mapping, the neighbours in time, and the preview."""
        form = context["adminform"].form
        if isinstance(form, CalibrationForm) and form.base is not None:
            context |= self._beside(form)
        answer: HttpResponse = super().render_change_form(request, context, *args, **kwargs)
        return answer

    def _beside(self, form: CalibrationForm) -> dict[str, Any]:
        base = form.base
        assert base is not None  # noqa: S101  # the caller has looked
        zone = ZoneInfo(base.source.device.community.zone)
        versions = [(one, shown(one.valid_from, zone)) for one in base.calibrations.all()]
        if not form.is_bound and form.is_new:  # the boxes' first contents, as the preview gets them
            for name in (*PARAMETERS, "kind", *MOUNTING, "ends"):
                value = form[name].value()
                setattr(form.instance, name, "" if value is None and name == "points" else value)
        return {
            "title": f"Calibrate {base.field} of {base.source.device}",
            "base": base,
            "for_volume": form.for_volume,
            "former_units": [
                (one.unit, shown(after.since, zone)) for one, after in pairwise(units_sent(base))
            ],
            "versions": [] if form.for_volume else versions,
            "zone": zone.key,
            # Saving leads back to the mapping.
            "show_save_and_add_another": False,
            "show_save_and_continue": False,
            "boxes": {
                "kinds": BOXES,
                "tanks": TANKS,
                "tables": ["table", *TANKS],
                "mounting": MOUNTING,
                "all": PARAMETERS,
            },
            "preview_url": reverse("admin:devices_calibrationversion_preview"),
            "preview": _previewed(form, _governed_before(form.instance)),
        }

    # --- saving -------------------------------------------------------------------------------

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Store, and have what it governs (and governed) recomputed if that is wanted."""
        before = _governed_before(obj)
        if form.for_volume:
            obj.mapping = _stored_volume(form.base)
        if not change:
            obj.created_by = request.user
        super().save_model(request, obj, form, change)
        after = governed(obj)
        for former in form.former:
            former.mapping, former.created_by = obj.mapping, obj.created_by
            former.save()
            after = after.with_(governed(former))
        stretch = after.with_(before) if before else after
        self._follow_up(request, obj.mapping, stretch, wanted=form.cleaned_data["recompute"])

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Delete, and offer to recompute what it governed."""
        stretch = governed(obj)
        super().delete_model(request, obj)
        self._follow_up(request, obj.mapping, stretch, wanted=False)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """The chosen ones, one after the other."""
        for one in queryset:
            self.delete_model(request, one)

    def _follow_up(
        self, request: HttpRequest, mapping: FieldMapping, stretch: Stretch, *, wanted: bool
    ) -> None:
        now = timezone.now()
        since, until = stretch
        if not get_store().received(ReceivedRequest(mapping.source_id, since, until, limit=1)):
            return  # nothing was received then, so nothing differs
        if not wanted:
            offer = link(recompute_url(mapping, stretch), "Recompute them")
            text = "Readings that were stored before are as they were. {}."
            self.message_user(request, format_html(text, offer), messages.WARNING)
            return
        why = f"The calibration of {mapping.metric.label} was corrected."
        user = request.user if request.user.is_authenticated else None
        job = recalculate(mapping.source, since, until, user, why, now)
        text = "Stored readings are being recomputed: {}."
        self.message_user(request, format_html(text, job_link(job)), messages.SUCCESS)

    def response_add(self, request: HttpRequest, obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Back to the mapping."""
        super().response_add(request, obj, *args, **kwargs)
        return self._to_mapping(obj)

    def response_change(self, request: HttpRequest, obj: Any) -> Any:
        """Back to the mapping."""
        super().response_change(request, obj)
        return self._to_mapping(obj)

    def _to_mapping(self, obj: CalibrationVersion) -> HttpResponse:
        page = reverse("admin:devices_fieldmapping_change", args=[obj.mapping_id])
        return HttpResponseRedirect(page)

    # --- preview ------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        """The preview of boxes as they are filled in."""
        wrap = self.admin_site.admin_view
        own = path("preview/", wrap(self.preview_view), name="devices_calibrationversion_preview")
        return [own, *super().get_urls()]

    @method_decorator(require_POST)
    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """What the boxes, as typed so far, would make of what was received."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        obj = None
        edited = request.POST.get("version", "")
        if edited.isdecimal() and len(edited) < 19:
            obj = CalibrationVersion.objects.operable_by(request.user).filter(pk=edited).first()
        before = _governed_before(obj) if obj else None
        form = self.get_form(request, obj)(request.POST, instance=obj)
        if not isinstance(form, CalibrationForm) or form.base is None:
            raise PermissionDenied
        form.full_clean()
        context = {"preview": _previewed(form, before), "for_volume": form.for_volume}
        return render(request, "admin/devices/calibrationversion/preview.html", context)


def _asks_for_volume(request: HttpRequest) -> bool:
    return bool((request.POST or request.GET).get(VOLUME))


def _governed_before(version: CalibrationVersion | None) -> Stretch | None:
    """What a stored calibration governs as it is stored; None for a new one."""
    if version is None or version._state.adding:
        return None
    stored = CalibrationVersion.objects.filter(pk=version.pk).first()
    return governed(stored) if stored else None


def _stored_volume(depth: FieldMapping) -> FieldMapping:
    """The metric and mapping of a volume, stored."""
    mapping = volume_mapping(depth)
    mapping.metric.save()
    mapping.metric = mapping.metric  # its key
    mapping.save()
    share_past(depth, mapping)
    return mapping


def _previewed(form: CalibrationForm, before: Stretch | None) -> Preview:
    target, now = form.target, timezone.now()
    problem = form.problem()
    if problem or target is None:
        return Preview(problem=problem)
    version = form.instance
    if form.is_new and not form.is_bound:
        version.valid_from = None if form.for_volume else now
    also = Stretch(None, None) if form.for_volume else before
    return preview(version, target, also, now)
