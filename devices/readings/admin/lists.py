"""What the store holds, to look at. Nobody edits readings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from devices.admin.base import ReadOnlyAdmin, VisibleOnly
from devices.readings.models import Latest, ReceivedEntry, RollupEntry
from devices.readings.store.tables import ORIGIN_OF


@admin.register(Latest)
class LatestAdmin(ReadOnlyAdmin):
    """The newest value of every metric."""

    list_display = [
        "device",
        "metric",
        "value",
        "at",
        "sequence",
        "origin_name",
        "mark",
        "explain",
    ]
    list_filter = [("metric__device__community", VisibleOnly)]
    list_select_related = ["metric__device"]
    search_fields = ["metric__name", "metric__label", "metric__device__name"]
    ordering = ["-at", "metric"]

    @admin.display(ordering="metric__device__name")
    def device(self, row: Latest) -> str:
        """The device's name."""
        return row.metric.device.name

    @admin.display
    def value(self, row: Latest) -> str:
        """The value in the metric's unit."""
        if row.number is not None:
            return f"{row.number:.{row.metric.decimals}f} {row.metric.unit}".strip()
        if row.flag is not None:
            return "on" if row.flag else "off"
        return row.text or ""

    @admin.display(description="")
    def explain(self, row: Latest) -> str:
        """To the page that says where the number comes from."""
        at = f"{row.at:%Y-%m-%dT%H:%M:%S.%f}Z"
        query = urlencode({"metric": row.metric_id, "at": at, "sequence": row.sequence})
        return format_html(
            '<a href="{}?{}">Explain</a>', reverse("admin:ingestion_status_explain"), query
        )

    @admin.display(description="revised", ordering="revised")
    def mark(self, row: Latest) -> str:
        """Said of what was revised: a red cross at all else would look like trouble."""
        return "revised" if row.revised else ""

    @admin.display(description="origin")
    def origin_name(self, row: Latest) -> str:
        """How it reached us."""
        return ORIGIN_OF[row.origin].value


class InTheDatabase(ReadOnlyAdmin):
    """A list of a big table: there is none where the tables are not in the database."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        """As the base says, where there is anything to list."""
        return settings.READINGS_ADDRESS is None and super().has_module_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """As the base says, where there is anything to list."""
        return settings.READINGS_ADDRESS is None and super().has_view_permission(request, obj)


class TimeFilter(admin.SimpleListFilter):
    """By the entry's own time; the last day when nothing is chosen.

    Entries of a day are found at once; no index of a site's years keeps them all in their order.
    """

    title = "time"
    parameter_name = "time"
    SPANS: ClassVar = {
        "hour": ("Last hour", timedelta(hours=1)),
        "day": ("Last 24 hours", timedelta(days=1)),
        "week": ("Last 7 days", timedelta(days=7)),
        "any": ("Any time", None),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        """From short to long."""
        return [(name, title) for name, (title, _) in self.SPANS.items()]

    def value(self) -> str:
        """The last day, unless something else is chosen that there is."""
        chosen = super().value()
        return chosen if chosen in self.SPANS else "day"

    @property
    def span(self) -> str:
        """What the list is limited to, in words; empty when it is not."""
        title, span = self.SPANS[self.value()]
        return title.lower() if span else ""

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Without Django's own «All», which would be a second name of one of them."""
        for name, (title, _) in self.SPANS.items():
            yield {
                "selected": name == self.value(),
                "query_string": changelist.get_query_string({self.parameter_name: name}),
                "display": title,
            }

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Also entries ahead of our clock."""
        _, span = self.SPANS[self.value()]
        return queryset.filter(at__gte=timezone.now() - span) if span else queryset


@admin.register(ReceivedEntry)
class ReceivedEntryAdmin(InTheDatabase):
    """Entries as their sources sent them, newest first."""

    change_list_template = "admin/readings/receivedentry/change_list.html"
    list_display = ["at", "source", "sequence", "as_received"]
    list_filter = [TimeFilter, ("source__device", VisibleOnly)]
    list_select_related = ["source__device__community", "source__thingspeakchannel"]

    @admin.display(description="fields as received")
    def as_received(self, row: ReceivedEntry) -> str:
        """The fields as JSON."""
        return json.dumps(row.fields, ensure_ascii=False)


@admin.register(RollupEntry)
class RollupEntryAdmin(InTheDatabase):
    """Days and months of every metric, newest first."""

    list_display = ["bucket", "tier", "device", "metric", "count", "minimum", "average", "maximum"]
    list_filter = ["tier", ("metric__device", VisibleOnly)]
    list_select_related = ["metric__device"]
    search_fields = ["metric__name", "metric__label", "metric__device__name"]

    @admin.display(ordering="metric__device__name")
    def device(self, row: RollupEntry) -> str:
        """The device's name."""
        return row.metric.device.name
