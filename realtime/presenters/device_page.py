"""The device page: everything about one device, and what its source sent last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from django.http import HttpRequest

from devices.models import FieldMapping, Metric
from devices.readings.samples import Reading
from realtime.presenters import admin_links
from realtime.presenters.cards import (
    SOURCE_LABELS,
    alert_rows,
    device_card,
    shown_decimals,
    value_text,
)
from realtime.presenters.completeness import completeness
from realtime.presenters.facts import Fleet, SeenDevice, SeenSource
from realtime.presenters.live import banners
from realtime.presenters.rows import (
    Ages,
    DeviceCard,
    DevicePage,
    EntryRow,
    LastEntry,
    Live,
    Made,
    MetricValue,
    SourceView,
)
from realtime.presenters.timeline import timelines
from realtime.way_in import Entry, SourceDetail, way_in

RANGES = ("1h", "24h", "7d", "30d", "1y")
DEFAULT_RANGE = "24h"


def device_context(request: HttpRequest, fleet: Fleet, live: Live) -> dict[str, Any]:
    """What `device.html` reads; `fleet` holds the one device."""
    seen = fleet.devices[0]
    details = way_in().details([one.source.pk for one in seen.sources], request)
    refused = way_in().refused(seen.device, request)
    page = _page(request, seen, fleet.now)
    drawable = [metric for metric in page.metrics if metric.drawable]
    alerts = alert_rows([seen])
    return {
        "live": live,
        "freshness": Ages(),
        "banners": banners(live, fleet.outages, fleet.now),
        "device": page,
        "chart_metric": _chosen(drawable, request.GET.get("metric", "")),
        "chart_metrics": drawable,
        "chart_range": _range(request.GET.get("range", "")),
        "sources": [_source_view(one, details.get(one.source.pk)) for one in seen.sources],
        "entry": _last_entry(seen, details),
        "completeness": completeness(
            [one.source.pk for one in seen.sources], seen.device.community.zone, fleet.now
        ),
        "timelines": timelines(seen, fleet.now),
        "alerts": alerts,
        "reason_in_alerts": page.reason in [alert.text for alert in alerts],
        "rejections_url": refused.url if refused else None,
        "rejections_count": refused.count if refused else None,
    }


def _page(request: HttpRequest, seen: SeenDevice, now: datetime) -> DevicePage:
    device = seen.device
    card = device_card(seen, now)
    return DevicePage(
        **{one.name: getattr(card, one.name) for one in fields(DeviceCard)},
        community_url=device.community.get_absolute_url(),
        location_text=device.place,
        latitude=device.latitude,
        longitude=device.longitude,
        notes=device.notes,
        installed_at=device.installed_at,
        admin_url=admin_links.change_url(request, device),
    )


def _chosen(drawable: Sequence[MetricValue], name: str) -> MetricValue | None:
    first = drawable[0] if drawable else None
    return next((metric for metric in drawable if metric.name == name), first)


def _range(text: str) -> str:
    return text if text in RANGES else DEFAULT_RANGE


def _source_view(seen: SeenSource, detail: SourceDetail | None) -> SourceView:
    source, condition, polling = seen.source, seen.condition, seen.polling
    return SourceView(
        label=source.get_kind_display(),
        name=detail.name if detail else source.connection.name,
        state=condition.state,
        state_label=SOURCE_LABELS[condition.state],
        reason=condition.reason,
        since=condition.since,
        last_success_at=polling.last_success_at,
        last_poll_at=polling.last_poll_at,
        next_poll_at=polling.next_poll_at,
        interval_s=source.effective_interval_s,
        admin_url=detail.admin_url if detail else None,
    )


def _last_entry(seen: SeenDevice, details: Mapping[int, SourceDetail]) -> LastEntry | None:
    """The newest entry of the device's sources, field by field, beside what became of it."""
    received = [(pk, one.entry) for pk, one in details.items() if one.entry is not None]
    if not received:
        return None
    source, entry = max(received, key=lambda pair: (pair[1].at, pair[0]))
    known = {metric.pk: (metric, reading) for metric, reading in seen.latest}
    made: dict[str, list[Made]] = {name: [] for name in entry.fields}
    for mapping in FieldMapping.objects.filter(source=source).order_by("pk"):
        of_field = made.setdefault(mapping.field, [])
        if mapping.metric_id in known:
            of_field.append(_made(entry, *known[mapping.metric_id]))
    rows = [
        EntryRow(
            field=name,
            label=entry.labels.get(name, ""),
            raw=entry.fields.get(name),
            made=of_field,
            refusal=entry.refusals.get(name, ""),
        )
        for name, of_field in made.items()
    ]
    return LastEntry(entry.at, entry.sequence, entry.received_at, rows)


def _made(entry: Entry, metric: Metric, reading: Reading | None) -> Made:
    """What a metric got of an entry; an older reading is not what became of it."""
    text = None
    if reading is not None and (reading.at, reading.sequence) == (entry.at, entry.sequence):
        text = value_text(reading.value, metric.data_type, shown_decimals(metric))
    return Made(metric.label, text, metric.unit)
