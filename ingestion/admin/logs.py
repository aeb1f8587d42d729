"""What the site itself wrote while polling: read-only, scoped, searchable."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from devices.admin.base import ReadOnlyAdmin, VisibleOnly, link
from devices.models import Source, SourceKind
from ingestion.admin import words
from ingestion.models import PollLog, PollState, Rejection, SourceEvent

COMMUNITY = ("source__device__community", VisibleOnly)
CONNECTION = ("source__connection", VisibleOnly)
SEARCH = ["source__device__name", "=source__thingspeakchannel__channel_id"]


class _Choices(admin.SimpleListFilter):
    """By a closed set of stored words: asking the table for them would read all of it."""

    parameter_name: str

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        value = self.value()
        return queryset.filter(**{self.parameter_name: value}) if value else queryset


class OutcomeFilter(_Choices):
    """By what came of the poll."""

    title = "outcome"
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        """All outcomes there are."""
        return words.OUTCOME_CHOICES


class LastOutcomeFilter(OutcomeFilter):
    """By what came of the last poll."""

    title = "last outcome"
    parameter_name = "last_outcome"


class ReasonFilter(_Choices):
    """By why something was refused."""

    title = "reason"
    parameter_name = "reason"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        """All reasons there are."""
        return words.REASON_CHOICES


class OfSource(ReadOnlyAdmin):
    """Rows that belong to a source."""

    list_select_related = ["source__device__community"]

    @admin.display(description="source", ordering="source__device__name")
    def source_link(self, row: Any) -> SafeString | str:
        """The device, linking to the source's page."""
        source: Source = row.source
        if source.kind != SourceKind.THINGSPEAK:
            return str(source)
        page = reverse("admin:devices_thingspeakchannel_change", args=[source.pk])
        return link(page, source.device.name)

    @admin.display(description="community", ordering="source__device__community__name")
    def community(self, row: Any) -> str:
        """The source's community."""
        return str(row.source.device.community)


@admin.register(PollState)
class PollStateAdmin(OfSource):
    """When each source is asked next, and how far it was read."""

    list_display = [
        "source_link", "community", "outcome_words", "last_success", "next_poll", "misses",
        "failures", "last_message",
    ]  # fmt: skip
    list_display_links = ["outcome_words"]
    list_filter = [COMMUNITY, LastOutcomeFilter]
    search_fields = [*SEARCH, "last_message", "remote_name"]

    @admin.display(description="last outcome", ordering="last_outcome")
    def outcome_words(self, row: PollState) -> str:
        """The last outcome in words."""
        return words.outcome(row.last_outcome)

    @admin.display(description="last success", ordering="last_success_at")
    def last_success(self, row: PollState) -> str:
        """When an answer last came."""
        return words.moment(row.last_success_at)

    @admin.display(description="next poll", ordering="next_poll_at")
    def next_poll(self, row: PollState) -> str:
        """When the source is due."""
        return words.due(row.next_poll_at)


@admin.register(PollLog)
class PollLogAdmin(OfSource):
    """Every poll, with outcome and duration: «why did nothing arrive?»."""

    list_display = [
        "began", "source_link", "community", "outcome_words", "status", "took", "entries",
        "readings", "refused", "message",
    ]  # fmt: skip
    list_display_links = ["began"]
    list_filter = [OutcomeFilter, "lane", CONNECTION, COMMUNITY, "at"]
    search_fields = [*SEARCH, "message"]

    @admin.display(description="began (UTC)", ordering="at")
    def began(self, row: PollLog) -> str:
        """When the poll began, to the second."""
        return words.clock(row.at)

    @admin.display(description="outcome", ordering="outcome")
    def outcome_words(self, row: PollLog) -> str:
        """The outcome in words."""
        return words.outcome(row.outcome)

    @admin.display(description="took", ordering="duration_ms")
    def took(self, row: PollLog) -> str:
        """How long the poll took."""
        return f"{row.duration_ms:.0f} ms"


@admin.register(Rejection)
class RejectionAdmin(OfSource):
    """What was received and not stored, with the reason."""

    list_display = [
        "received", "source_link", "community", "field", "raw", "reason_words", "detail",
        "entry_time",
    ]  # fmt: skip
    list_display_links = ["received"]
    list_filter = [ReasonFilter, CONNECTION, COMMUNITY, "received_at"]
    search_fields = [*SEARCH, "detail", "raw"]

    @admin.display(description="received (UTC)", ordering="received_at")
    def received(self, row: Rejection) -> str:
        """When it was first received, to the second."""
        return words.clock(row.received_at)

    @admin.display(description="entry's time (UTC)", ordering="entry_at")
    def entry_time(self, row: Rejection) -> str:
        """The entry's own time."""
        return words.clock(row.entry_at)

    @admin.display(description="reason", ordering="reason")
    def reason_words(self, row: Rejection) -> str:
        """The reason in words."""
        return words.reason(row.reason)


@admin.register(SourceEvent)
class SourceEventAdmin(OfSource):
    """What happened to sources: fields renamed, channels cleared, imports, corrections."""

    list_display = ["when", "source_link", "community", "kind", "text", "by"]
    list_display_links = ["when"]
    list_filter = ["kind", COMMUNITY, "at"]
    list_select_related = ["source__device__community", "by"]
    search_fields = [*SEARCH, "text"]

    @admin.display(description="at (UTC)", ordering="at")
    def when(self, row: SourceEvent) -> str:
        """When it happened, to the second."""
        return words.clock(row.at)
