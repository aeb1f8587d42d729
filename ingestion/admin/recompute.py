"""Recomputing a mapping's readings: the question with its numbers, the job, and the notice."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from devices.admin.base import ScopedAdmin, link
from devices.models import FieldMapping, Job, Source
from devices.models.job import UNFINISHED
from devices.readings.samples import ReceivedRequest
from devices.readings.store import get_store
from ingestion.recalculation import KIND
from ingestion.recalculation import request as recalculate
from ingestion.recalculation.governed import Stretch
from ingestion.recalculation.stale import Stale, stale


def recompute_url(mapping: FieldMapping, stretch: Stretch) -> str:
    """Where a person is asked whether to recompute a stretch."""
    page = reverse("admin:devices_fieldmapping_recompute", args=[mapping.pk])
    limits = zip(("since", "until"), stretch, strict=True)
    query = {name: at.isoformat() for name, at in limits if at is not None}
    return f"{page}?{urlencode(query)}" if query else page


def job_link(job: Job) -> SafeString:
    """A link to a job's progress."""
    return link(reverse("admin:devices_job_change", args=[job.pk]), "watch the progress")


def stale_notices(source: Source) -> list[dict[str, Any]]:
    """Readings that older settings left behind, each with where to recompute it."""
    zone = ZoneInfo(source.device.community.zone)
    running = Job.objects.filter(kind=KIND, state__in=UNFINISHED, params__source=source.pk).first()
    if running is not None:
        return [{"job": running, "url": reverse("admin:devices_job_change", args=[running.pk])}]
    return [_notice(one, zone) for one in stale(source, timezone.now())]


def _notice(one: Stale, zone: ZoneInfo) -> dict[str, Any]:
    return {
        "metric": one.mapping.metric.label,
        "before": shown(one.changed_at, zone),
        "kept": one.kept,
        "url": recompute_url(one.mapping, one.stretch),
    }


def shown(at: datetime | None, zone: ZoneInfo) -> str:
    """An instant as the clock on the wall shows it there; empty for none."""
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M}" if at else ""


class Recomputes(ScopedAdmin):
    """The page of a mapping's recomputation."""

    def get_urls(self) -> list[URLPattern]:
        """The question's address."""
        own = path(
            "<path:object_id>/recompute/",
            self.admin_site.admin_view(self.recompute_view),
            name="devices_fieldmapping_recompute",
        )
        return [own, *super().get_urls()]

    def recompute_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask with numbers; then have it done and go to its progress."""
        mapping: FieldMapping | None = self.get_object(request, object_id)
        if mapping is None:
            raise Http404
        if not self.has_change_permission(request, mapping):
            raise PermissionDenied
        stretch = _stretch(request)
        if request.method == "POST":
            return self._begin(request, mapping, stretch)
        source = mapping.source
        zone = ZoneInfo(source.device.community.zone)
        entries = get_store().received_count(ReceivedRequest(source.pk, *stretch))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Recompute stored readings",
            "mapping": mapping,
            "since": shown(stretch.since, zone),
            "until": shown(stretch.until, zone),
            "zone": zone.key,
            "entries": entries,
            "shown_entries": f"{entries:,}",
            "media": self.media,
        }
        return TemplateResponse(request, "admin/devices/fieldmapping/recompute.html", context)

    def _begin(self, request: HttpRequest, mapping: FieldMapping, stretch: Stretch) -> HttpResponse:
        user = request.user if isinstance(request.user, User) else None
        why = f"The settings of {mapping.metric.label} were changed."
        job = recalculate(mapping.source, *stretch, user, why, timezone.now())
        self.log_change(request, mapping, "Stored readings recomputed.")
        text = format_html("The readings are being recomputed: {}.", job_link(job))
        self.message_user(request, text, messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:devices_job_change", args=[job.pk]))


def _stretch(request: HttpRequest) -> Stretch:
    """The stretch that the address names; raises Http404 for one that is none."""
    since, until = (_instant(request.GET.get(name, "")) for name in ("since", "until"))
    if since is not None and until is not None and since >= until:
        raise Http404
    return Stretch(since, until)


def _instant(text: str) -> datetime | None:
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Http404 from None
    if at.tzinfo is None:
        raise Http404
    return at
