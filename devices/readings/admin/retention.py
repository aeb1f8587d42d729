"""How long readings are kept: the rules, and what goes by them before anything happens."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from devices.admin.base import PageAdmin
from devices.phrases import plural
from devices.readings.archiving import holdings
from devices.readings.models import RetentionRule
from devices.readings.outlook import SOON, outlook
from devices.readings.retention import NOTICE
from devices.readings.store import get_store
from devices.readings.store.dropping import KEPT_LONGER


def days_of(days: int | None) -> str:
    """A length of keeping, for people."""
    return "for ever" if days is None else plural(days, "day")


@admin.register(RetentionRule)
class RetentionRuleAdmin(PageAdmin):
    """The administrator's: what goes, goes for a whole community."""

    change_list_template = "admin/readings/retentionrule/change_list.html"
    list_display = ["whom", "readings", "hours", "days_and_months", "changed_at"]
    list_display_links = ["whom"]
    list_select_related = ["community", "type"]
    autocomplete_fields = ["community"]

    class Media:
        """Style of the panel."""

        css = {"all": ["admin_pages/verify.css", "admin_pages/retention.css"]}

    @admin.display(description="of")
    def whom(self, row: RetentionRule) -> str:
        """Whom it is about."""
        return str(row)

    @admin.display(description="single readings", ordering="readings_days")
    def readings(self, row: RetentionRule) -> str:
        """How long they are kept, and what then."""
        archived = row.archive and row.readings_days is not None
        return days_of(row.readings_days) + (", then in the archive" if archived else "")

    @admin.display(description="hours", ordering="hours_days")
    def hours(self, row: RetentionRule) -> str:
        """How long they are kept."""
        return days_of(row.hours_days)

    @admin.display(description="days, months")
    def days_and_months(self, row: RetentionRule) -> str:
        """They stay."""
        return "for ever"

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[RetentionRule]) -> None:
        """One by one: whichever rules take their place give notice."""
        for rule in queryset:
            rule.delete()

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The rules below what they will do."""
        now = timezone.now()
        plan = {
            "now": now,
            "outlook": outlook(now),
            "archive": holdings(),
            "whole_months": get_store().drops_whole_months(),
            "notice": NOTICE.days,
            "soon": SOON.days,
            "longer": KEPT_LONGER.days,
        }
        return super().changelist_view(request, {**(extra_context or {}), **plan})
