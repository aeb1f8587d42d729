"""The pages of any import: upload, look at what would happen, decide, watch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from devices.admin.base import ReadOnlyAdmin, is_staff, operates_anything
from devices.admin.job import panel_of
from devices.models.job import UNFINISHED
from devices.readings.imports.text import UnreadableFile


class ImportPages(ReadOnlyAdmin):
    """Imports are rows with `findings` of a check, and a `check_job` and a `job` that may run."""

    pages: str
    """Folder of the templates `upload.html` and `check.html`."""
    upload_title: str
    into: str
    """The field of the form, and of the page's address, that says into what is imported."""
    upload_form: type[forms.Form]

    class Media:
        """Style, and the script that follows a running import."""

        css = {"all": ["admin_pages/jobs.css", "admin_pages/imports.css"]}
        js = ["admin_pages/jobs.js"]

    @abstractmethod
    def take(self, request: HttpRequest, form: Any) -> Any:
        """Keep and check the file of a valid upload. Raises UnreadableFile."""

    @abstractmethod
    def choices_form(self, imported: Any, posted: Mapping[str, Any] | None) -> Any:
        """The form of what only a person knows: as posted, or as it was chosen last."""

    @abstractmethod
    def chosen(self, imported: Any) -> Any:
        """What the findings were made with."""

    @abstractmethod
    def check_again(self, request: HttpRequest, imported: Any, choices: Any) -> None:
        """Check the file under other choices. Raises UnreadableFile."""

    @abstractmethod
    def start(self, request: HttpRequest, imported: Any, choices: Any) -> None:
        """Import what was checked. Raises UnreadableFile."""

    @abstractmethod
    def findings_page(self, imported: Any, now: datetime) -> dict[str, Any]:
        """Stored findings, for the template."""

    @admin.display(description="state")
    def progress(self, row: Any) -> str:
        """How far it is."""
        if row.job is not None:
            running = row.job.state == "running" and row.job.percent
            return str(row.job.get_state_display()) + (f" ({row.job.percent} %)" if running else "")
        if row.findings:
            return "Checked, not imported"
        failed = row.check_job is not None and row.check_job.state not in UNFINISHED
        return "Could not be checked" if failed else "Being checked"

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whoever operates a community may import."""
        return is_staff(request) and operates_anything(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The same people may forget an import; what it brought stays."""
        if obj is None:
            return is_staff(request) and operates_anything(request)
        return self.may_import(request, obj)

    def may_import(self, request: HttpRequest, imported: Any) -> bool:
        """Whether somebody operates what this import goes into."""
        rows: Any = self.model._default_manager.filter(pk=imported.pk)
        return bool(rows.operable_by(request.user).exists())

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Choose the file and where it goes; it is kept, checked, and shown."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        make: Any = self.upload_form
        if request.method == "POST":
            form = make(request.user, request.POST, request.FILES)
            if form.is_valid():
                try:
                    imported = self.take(request, form)
                    return HttpResponseRedirect(self.page_of(imported))
                except UnreadableFile as error:
                    form.add_error("file", str(error))
        else:
            form = make(request.user, initial={self.into: request.GET.get(self.into)})
        return self.show(request, "upload", self.upload_title, {"form": form})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """What the file holds and what importing it would do; or how the import goes."""
        imported: Any = self.get_object(request, object_id)
        if imported is None:
            missing: HttpResponse = super().change_view(request, object_id)
            return missing  # what Django says of any row that does not exist
        if request.method == "POST":
            if not self.may_import(request, imported):
                raise PermissionDenied
            return self._decide(request, imported)
        return self._show_import(request, imported, None)

    def _decide(self, request: HttpRequest, imported: Any) -> HttpResponse:
        """Import exactly what was checked; anything else is checked again first."""
        if imported.job_id is not None or not imported.findings:
            return HttpResponseRedirect(self.page_of(imported))
        form = self.choices_form(imported, request.POST)
        if not form.is_valid():
            return self._show_import(request, imported, form)
        choices = form.choices()
        try:
            if "_import" in request.POST and choices == self.chosen(imported):
                self.start(request, imported, choices)
                self.log_change(request, imported, "Import started.")
                return HttpResponseRedirect(self.page_of(imported))
            self.check_again(request, imported, choices)
        except UnreadableFile as error:
            form.add_error(None, str(error))
            return self._show_import(request, imported, form)
        if "_import" in request.POST:
            text = "You changed something, so the file was checked again. Look, then import."
            self.message_user(request, text, messages.WARNING)
        return HttpResponseRedirect(self.page_of(imported))

    def _show_import(self, request: HttpRequest, imported: Any, form: Any) -> HttpResponse:
        may = self.may_import(request, imported)
        page: dict[str, Any] = {"imported": imported, "original": imported, "may_import": may}
        job = imported.job or (None if imported.findings else imported.check_job)
        if job is not None:
            page |= panel_of(job, may_cancel=may)
            page["reload_at_end"] = job.state in UNFINISHED and imported.job is None
        if imported.findings:
            page |= self.findings_page(imported, timezone.now())
            if imported.job is None:
                page["form"] = form or self.choices_form(imported, None)
        return self.show(request, "check", str(imported), page)

    def show(
        self, request: HttpRequest, template: str, title: str, page: dict[str, Any]
    ) -> HttpResponse:
        """One of the import's own pages."""
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "media": self.media,
            "has_view_permission": True,
            **page,
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, f"{self.pages}/{template}.html", context)

    def page_of(self, imported: Any) -> str:
        """Where an import is looked at."""
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        return reverse(name, args=[imported.pk])
