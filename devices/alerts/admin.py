"""Alerts: read and acknowledged by people, opened and resolved by the site."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from devices.admin.base import ReadOnlyAdmin, VisibleOnly, operates_anything
from devices.alerts.models import Alert


class OpenFilter(admin.SimpleListFilter):
    """Open alerts, or resolved ones."""

    title = "state"
    parameter_name = "open"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The two states."""
        return [("yes", "Open"), ("no", "Resolved")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Alert]) -> QuerySet[Alert]:
        """Alerts in the chosen state."""
        if self.value() in ("yes", "no"):
            return queryset.filter(resolved_at__isnull=self.value() == "yes")
        return queryset


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    """What is or was wrong, since when, and who knows about it."""

    list_display = [
        "opened_at", "severity", "text", "kind", "community", "device", "state",
        "acknowledged_by",
    ]  # fmt: skip
    list_display_links = ["opened_at"]
    list_filter = [OpenFilter, "severity", "kind", ("community", VisibleOnly), "opened_at"]
    list_select_related = ["community", "device", "acknowledged_by"]
    search_fields = ["text", "device__name", "community__name"]
    actions = ["acknowledge"]

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Staff who operate a community may acknowledge."""
        return operates_anything(request)

    @admin.display(description="state", ordering="resolved_at")
    def state(self, row: Alert) -> str:
        """Whether it is still wrong, and who knows."""
        if row.resolved_at is not None:
            return "Resolved"
        return "Open, acknowledged" if row.acknowledged_at else "Open"

    @admin.action(description="Acknowledge: I know and take care", permissions=["operate"])
    def acknowledge(self, request: HttpRequest, queryset: QuerySet[Alert]) -> None:
        """Note who takes care of the chosen open alerts of communities that the user operates."""
        mine = Alert.objects.operable_by(request.user)
        chosen = queryset.filter(pk__in=mine, resolved_at__isnull=True, acknowledged_at=None)
        rows = list(chosen)
        Alert.objects.filter(pk__in=[row.pk for row in rows]).update(
            acknowledged_at=timezone.now(), acknowledged_by=request.user.pk
        )
        if rows and request.user.pk is not None:
            LogEntry.objects.log_actions(
                request.user.pk, rows, CHANGE, change_message="Acknowledged."
            )
        self.message_user(request, f"{len(rows)} open alerts acknowledged.")
