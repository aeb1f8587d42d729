"""Provider accounts."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Count
from django.forms import ModelForm
from django.http import HttpRequest

from devices.access import sees_everything
from devices.admin.base import VisibleOnly
from devices.admin.history import VersionedAdmin
from devices.forms import KeepsSecrets
from devices.models import Connection


class ConnectionForm(KeepsSecrets):
    """An account; a stored key never follows a change of address by itself."""

    def clean(self) -> dict[str, Any]:
        """Refuse to send a stored key to another host than the one it was entered for."""
        data: dict[str, Any] = super().clean() or {}
        before = urlsplit(str(self.initial.get("base_url", "")))
        after = urlsplit(data.get("base_url", ""))
        moved = self.instance.pk and (before.scheme, before.netloc) != (after.scheme, after.netloc)
        if moved and "base_url" in data and self.instance.account_key and not data["account_key"]:
            raise ValidationError(
                {
                    "account_key": "The address changed. Enter the key again for the new address, "
                    "or a single - to remove it: it is not sent to another host by itself."
                }
            )
        return data


@admin.register(Connection)
class ConnectionAdmin(VersionedAdmin):
    """Provider accounts: where their API is and how fast we may ask."""

    form = ConnectionForm
    list_display = ["name", "kind", "base_url", "community", "budget", "sources_used", "enabled"]
    list_filter = ["kind", "enabled", ("community", VisibleOnly)]
    list_select_related = ["community"]
    ordering = ["name"]
    search_fields = ["name", "base_url"]
    autocomplete_fields = ["community"]
    fieldsets = [
        (None, {"fields": ["name", "community", "kind", "base_url", "account_key", "enabled"]}),
        (
            "How fast we may ask",
            {
                "fields": [("rate_limit", "rate_window_s")],
                "description": "All channels of this account share this budget. ThingSpeak "
                "documents no limit for reading; 60 requests a minute is polite.",
            },
        ),
        (
            "When the provider does not answer",
            {
                "fields": [
                    ("connect_timeout_s", "read_timeout_s"),
                    ("breaker_failures", "breaker_open_s"),
                ],
                "description": "The usual values suit nearly everyone.",
            },
        ),
    ]

    def get_queryset(self, request: HttpRequest) -> Any:
        """With the number of sources for the list."""
        rows = super().get_queryset(request)
        return rows.annotate(sources_counted=Count("sources"))

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> type[ModelForm[Any]]:
        """Only the administrator makes accounts that several communities share."""
        form = super().get_form(request, obj, change, **kwargs)
        if "community" in form.base_fields and not sees_everything(request.user):
            form.base_fields["community"].required = True
            form.base_fields["community"].help_text = "The community that uses this account."
        return form

    @admin.display(description="request budget")
    def budget(self, row: Connection) -> str:
        """The budget in words."""
        return f"{row.rate_limit} in {row.rate_window_s} s"

    @admin.display(description="sources", ordering="sources_counted")
    def sources_used(self, row: Any) -> int:
        """How many sources use the account."""
        return int(row.sources_counted)
