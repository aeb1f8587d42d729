"""Changed fields and fingerprints of all sources: read-only, scoped, searchable."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from ingestion.admin import words
from ingestion.admin.logs import COMMUNITY, SEARCH, OfSource
from ingestion.models import FieldProfile, MappingPause


class WaitingFilter(admin.SimpleListFilter):
    """By whether somebody still has to decide."""

    title = "decision"
    parameter_name = "decided"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        """Waiting or decided."""
        return [("no", "Waits for somebody"), ("yes", "Decided")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Undecided ones, or the others."""
        if self.value() in ("no", "yes"):
            return queryset.filter(resolved_at__isnull=self.value() == "no")
        return queryset


@admin.register(MappingPause)
class MappingPauseAdmin(OfSource):
    """Changed fields: what waits for a decision, and what was decided."""

    list_display = [
        "found", "source_link", "community", "field", "kind", "text", "state", "resolved_by",
    ]  # fmt: skip
    list_display_links = ["found"]
    list_filter = [WaitingFilter, "kind", COMMUNITY, "found_at"]
    list_select_related = ["source__device__community", "mapping__metric", "resolved_by"]
    search_fields = [*SEARCH, "text"]

    @admin.display(description="found (UTC)", ordering="found_at")
    def found(self, row: MappingPause) -> str:
        """When it was found, to the second."""
        return words.clock(row.found_at)

    @admin.display(description="field", ordering="mapping__field")
    def field(self, row: MappingPause) -> str:
        """The field and what it feeds."""
        return f"{row.mapping.field} → {row.mapping.metric.label}"

    @admin.display(description="state", ordering="resolved_at")
    def state(self, row: MappingPause) -> str:
        """Whether it still holds, and what was decided."""
        if row.resolved_at is not None:
            return str(row.get_resolution_display())
        return "Paused" if row.holds else "Rows wait for a decision"


@admin.register(FieldProfile)
class FieldProfileAdmin(OfSource):
    """What is usual for each field, as received: changes are measured by it."""

    list_display = [
        "source_link", "community", "field", "label", "count", "level", "spread", "step",
        "numbers", "suspected", "updated_at",
    ]  # fmt: skip
    list_display_links = ["field"]
    list_filter = [COMMUNITY]
    search_fields = [*SEARCH, "field", "label"]

    @admin.display(description="under suspicion", boolean=True)
    def suspected(self, row: FieldProfile) -> bool:
        """Whether its last values wait for a verdict."""
        return row.suspicion is not None
