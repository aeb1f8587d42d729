"""Imports of whole channels: upload, check, decide, import; or everything over the API."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from devices.admin.base import VisibleOnly, is_staff, operates_anything
from devices.admin.job import panel_of
from devices.models import ThingSpeakChannel
from devices.models.job import UNFINISHED
from devices.readings.imports.text import UnreadableFile
from ingestion.admin.import_forms import ChoicesForm, UploadForm
from ingestion.admin.logs import OfSource
from ingestion.equipment import equipment
from ingestion.imports import api_job, csv_job, uploads
from ingestion.imports.checking import previews
from ingestion.imports.choices import Choices
from ingestion.imports.report import example, moment, ranges, reason_words, warnings
from ingestion.imports.tally import Tally
from ingestion.models import Import

_PAGES = "admin/ingestion/import"


@admin.register(Import)
class ImportAdmin(OfSource):
    """What was imported or is about to be, and the way to import more."""

    list_display = [
        "what", "source_link", "community", "way", "progress", "created_by", "created_at",
    ]  # fmt: skip
    list_display_links = ["what"]
    list_filter = ["way", ("source__device__community", VisibleOnly), "created_at"]
    list_select_related = ["source__device__community", "job", "check_job", "created_by"]
    search_fields = ["file_name", "source__device__name", "=source__thingspeakchannel__channel_id"]
    ask_with = staticmethod(equipment)

    class Media:
        """Own style, and the script that follows a running import."""

        css = {"all": ["admin_pages/jobs.css", "admin_pages/imports.css"]}
        js = ["admin_pages/jobs.js"]

    @admin.display(description="import")
    def what(self, row: Import) -> str:
        """The file, or everything."""
        return row.file_name or "All history"

    @admin.display(description="state")
    def progress(self, row: Import) -> str:
        """How far it is."""
        if row.job is not None:
            share = (
                f" ({row.job.percent} %)" if row.job.state == "running" and row.job.percent else ""
            )
            return f"{row.job.get_state_display()}{share}"
        return "Checked, not imported" if row.findings else "Being checked"

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whoever operates a community may import into its channels."""
        return is_staff(request) and operates_anything(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The same people may forget an import; what it brought stays."""
        if obj is None:
            return is_staff(request) and operates_anything(request)
        return self._may_import(request, obj)

    def get_urls(self) -> list[URLPattern]:
        """All history of a channel, over the API."""
        view = self.admin_site.admin_view(self.api_view)
        return [
            path("api/<path:object_id>/", view, name="ingestion_import_api"),
            *super().get_urls(),
        ]

    # --- upload -------------------------------------------------------------------------------

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Choose channel and file; the file is kept, checked, and shown."""
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
            form = UploadForm(request.user, initial={"source": request.GET.get("source")})
        return self._show(request, "upload", "Import a CSV file", {"form": form})

    def _take(self, request: HttpRequest, form: UploadForm) -> Import:
        file = form.cleaned_data["file"]
        return uploads.take_file(
            form.cleaned_data["source"], file.name, file.chunks(), request.user, timezone.now()
        )

    # --- check and import ---------------------------------------------------------------------

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """What the file holds and what importing it would do; or how the import goes."""
        imported: Import | None = self.get_object(request, object_id)
        if imported is None:
            missing: HttpResponse = super().change_view(request, object_id)
            return missing  # what Django says of any row that does not exist
        if request.method == "POST":
            if not self._may_import(request, imported):
                raise PermissionDenied
            return self._decide(request, imported)
        return self._show_import(request, imported, None)

    def _decide(self, request: HttpRequest, imported: Import) -> HttpResponse:
        if imported.job_id is not None or not imported.findings:
            return HttpResponseRedirect(self._page_of(imported))
        form = ChoicesForm(imported.source, imported.findings, request.POST)
        if not form.is_valid():
            return self._show_import(request, imported, form)
        choices = form.choices()
        same = choices == Choices.of(imported.findings["choices"])
        try:
            if "_import" in request.POST and same:
                rows = imported.findings["tally"]["rows"]
                csv_job.start_import(imported, choices, rows, request.user)
                self.log_change(request, imported, "Import started.")
                return HttpResponseRedirect(self._page_of(imported))
            uploads.check_again(imported, choices, request.user, timezone.now())
        except UnreadableFile as error:
            form.add_error(None, str(error))
            return self._show_import(request, imported, form)
        if "_import" in request.POST:
            text = "You changed something, so the file was checked again. Look, then import."
            self.message_user(request, text, messages.WARNING)
        return HttpResponseRedirect(self._page_of(imported))

    def _show_import(
        self, request: HttpRequest, imported: Import, form: ChoicesForm | None
    ) -> HttpResponse:
        may = self._may_import(request, imported)
        page: dict[str, Any] = {"imported": imported, "original": imported, "may_import": may}
        job = imported.job or (None if imported.findings else imported.check_job)
        if job is not None:
            page |= panel_of(job, may_cancel=may)
            page["reload_at_end"] = job.state in UNFINISHED and imported.job is None
        if imported.findings:
            page |= _findings_page(imported)
            if imported.job is None:
                choices = Choices.of(imported.findings["choices"])
                page["form"] = form or ChoicesForm.shown(
                    imported.source, imported.findings, choices
                )
        return self._show(request, "check", str(imported), page)

    # --- over the API -------------------------------------------------------------------------

    def api_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Everything a channel holds: what it says about itself, what it costs, and the start."""
        channel = self._channel(request, object_id)
        found = api_job.preview_api(channel, self.ask_with(), timezone.now())
        if request.method == "POST":
            imported = api_job.start_import(channel, found.entries, request.user, timezone.now())
            self.log_addition(request, imported, "All history over the API.")
            return HttpResponseRedirect(self._page_of(imported))
        page = {"channel": channel, "found": found, "verification": found.verification}
        return self._show(request, "api", f"All history of {channel}", page)

    def _channel(self, request: HttpRequest, object_id: str) -> ThingSpeakChannel:
        rows: Any = ThingSpeakChannel.objects
        seen = rows.visible_to(request.user).select_related("device__community", "connection")
        known = object_id.isdecimal() and len(object_id) < 19
        channel: ThingSpeakChannel | None = seen.filter(pk=object_id).first() if known else None
        if channel is None:
            raise Http404
        if not rows.operable_by(request.user).filter(pk=channel.pk).exists():
            raise PermissionDenied
        return channel

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

    def _page_of(self, imported: Import) -> str:
        return reverse("admin:ingestion_import_change", args=[imported.pk])

    def _may_import(self, request: HttpRequest, imported: Import) -> bool:
        return Import.objects.filter(pk=imported.pk).operable_by(request.user).exists()


def _findings_page(imported: Import) -> dict[str, Any]:
    """Stored findings as the page shows them."""
    found = imported.findings
    tally = Tally.of(found["tally"])
    spans = ranges(tally)
    return {
        "tally": tally,
        "first": moment(tally.first),
        "last": moment(tally.last),
        "zones": list(tally.zones.items()),
        "warnings": warnings(found),
        "mapped": [
            {"proposal": one, "preview": preview, "problem": problem, "range": spans.get(one.name)}
            for one, preview, problem in previews(imported.source, tally)
        ],
        "refused": [
            {"reason": reason_words(reason), "count": f"{count:,}",
             "examples": [example(one) for one in tally.examples.get(reason, [])]}
            for reason, count in sorted(tally.refused.items(), key=lambda one: -one[1])
        ],
        "differences": tally.differences,
        "counts": {name: f"{getattr(tally, name):,}" for name in _COUNTS},
        "nothing_new": not tally.entries,
    }  # fmt: skip


_COUNTS = ("rows", "entries", "new", "same", "differing", "expired", "refusals")
