"""The admin's page that explains a number. Staff only; each sees the metrics that are theirs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from devices.models import Metric
from devices.readings.samples import Reading
from devices.readings.store import ArchiveUnreadable, get_store
from ingestion.explaining.finding import NoSuchReading, find, shown
from ingestion.explaining.tracing import Explanation, explain

_WRITTEN = "%Y-%m-%dT%H:%M:%S"
_UNREADABLE = "This is no time. Write it like 2026-11-20T10:00:00."
_TEMPLATE = "admin/ingestion/status/explain.html"


def explanation_page(request: HttpRequest) -> HttpResponse:
    """Where the reading of `metric` at `at` (or before it) comes from; newest without `at`.

    `at` is a time of the community's zone; with an offset, or `Z`, of that one.
    """
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": "Explain a number",
        "is_fullwidth": "1",
    }
    if "metric" in request.GET:
        metric = _metric(request)
        zone = ZoneInfo(metric.device.community.zone)
        context |= {"metric": metric, "zone": zone.key}
        try:
            reading = _reading(request, metric, zone)
        except (NoSuchReading, ArchiveUnreadable, ValueError) as error:
            context |= {"error": str(error), "at": request.GET.get("at", "")}
        else:
            context |= _told(explain(metric, reading), zone)
    return TemplateResponse(request, _TEMPLATE, context)


def _metric(request: HttpRequest) -> Metric:
    """The metric asked for, if the user may see it. Raises Http404."""
    text = request.GET["metric"]
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Http404("There is no such metric.")
    rows = Metric.objects.visible_to(request.user).select_related("device__community")
    metric = rows.filter(pk=int(text)).first()
    if metric is None:
        raise Http404("There is no such metric.")
    return metric


def _reading(request: HttpRequest, metric: Metric, zone: ZoneInfo) -> Reading:
    """The reading asked for. Raises NoSuchReading; ValueError for a time that is none."""
    text, sequence = request.GET.get("at", ""), request.GET.get("sequence", "")
    if not text:
        newest = get_store().latest([metric.pk]).get(metric.pk)
        return newest if newest is not None else find(metric, timezone.now())
    try:
        at = datetime.fromisoformat(text)
        number = int(sequence) if sequence else None
    except ValueError:
        raise ValueError(_UNREADABLE) from None
    return find(metric, (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC), number)


def _told(found: Explanation, zone: ZoneInfo) -> dict[str, Any]:
    """The explanation in words of the community's zone."""
    reading, metric = found.reading, found.metric
    return {
        "found": found,
        "value": shown(reading.value, metric.unit),
        "at": f"{reading.at.astimezone(zone):{_WRITTEN}}",
        "when": f"{reading.at.astimezone(zone):%Y-%m-%d %H:%M:%S}",
        "imports": [
            {
                "what": one,
                "job": one.job,
                "by": one.created_by,
                "url": reverse(
                    f"admin:{one._meta.label_lower.replace('.', '_')}_change", args=[one.pk]
                ),
            }
            for one in found.imports
        ],
        "hour_average": found.hour and f"{found.hour.average:.6g} {metric.unit}".strip(),
        "hour_lowest": found.hour and shown(found.hour.minimum, metric.unit),
        "hour_highest": found.hour and shown(found.hour.maximum, metric.unit),
    }
