"""How long each priority class waits for more urgent ones: four rows, edited in the list."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from devices.access import sees_everything
from devices.admin.base import PageAdmin
from devices.models import Priority
from ingestion.models import STANDARD_SLACK_S, PrioritySlack


@admin.register(PrioritySlack)
class PrioritySlackAdmin(PageAdmin):
    """Concerns every community, so the site's administrator decides; nobody adds or deletes."""

    list_display = ["priority", "slack_s", "standard", "meaning"]
    list_display_links: Any = None
    list_editable = ["slack_s"]
    change_list_template = "admin/ingestion/priorityslack/change_list.html"
    ordering = ["priority"]
    fields = ["slack_s"]
    actions: Any = None

    @admin.display(description="standard")
    def standard(self, row: PrioritySlack) -> str:
        """What a new site starts from."""
        return f"{STANDARD_SLACK_S[Priority(row.priority)]} s"

    @admin.display(description="queues")
    def meaning(self, row: PrioritySlack) -> str:
        """In words."""
        return f"as if due {row.slack_s} s later" if row.slack_s else "at its due time"

    def has_module_permission(self, request: HttpRequest) -> bool:
        """The administrator."""
        return sees_everything(request.user)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The administrator."""
        return sees_everything(request.user)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The administrator."""
        return sees_everything(request.user)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody: there is one for each class."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False
