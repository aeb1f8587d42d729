"""Imports of whole channels: upload, check, decide, import; or everything over the API."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from devices.admin.base import VisibleOnly
from devices.models import ThingSpeakChannel
from devices.readings.admin.import_pages import ImportPages
from ingestion.admin.import_forms import ChoicesForm, UploadForm
from ingestion.admin.logs import OfSource
from ingestion.equipment import equipment
from ingestion.imports import api_job, csv_job, uploads
from ingestion.imports.checking import previews
from ingestion.imports.choices import Choices
from ingestion.imports.report import example, moment, ranges, reason_words, warnings
from ingestion.imports.tally import Tally
from ingestion.models import Import


@admin.register(Import)
class ImportAdmin(ImportPages, OfSource):
    """What was imported or is about to be, and the way to import more."""

    list_display = [
        "what", "source_link", "community", "way", "progress", "created_by", "created_at",
    ]  # fmt: skip
    list_display_links = ["what"]
    list_filter = ["way", ("source__device__community", VisibleOnly), "created_at"]
    list_select_related = ["source__device__community", "job", "check_job", "created_by"]
    search_fields = ["file_name", "source__device__name", "=source__thingspeakchannel__channel_id"]
    ask_with = staticmethod(equipment)

    pages = "admin/ingestion/import"
    upload_title = "Import a CSV file"
    into = "source"
    upload_form = UploadForm

    @admin.display(description="import")
    def what(self, row: Import) -> str:
        """The file, or everything."""
        return row.file_name or "All history"

    def get_urls(self) -> list[URLPattern]:
        """All history of a channel, over the API."""
        view = self.admin_site.admin_view(self.api_view)
        return [
            path("api/<path:object_id>/", view, name="ingestion_import_api"),
            *super().get_urls(),
        ]

    # --- a file -------------------------------------------------------------------------------

    def take(self, request: HttpRequest, form: UploadForm) -> Import:
        """Into the channel that was chosen."""
        file, source = form.cleaned_data["file"], form.cleaned_data["source"]
        return uploads.take_file(source, file.name, file.chunks(), request.user, timezone.now())

    def choices_form(self, imported: Import, posted: Mapping[str, Any] | None) -> ChoicesForm:
        """Zones, forms of times and columns that only a person can tell."""
        if posted is None:
            return ChoicesForm.shown(imported.source, imported.findings, self.chosen(imported))
        return ChoicesForm(imported.source, imported.findings, posted)

    def chosen(self, imported: Import) -> Choices:
        """As the findings keep it."""
        return Choices.of(imported.findings["choices"])

    def check_again(self, request: HttpRequest, imported: Import, choices: Choices) -> None:
        """At once, or by a job."""
        uploads.check_again(imported, choices, request.user, timezone.now())

    def start(self, request: HttpRequest, imported: Import, choices: Choices) -> None:
        """By a job."""
        csv_job.start_import(imported, choices, imported.findings["tally"]["rows"], request.user)

    def findings_page(self, imported: Import, now: datetime) -> dict[str, Any]:
        """With what each mapping would make of it."""
        return _findings_page(imported)

    # --- over the API -------------------------------------------------------------------------

    def api_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Everything a channel holds: what it says about itself, what it costs, and the start."""
        channel = self._channel(request, object_id)
        try:
            found = api_job.preview_api(channel, self.ask_with(), timezone.now())
            if request.method == "POST":
                imported = api_job.start_import(
                    channel, found.entries, request.user, timezone.now()
                )
                self.log_addition(request, imported, "All history over the API.")
                return HttpResponseRedirect(self.page_of(imported))
        except api_job.SwitchedOff as error:
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(
                reverse("admin:devices_thingspeakchannel_change", args=[channel.pk])
            )
        page = {"channel": channel, "found": found, "verification": found.verification}
        return self.show(request, "api", f"All history of {channel}", page)

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
