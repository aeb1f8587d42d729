"""Pages of rows whose former versions are kept: read by whoever sees the row, changed by nobody."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.utils import unquote
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from simple_history.admin import SimpleHistoryAdmin

from devices.access import sees_everything
from devices.admin.base import ScopedAdmin


class VersionedAdmin(SimpleHistoryAdmin, ScopedAdmin):  # type: ignore[misc]  # untyped library
    """A page of rows of communities, with their history.

    The library finds a version whoever asks, answers 403 where it has found one, and lets whoever
    may read it save it as the row's present; SIMPLE_HISTORY_REVERT_DISABLED only hides the button.
    """

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The versions of a row that the user may see; others do not exist."""
        self._find(request, object_id)
        answer: HttpResponse = super().history_view(request, object_id, extra_context)
        return answer

    def history_form_view(
        self,
        request: HttpRequest,
        object_id: str,
        version_id: str,
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """One version, to read: what was once is never saved again from here."""
        self._find(request, object_id)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        answer: HttpResponse = super().history_form_view(
            request, object_id, version_id, extra_context
        )
        return answer

    def _find(self, request: HttpRequest, object_id: str) -> None:
        """Raise Http404 unless the user sees the row; the administrator also sees deleted ones."""
        known = self.get_object(request, unquote(object_id)) is not None
        if not known and not sees_everything(request.user):
            raise Http404
