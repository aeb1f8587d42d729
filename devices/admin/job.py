"""Long work: how far it is, what came of it, and a button to stop it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_POST, require_safe

from devices import jobs
from devices.admin.base import ReadOnlyAdmin, VisibleOnly
from devices.models import Job
from devices.models.job import UNFINISHED

SHOWN_AT_ONCE = 200


def report_lines(report: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A report in lines for people: a name with a text, with a list, or with counts by name."""
    for name, value in report.items():
        line: dict[str, Any] = {
            "name": name.replace("_", " "),
            "text": "",
            "list": [],
            "counts": [],
        }
        if isinstance(value, Mapping):
            line["counts"] = [(key, _text(one)) for key, one in value.items()]
        elif isinstance(value, list):
            line["list"] = [_text(one) for one in value]
        else:
            line["text"] = _text(value)
        yield line


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.2f}" if isinstance(value, float) else str(value)


def panel_of(job: Job, *, may_cancel: bool) -> dict[str, Any]:
    """What the panel of a job shows (`admin/devices/job/panel.html`), on any page."""
    return {
        "job": job,
        "lines": list(report_lines(job.report)),
        "amount": f"{job.done:,} of {job.total:,}" if job.total else f"{job.done:,}",
        "unfinished": job.state in UNFINISHED,
        "may_cancel": may_cancel and job.state in UNFINISHED,
    }


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    """Imports, recalculations, exports: everything that takes longer than a page."""

    list_display = ["subject", "progress", "state", "community", "asked_by", "asked_at"]
    list_display_links = ["subject"]
    list_filter = ["state", ("community", VisibleOnly), "created_at"]
    list_select_related = ["community", "created_by"]
    search_fields = ["subject", "message", "created_by__username"]
    change_form_template = "admin/devices/job/change_form.html"

    class Media:
        """The bar, and the script that keeps it up to date."""

        css = {"all": ["admin_pages/jobs.css"]}
        js = ["admin_pages/jobs.js"]

    @admin.display(description="progress", ordering="done")
    def progress(self, row: Job) -> SafeString:
        """A bar, kept up to date while the job runs."""
        return _bar(row)

    @admin.display(description="asked for by", ordering="created_by__username")
    def asked_by(self, row: Job) -> str:
        """Who wanted it."""
        return str(row.created_by or "the site")

    @admin.display(description="asked for at (UTC)", ordering="created_at")
    def asked_at(self, row: Job) -> str:
        """When somebody wanted it, to the second."""
        return f"{row.created_at:%Y-%m-%d %H:%M:%S}"

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The job's panel instead of boxes."""
        job = self.get_object(request, object_id)
        panel = panel_of(job, may_cancel=self._may_cancel(request, job)) if job else {}
        answer: HttpResponse = super().change_view(
            request, object_id, form_url, {**panel, **(extra_context or {})}
        )
        return answer

    def get_urls(self) -> list[URLPattern]:
        """Progress of several, the panel of one, and stopping it."""
        wrap = self.admin_site.admin_view
        own = [
            path("progress/", wrap(self.progress_view), name="devices_job_progress"),
            path("<path:object_id>/panel/", wrap(self.panel_view), name="devices_job_panel"),
            path("<path:object_id>/cancel/", wrap(self.cancel_view), name="devices_job_cancel"),
        ]
        return [*own, *super().get_urls()]

    @method_decorator(require_safe)
    def progress_view(self, request: HttpRequest) -> JsonResponse:
        """Bars of the jobs that are asked about, as far as the user may see them."""
        wanted = [one for one in request.GET.getlist("id") if one.isdecimal() and len(one) < 19]
        rows = self.get_queryset(request).filter(pk__in=wanted[:SHOWN_AT_ONCE])
        return JsonResponse({str(row.pk): _bar(row) for row in rows})

    @method_decorator(require_safe)
    def panel_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The panel as it is now."""
        job = self._seen(request, object_id)
        panel = panel_of(job, may_cancel=self._may_cancel(request, job))
        return TemplateResponse(request, "admin/devices/job/panel.html", panel)

    @method_decorator(require_POST)
    def cancel_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Stop a job; what it did so far stays."""
        job = self._seen(request, object_id)
        if not self._may_cancel(request, job):
            raise PermissionDenied
        if jobs.cancel(job, timezone.now()):
            self.log_change(request, job, "Cancelled.")
            text = f"“{job}” was cancelled. What it had done by then stays."
            self.message_user(request, text, messages.SUCCESS)
        else:
            self.message_user(request, f"“{job}” had ended already.", messages.WARNING)
        return HttpResponseRedirect(reverse("admin:devices_job_change", args=[job.pk]))

    def _seen(self, request: HttpRequest, object_id: str) -> Job:
        job: Job | None = self.get_object(request, object_id)
        if job is None or not self.has_view_permission(request, job):
            raise Http404
        return job

    def _may_cancel(self, request: HttpRequest, job: Job) -> bool:
        return Job.objects.filter(pk=job.pk).operable_by(request.user).exists()


def _bar(job: Job) -> SafeString:
    unfinished = job.state in UNFINISHED
    html = render_to_string("admin/devices/job/bar.html", {"job": job, "unfinished": unfinished})
    return mark_safe(html)  # noqa: S308 (rendered, thus escaped, by the template)
