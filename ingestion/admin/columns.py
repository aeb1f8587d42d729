"""What lists and pages say about a source: how its polling goes, in words and links."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from devices.admin.base import link
from devices.models import Source
from devices.phrases import shortened
from ingestion.admin import words
from ingestion.admin.strip import completeness_strip
from ingestion.models import MappingPause, PollState

LINE = 90
"""Characters of a message in a list; the channel's own page tells all of it."""


def with_fields_changed(sources: QuerySet[Any]) -> QuerySet[Any]:
    """Sources that know whether a changed field keeps a mapping of theirs paused."""
    holding = MappingPause.objects.filter(
        source=OuterRef("pk"), resolved_at__isnull=True, until__isnull=True
    )
    knowing: QuerySet[Any] = sources.annotate(fields_changed=Exists(holding))
    return knowing


class FieldsFilter(admin.SimpleListFilter):
    """By whether changed fields keep mappings paused: such a source answers well."""

    title = "fields"
    parameter_name = "fields"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        """Changed, or as they were."""
        return [("changed", "Changed"), ("same", "As mapped")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Sources that wait for somebody, or the others."""
        if self.value() in ("changed", "same"):
            return queryset.filter(fields_changed=self.value() == "changed")
        return queryset


class PollingColumns:
    """Columns of a list of sources, and read-only fields of a source's page."""

    @admin.display(description="community", ordering="device__community__name")
    def community(self, row: Source) -> str:
        """The device's community."""
        return str(row.device.community)

    @admin.display(description="state", ordering="poll_state__last_outcome")
    def state(self, row: Source) -> str:
        """How polling goes, in words."""
        changed = getattr(row, "fields_changed", False)  # see `with_fields_changed`
        return words.state_of(row, _state(row), fields_changed=changed)

    @admin.display(description="last success", ordering="poll_state__last_success_at")
    def last_success(self, row: Source) -> str:
        """When an answer last came."""
        state = _state(row)
        return words.moment(state.last_success_at if state else None)

    @admin.display(description="next poll", ordering="poll_state__next_poll_at")
    def next_poll(self, row: Source) -> str:
        """When the channel is due."""
        state = _state(row)
        if not is_asked(row):
            return "not while switched off"
        return words.due(state.next_poll_at if state else None)

    @admin.display(description="last message", ordering="poll_state__last_message")
    def last_message(self, row: Source) -> SafeString:
        """What the last poll said; a long text whole where a pointer rests on it."""
        state = _state(row)
        said = state.last_message if state else ""
        return format_html('<span title="{}">{}</span>', said, shortened(said, LINE))

    @admin.display(description="what the last poll said")
    def whole_message(self, row: Source) -> str:
        """The same on a page of its own, where nothing is left out."""
        state = _state(row)
        return (state.last_message if state else "") or "nothing yet"

    @admin.display(description="read up to")
    def cursor(self, row: Source) -> SafeString | str:
        """The newest entry read."""
        state = _state(row)
        if state is None or state.cursor_at is None:
            return "nothing yet"
        entry = f", entry {state.cursor_sequence}" if state.cursor_sequence is not None else ""
        return format_html(
            "{} UTC ({}){}", f"{state.cursor_at:%Y-%m-%d %H:%M:%S}",
            words.moment(state.cursor_at), entry,
        )  # fmt: skip

    @admin.display(description="in a row")
    def counters(self, row: Source) -> str:
        """Misses and failures in a row."""
        state = _state(row)
        if state is None:
            return "no polls yet"
        return f"{state.misses} polls without a reading that was due, {state.failures} failed polls"

    @admin.display(description="completeness, last 28 days")
    def completeness(self, row: Source) -> SafeString | str:
        """How much of each day was read."""
        return completeness_strip(row, timezone.now())

    @admin.display(description="look into")
    def logs(self, row: Source) -> SafeString:
        """Links to everything that is logged about the channel, and to its device."""
        links = [
            words.list_of("polllog", row, "Poll log"),
            words.list_of("rejection", row, "Rejections"),
            words.list_of("gap", row, "Gaps"),
            link(f"{reverse('admin:ingestion_gap_add')}?source={row.pk}", "Read a range again"),
            link(row.device.get_absolute_url(), "Device's dashboard"),
        ]
        return format_html_join(" · ", "{}", ((one,) for one in links))


def _state(row: Source) -> PollState | None:
    return getattr(row, "poll_state", None)


def is_asked(row: Source) -> bool:
    """Whether the source is polled at all: it, its device and its connection are switched on."""
    return row.enabled and row.device.enabled and row.connection.enabled
