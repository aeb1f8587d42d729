"""The ingestion page: live, and as service levels. Staff only; each sees what is theirs."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import datetime
from io import StringIO
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from ingestion.admin import words
from ingestion.observe import levels, live
from ingestion.observe.cards import milliseconds
from ingestion.observe.counts import Counts
from ingestion.observe.gauges import When
from ingestion.observe.page import page
from ingestion.observe.phrases import percent, span
from ingestion.observe.scope import Seen, seen_by

REFRESH_MS = 2000


def status_page(request: HttpRequest) -> HttpResponse:
    """The whole page; its script fetches `status_now` every two seconds."""
    context = _context(request, "Ingestion") | {"live": True, "refresh_ms": REFRESH_MS}
    return TemplateResponse(request, "admin/ingestion/status/page.html", context)


def status_now(request: HttpRequest) -> HttpResponse:
    """What changes on the page, as it is now."""
    context = {"page": page(_seen(request, timezone.now()))}
    answer = TemplateResponse(request, "admin/ingestion/status/now.html", context)
    answer["Cache-Control"] = "no-store"
    return answer


def levels_page(request: HttpRequest) -> HttpResponse:
    """Service levels of each account over the last hour, day and 30 days."""
    now = timezone.now()
    found = levels.levels(_seen(request, now).accounts, now)
    context = _context(request, "Service levels") | {
        "accounts": [_account_levels(one, now) for one in found],
        "at": When.of(now, now),
    }
    return TemplateResponse(request, "admin/ingestion/status/levels.html", context)


def levels_csv(request: HttpRequest) -> HttpResponse:
    """The table of service levels as CSV."""
    now = timezone.now()
    found = levels.levels(_seen(request, now).accounts, now)
    return _csv(levels.rows(found, now), f"service-levels-{now:%Y-%m-%d}.csv")


def outages_csv(request: HttpRequest) -> HttpResponse:
    """The outages of the last 30 days as CSV."""
    now = timezone.now()
    found = levels.levels(_seen(request, now).accounts, now)
    return _csv(levels.outage_rows(found, now), f"outages-{now:%Y-%m-%d}.csv")


def _seen(request: HttpRequest, now: datetime) -> Seen:
    return seen_by(request.user, live.current(now))


def _context(request: HttpRequest, title: str) -> dict[str, Any]:
    now = timezone.now()
    return {
        **admin.site.each_context(request),
        "title": title,
        "page": page(_seen(request, now)) if title == "Ingestion" else None,
        "is_fullwidth": "1",
    }


def _account_levels(one: levels.Levels, now: datetime) -> dict[str, Any]:
    return {
        "name": one.account.name,
        "place": one.account.community_name or "shared by communities",
        "levels": [_level(level) for level in one.levels],
        "outcomes": _outcomes(one.levels[-1].counts),
        "outages": [
            {
                "since": f"{outage.since:%Y-%m-%d %H:%M:%S}",
                "until": f"{outage.until:%Y-%m-%d %H:%M:%S}" if outage.until else "",
                "lasted": span(((outage.until or now) - outage.since).total_seconds()),
                "text": outage.text,
            }
            for outage in one.outages
        ],
    }


def _level(level: levels.Level) -> dict[str, Any]:
    counts = level.counts
    return {
        "span": level.span,
        "since": f"{level.begin:%Y-%m-%d %H:%M}",
        "requests": f"{counts.requests:,}",
        "failed": f"{counts.failed:,}",
        "success": percent(counts.success_rate),
        "available": percent(level.available),
        "down": span(level.down.total_seconds()) if level.down else "none",
        "outages": level.outages,
        "latency": [milliseconds(counts.percentile_ms(share)) for share in (0.5, 0.95, 0.99)],
    }


def _outcomes(counts: Counts) -> list[tuple[str, str]]:
    """What came of requests, in words, and how many, the most frequent first."""
    return [(words.outcome(kind), f"{number:,}") for kind, number in counts.by_outcome]


def _csv(rows: Iterable[Iterable[str]], name: str) -> HttpResponse:
    text = StringIO()
    csv.writer(text).writerows(rows)
    return HttpResponse(
        text.getvalue(),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
