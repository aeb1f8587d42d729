"""Imports of exported readings: upload, look at what would happen, decide, import."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from devices.admin.base import ReadOnlyAdmin, VisibleOnly, is_staff, link, operates_anything
from devices.admin.job import panel_of
from devices.models import Device
from devices.models.job import UNFINISHED
from devices.readings.admin.import_forms import ChoicesForm, UploadForm
from devices.readings.admin.import_page import findings_page
from devices.readings.imports import uploads, working
from devices.readings.imports.checking import device_of
from devices.readings.imports.choices import Choices
from devices.readings.imports.text import UnreadableFile
from devices.readings.models import ReadingImport

_PAGES = "admin/readings/readingimport"


@admin.register(ReadingImport)
class ReadingImportAdmin(ReadOnlyAdmin):
    """What was imported or is about to be, and the way to import more."""

    list_display = [
        "file_name", "device_link", "community", "progress", "created_by", "created_at",
    ]  # fmt: skip
    list_display_links = ["file_name"]
    list_filter = [("device__community", VisibleOnly), "created_at"]
    list_select_related = ["device__community", "job", "check_job", "created_by"]
    search_fields = ["file_name", "device__name"]

    class Media:
        """Style, and the script that follows a running import."""

        css = {"all": ["admin_pages/jobs.css", "admin_pages/imports.css"]}
        js = ["admin_pages/jobs.js"]

    @admin.display(description="device", ordering="device__name")
    def device_link(self, row: ReadingImport) -> SafeString:
        """Where the readings go."""
        path = reverse("admin:devices_device_change", args=[row.device_id])
        return link(path, str(row.device))

    @admin.display(description="community", ordering="device__community__name")
    def community(self, row: ReadingImport) -> str:
        """The device's community."""
        return row.device.community.name

    @admin.display(description="state")
    def progress(self, row: ReadingImport) -> str:
        """How far it is."""
        if row.job is not None:
            running = row.job.state == "running" and row.job.percent
            return row.job.get_state_display() + (f" ({row.job.percent} %)" if running else "")
        if row.findings:
            return "Checked, not imported"
        failed = row.check_job is not None and row.check_job.state not in UNFINISHED
        return "Could not be checked" if failed else "Being checked"

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whoever operates a community may import into its devices."""
        return is_staff(request) and operates_anything(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The same people may forget an import; what it brought stays."""
        if obj is None:
            return is_staff(request) and operates_anything(request)
        return self._may_import(request, obj)

    # --- upload -------------------------------------------------------------------------------

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Choose file and device; the file is kept, checked, and shown."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            form = UploadForm(request.user, request.POST, request.FILES)
            if form.is_valid():
                try:
                    imported = self._take(request, form)
                    return HttpResponseRedirect(self._page_of(imported))
                except UnreadableFile as error:
                    form.add_error("file", str(error))
        else:
            form = UploadForm(request.user, initial={"device": request.GET.get("device")})
        return self._show(request, "upload", "Import readings", {"form": form})

    def _take(self, request: HttpRequest, form: UploadForm) -> ReadingImport:
        """Keep and check the file. Raises UnreadableFile."""
        file, device = form.cleaned_data["file"], form.cleaned_data["device"]
        if device is None:
            device = device_of(file.file, Device.objects.operable_by(request.user))
        return uploads.take_file(device, file.name, file.chunks(), request.user, timezone.now())

    # --- check and import ---------------------------------------------------------------------

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """What the file holds and what importing it would do; or how the import goes."""
        imported: ReadingImport | None = self.get_object(request, object_id)
        if imported is None:
            missing: HttpResponse = super().change_view(request, object_id)
            return missing  # what Django says of any row that does not exist
        if request.method == "POST":
            if not self._may_import(request, imported):
                raise PermissionDenied
            return self._decide(request, imported)
        return self._show_import(request, imported, None)

    def _decide(self, request: HttpRequest, imported: ReadingImport) -> HttpResponse:
        """Import exactly what was checked; anything else is checked again first."""
        if imported.job_id is not None or not imported.findings:
            return HttpResponseRedirect(self._page_of(imported))
        form = ChoicesForm(imported.device, imported.findings, request.POST)
        if not form.is_valid():
            return self._show_import(request, imported, form)
        choices = form.choices()
        same = choices == Choices.of(imported.findings["choices"])
        try:
            if "_import" in request.POST and same:
                working.start_import(imported, choices, request.user)
                self.log_change(request, imported, "Import started.")
                return HttpResponseRedirect(self._page_of(imported))
            uploads.check(imported, choices, request.user, timezone.now())
        except UnreadableFile as error:
            form.add_error(None, str(error))
            return self._show_import(request, imported, form)
        if "_import" in request.POST:
            text = "You changed something, so the file was checked again. Look, then import."
            self.message_user(request, text, messages.WARNING)
        return HttpResponseRedirect(self._page_of(imported))

    def _show_import(
        self, request: HttpRequest, imported: ReadingImport, form: ChoicesForm | None
    ) -> HttpResponse:
        may = self._may_import(request, imported)
        page: dict[str, Any] = {"imported": imported, "original": imported, "may_import": may}
        job = imported.job or (None if imported.findings else imported.check_job)
        if job is not None:
            page |= panel_of(job, may_cancel=may)
            page["reload_at_end"] = job.state in UNFINISHED and imported.job is None
        if imported.findings:
            page |= findings_page(imported, timezone.now())
            if imported.job is None:
                page["form"] = form or ChoicesForm.shown(imported.device, imported.findings)
        return self._show(request, "check", str(imported), page)

    # --- what the pages share -----------------------------------------------------------------

    def _show(
        self, request: HttpRequest, template: str, title: str, page: dict[str, Any]
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "media": self.media,
            "has_view_permission": True,
            **page,
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, f"{_PAGES}/{template}.html", context)

    def _page_of(self, imported: ReadingImport) -> str:
        return reverse("admin:readings_readingimport_change", args=[imported.pk])

    def _may_import(self, request: HttpRequest, imported: ReadingImport) -> bool:
        return ReadingImport.objects.filter(pk=imported.pk).operable_by(request.user).exists()
