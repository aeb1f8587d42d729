"""Admin of renamed fields: accept the names that a channel gives its fields now."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_POST

from devices.admin.base import ScopedAdmin
from devices.models import ThingSpeakChannel
from ingestion.drift import accept_field_names


class AcceptsFieldNames(ScopedAdmin):
    """A list action and a page's button; both log what they changed."""

    def get_urls(self) -> list[URLPattern]:
        """The button's address."""
        accept = path(
            "<path:object_id>/accept-names/",
            self.admin_site.admin_view(self.accept_names_view),
            name="devices_thingspeakchannel_accept_names",
        )
        return [accept, *super().get_urls()]

    @method_decorator(require_POST)
    def accept_names_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Accept a channel's present field names and return to its page."""
        channel = self.get_object(request, object_id)
        if channel is None:
            raise Http404
        if not self.has_change_permission(request, channel):
            raise PermissionDenied
        self._accept(request, [channel])
        return HttpResponseRedirect(
            reverse("admin:devices_thingspeakchannel_change", args=[channel.pk])
        )

    @admin.action(description="Accept the present field names", permissions=["change"])
    def accept_names(self, request: HttpRequest, queryset: QuerySet[ThingSpeakChannel]) -> None:
        """Accept the chosen channels' present field names, as far as the user operates them."""
        mine = ThingSpeakChannel.objects.operable_by(request.user)
        self._accept(request, list(queryset.filter(pk__in=mine)))

    def _accept(self, request: HttpRequest, channels: Sequence[ThingSpeakChannel]) -> None:
        for channel in channels:
            changed = accept_field_names(channel, timezone.now())
            if not changed:
                text = f"{channel}: its fields have the names they were mapped with."
                self.message_user(request, text, messages.INFO)
                continue
            text = "; ".join(changed)
            if request.user.pk is not None:
                LogEntry.objects.log_actions(
                    request.user.pk, [channel], CHANGE, change_message=f"Accepted {text}."
                )
            note = "What arrived since the renaming is read again and stored."
            self.message_user(request, f"{channel}: {text}. {note}", messages.SUCCESS)
