"""Provider accounts: their request budget, where it stands and why, and the end of a pause."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Count
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_POST

from devices.access import sees_everything
from devices.admin.base import VisibleOnly
from devices.admin.history import VersionedAdmin
from devices.models import Connection
from ingestion.admin.connection_form import ConnectionForm
from ingestion.equipment import equipment
from ingestion.resilience.gate import Gate, GateUnavailable
from ingestion.resilience.gate.words import rate_words
from ingestion.standing import NO_REDIS, follow, resume, standing

REFRESH_MS = 2000
_PAGE = "admin:devices_connection_{}"


def gate() -> Gate:
    """The gate of the whole site."""
    return equipment().gate


@admin.register(Connection)
class ConnectionAdmin(VersionedAdmin):
    """Provider accounts: where their API is and how fast we may ask."""

    form = ConnectionForm
    change_form_template = "admin/devices/connection/change_form.html"
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
                "fields": ["preset", ("rate_limit", "rate_window_s")],
                "description": "All channels of this account share this budget. A change is in "
                "force at once, in every worker.",
            },
        ),
        (
            "When the provider asks us to slow down",
            {
                "fields": [
                    ("refusal_pause_s", "slowest_percent"),
                    ("recovery_percent", "rate_jitter_s"),
                ],
                "description": "A 429 pauses the account and halves its rate, which then recovers "
                "by itself. The usual values suit nearly everyone.",
                "classes": ["collapse"],
            },
        ),
        (
            "When the provider does not answer",
            {
                "fields": [
                    ("connect_timeout_s", "read_timeout_s"),
                    ("breaker_failures", "breaker_window_s"),
                    ("breaker_ratio_percent", "breaker_min_calls"),
                    ("breaker_open_s", "breaker_open_max_s"),
                ],
                "description": "After too many failures the provider is left in peace, and then "
                "tried by one request at a time. The usual values suit nearly everyone.",
                "classes": ["collapse"],
            },
        ),
    ]
    ask_with = staticmethod(gate)

    class Media:
        """Own style and script of the live lines and the presets, for both skins."""

        css = {"all": ["admin_pages/connection.css"]}
        js = ["admin_pages/connection.js"]

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
        return rate_words(row.rate_limit, row.rate_window_s)

    @admin.display(description="sources", ordering="sources_counted")
    def sources_used(self, row: Any) -> int:
        """How many sources use the account."""
        return int(row.sources_counted)

    def save_model(self, request: HttpRequest, obj: Connection, form: Any, change: Any) -> None:
        """Saved, and from then on in force in every worker."""
        super().save_model(request, obj, form, change)
        transaction.on_commit(partial(self._put_in_force, request, obj))

    def _put_in_force(self, request: HttpRequest, account: Connection) -> None:
        try:
            follow(account, self.ask_with())
        except GateUnavailable:
            self.message_user(request, f"Saved. {NO_REDIS}", messages.WARNING)

    # --- where the limiter stands -------------------------------------------------------------

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """The form, below where the account stands now."""
        account = context.get("original")
        if isinstance(account, Connection):
            # What is stored, not what was typed: the gate would take it for the newest settings.
            context |= self._standing(request, self.get_queryset(request).get(pk=account.pk))
        response: HttpResponse = super().render_change_form(request, context, *args, **kwargs)
        return response

    def _standing(self, request: HttpRequest, account: Connection) -> dict[str, Any]:
        return {
            "account": account,
            "standing": standing(account, self.ask_with(), timezone.now()),
            "may_resume": self.has_change_permission(request, account),
            "refresh_ms": REFRESH_MS,
        }

    def get_urls(self) -> list[URLPattern]:
        """The live lines, and the end of a pause."""
        views = (("now", self.now_view), ("resume", self.resume_view))
        own = [
            path(
                f"<path:object_id>/{name}/",
                self.admin_site.admin_view(view),
                name=f"devices_connection_{name}",
            )
            for name, view in views
        ]
        return [*own, *super().get_urls()]

    def _found(self, request: HttpRequest, object_id: str) -> Connection:
        account = self.get_object(request, object_id)
        if not isinstance(account, Connection):
            raise Http404
        return account

    def now_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The live lines as they are now; the page's script fetches them every two seconds."""
        context = self._standing(request, self._found(request, object_id))
        answer = TemplateResponse(request, "admin/devices/connection/now.html", context)
        answer["Cache-Control"] = "no-store"
        return answer

    @method_decorator(require_POST)
    def resume_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """End a pause that the provider imposed, because a person knows better."""
        account = self._found(request, object_id)
        if not self.has_change_permission(request, account):
            raise PermissionDenied
        try:
            ended = resume(account, self.ask_with())
        except GateUnavailable:
            self.message_user(request, f"The pause was not ended. {NO_REDIS}", messages.ERROR)
        else:
            self._tell_resumed(request, account, ended=ended)
        return HttpResponseRedirect(reverse(_PAGE.format("change"), args=[account.pk]))

    def _tell_resumed(self, request: HttpRequest, account: Connection, *, ended: bool) -> None:
        if not ended:
            self.message_user(request, "There was no pause left to end.", messages.INFO)
            return
        if request.user.pk is not None:
            LogEntry.objects.log_actions(
                request.user.pk, [account], CHANGE, change_message="Pause ended by hand."
            )
        self.message_user(
            request,
            "The pause is over and the provider is asked again now. If it still refuses, a new "
            "pause begins by itself.",
            messages.SUCCESS,
        )
