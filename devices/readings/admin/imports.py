"""Imports of exported readings: upload, look at what would happen, decide, import."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from devices.admin.base import VisibleOnly, link
from devices.models import Device
from devices.readings.admin.import_forms import ChoicesForm, UploadForm
from devices.readings.admin.import_page import findings_page
from devices.readings.admin.import_pages import ImportPages
from devices.readings.imports import uploads, working
from devices.readings.imports.checking import device_of
from devices.readings.imports.choices import Choices
from devices.readings.models import ReadingImport


@admin.register(ReadingImport)
class ReadingImportAdmin(ImportPages):
    """What was imported or is about to be, and the way to import more."""

    list_display = [
        "file_name", "device_link", "community", "progress", "created_by", "created_at",
    ]  # fmt: skip
    list_display_links = ["file_name"]
    list_filter = [("device__community", VisibleOnly), "created_at"]
    list_select_related = ["device__community", "job", "check_job", "created_by"]
    search_fields = ["file_name", "device__name"]
    pages = "admin/readings/readingimport"
    upload_title = "Import readings"
    into = "device"
    upload_form = UploadForm

    @admin.display(description="device", ordering="device__name")
    def device_link(self, row: ReadingImport) -> SafeString:
        """Where the readings go."""
        path = reverse("admin:devices_device_change", args=[row.device_id])
        return link(path, str(row.device))

    @admin.display(description="community", ordering="device__community__name")
    def community(self, row: ReadingImport) -> str:
        """The device's community."""
        return row.device.community.name

    def take(self, request: HttpRequest, form: UploadForm) -> ReadingImport:
        """Into the device that was chosen, else the one that the file names."""
        file, device = form.cleaned_data["file"], form.cleaned_data["device"]
        if device is None:
            device = device_of(file.file, Device.objects.operable_by(request.user))
        return uploads.take_file(device, file.name, file.chunks(), request.user, timezone.now())

    def choices_form(
        self, imported: ReadingImport, posted: Mapping[str, Any] | None
    ) -> ChoicesForm:
        """Columns that only a person can tell, and whether to replace."""
        if posted is None:
            return ChoicesForm.shown(imported.device, imported.findings)
        return ChoicesForm(imported.device, imported.findings, posted)

    def chosen(self, imported: ReadingImport) -> Choices:
        """As the findings keep it."""
        return Choices.of(imported.findings["choices"])

    def check_again(self, request: HttpRequest, imported: ReadingImport, choices: Choices) -> None:
        """At once, or by a job."""
        uploads.check(imported, choices, request.user, timezone.now())

    def start(self, request: HttpRequest, imported: ReadingImport, choices: Choices) -> None:
        """By a job."""
        working.start_import(imported, choices, request.user)

    def findings_page(self, imported: ReadingImport, now: datetime) -> dict[str, Any]:
        """With a preview of the first rows."""
        return findings_page(imported, now)
