"""Gaps in the admin: what is read, how far it is, and asking for a range to be read again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from devices.admin.base import is_staff, operates_anything
from devices.models import Source
from ingestion.admin import words
from ingestion.admin.channels import SAVE_BUTTONS
from ingestion.admin.logs import COMMUNITY, SEARCH, OfSource
from ingestion.gaps import backfill
from ingestion.models import UNREAD, Gap, GapReason

if TYPE_CHECKING:
    _Form = forms.ModelForm[Gap]
else:
    _Form = forms.ModelForm

ESTIMATE = "_estimate"


class BackfillForm(_Form):
    """A range of a source. «Estimate» makes it invalid on purpose: nothing is saved then."""

    class Meta:
        model = Gap
        fields = ["source", "since", "until"]
        labels = {"since": "From (UTC)", "until": "Until (UTC)"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.estimate: backfill.Estimate | None = None
        if "since" in self.fields:  # not while it is only shown
            self.fields["since"].required = False
            self.fields["since"].help_text = "Empty: from the beginning of the source."
            self.fields["until"].help_text = "What comes after it is read by live polling."

    def clean(self) -> dict[str, Any]:
        """The range as it can be read."""
        given = super().clean() or {}
        if "since" in given and "until" in given:
            try:
                given["since"], given["until"] = backfill.checked(
                    given["since"], given["until"], timezone.now()
                )
            except backfill.BadRange as error:
                self.add_error("since", str(error))
        return given

    def is_valid(self) -> bool:
        """Whether to save; an estimate is made of what could be saved."""
        valid = super().is_valid()
        if not valid or ESTIMATE not in self.data:
            return valid
        given = self.cleaned_data
        self.estimate = backfill.estimate(given["source"], given["since"], given["until"])
        return False


@admin.register(Gap)
class GapAdmin(OfSource):
    """Ranges that were not read yet, are read again on request, or are lost at the source."""

    form = BackfillForm
    change_form_template = "admin/ingestion/gap/change_form.html"
    list_display = [
        "range", "source_link", "community", "reason", "state", "progress", "entries",
        "missing", "message_words",
    ]  # fmt: skip
    list_display_links = ["range"]
    list_filter = ["state", "reason", COMMUNITY, "found_at"]
    list_select_related = [
        "source__device__community", "source__connection", "source__poll_state", "requested_by",
    ]  # fmt: skip
    search_fields = [*SEARCH, "message"]
    actions = ["cancel_chosen"]
    shown = [
        "source_link", "community", "range", "reason", "state", "progress", "entries", "expected",
        "missing", "message_words", "found", "next_try", "requested_by",
    ]  # fmt: skip

    class Media:
        """Style of the panel, shared with verifying channels, and of progress."""

        css = {"all": ["admin_pages/verify.css", "admin_pages/completeness.css"]}

    # --- what is shown ------------------------------------------------------------------------

    @admin.display(description="range (UTC)", ordering="range_until")
    def range(self, row: Gap) -> str:
        """From when until when."""
        return str(row)

    @admin.display(description="read", ordering="until")
    def progress(self, row: Gap) -> SafeString | str:
        """How much was read, and how far back."""
        if row.state not in UNREAD:
            return "–" if row.missing else f"{row.percent} %"
        back = f", back to {row.until:%Y-%m-%d %H:%M}" if row.until < row.range_until else ""
        return format_html(
            '<progress max="100" value="{}" aria-label="read"></progress> {} %{}',
            row.percent, row.percent, back,
        )  # fmt: skip

    @admin.display(description="message", ordering="message")
    def message_words(self, row: Gap) -> str:
        """What came of it, or why nothing comes at the moment."""
        return backfill.waits_for(row) or row.message

    @admin.display(description="found")
    def found(self, row: Gap) -> str:
        """When it was found or asked for."""
        return f"{words.clock(row.found_at)} UTC"

    @admin.display(description="next try")
    def next_try(self, row: Gap) -> SafeString | str:
        """When the next page is due."""
        return words.due(row.next_try_at) if row.state in UNREAD else "closed"

    # --- reading a range again ----------------------------------------------------------------

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whoever operates a community has ranges of its sources read again."""
        return is_staff(request) and operates_anything(request)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """A new one is asked for; others are shown."""
        return self.shown if obj else ["source", "since", "until"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Nothing of a gap is edited."""
        return self.shown if obj else []

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """The source that a link names; until now."""
        source = request.GET.get("source", "")
        now = timezone.now().replace(microsecond=0)
        return {"source": source if source.isdigit() else None, "until": now}

    def get_field_queryset(self, db: str | None, db_field: Any, request: HttpRequest) -> Any:
        """Sources with all that the choices say of them, in the order in which it is read."""
        rows = super().get_field_queryset(db, db_field, request)
        if rows is not None and rows.model is Source:
            said = rows.select_related("device__community", "thingspeakchannel")
            return said.order_by("device__community__name", "device__name", "pk")
        return rows

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Django's page, titled by what it does."""
        title = {} if object_id else {"title": "Read a range again"}
        page = super().changeform_view(
            request, object_id, form_url, {**title, **(extra_context or {})}
        )
        context = getattr(page, "context_data", None)
        if context is not None and "adminform" in context:
            form = context["adminform"].form
            if not object_id:  # the panel has the buttons
                context.update(dict.fromkeys(SAVE_BUTTONS, False))
            context["estimate"] = getattr(form, "estimate", None)
            context["cancellable"] = self._cancellable(request, context.get("original"))
        return page

    def save_model(self, request: HttpRequest, obj: Gap, form: Any, change: bool) -> None:
        """Ask for the range."""
        gap = backfill.request_backfill(
            obj.source, obj.since, obj.until, timezone.now(), cast("User", request.user)
        )
        obj.pk, obj.range_until = gap.pk, gap.range_until

    def response_add(
        self, request: HttpRequest, obj: Gap, post_url_continue: str | None = None
    ) -> HttpResponse:
        """The gap's page, where its progress shows."""
        self.message_user(
            request,
            "The range is queued. It is read page by page while live polling leaves room; reload "
            "this page to see how far it is.",
            messages.SUCCESS,
        )
        return HttpResponseRedirect(reverse("admin:ingestion_gap_change", args=[obj.pk]))

    # --- cancelling ---------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        """Cancel a requested range."""
        cancel = path(
            "<path:object_id>/cancel/",
            self.admin_site.admin_view(self.cancel_view),
            name="ingestion_gap_cancel",
        )
        return [cancel, *super().get_urls()]

    @method_decorator(require_POST)
    def cancel_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Stop reading a range, and return to its page."""
        gap = self.get_object(request, object_id)
        if gap is None:
            raise Http404
        if not self._operates(request, gap):
            raise PermissionDenied
        self._cancel(request, [gap])
        return HttpResponseRedirect(reverse("admin:ingestion_gap_change", args=[gap.pk]))

    @admin.action(description="Cancel chosen requests", permissions=["add"])
    def cancel_chosen(self, request: HttpRequest, queryset: QuerySet[Gap]) -> None:
        """Stop reading the chosen ranges, as far as the user operates their sources."""
        mine = Gap.objects.operable_by(request.user)
        self._cancel(request, list(queryset.filter(pk__in=mine)))

    def _cancel(self, request: HttpRequest, gaps: list[Gap]) -> None:
        stopped = sum(backfill.cancel(gap, timezone.now()) for gap in gaps)
        text = f"{stopped} cancelled. What was read stays."
        if not stopped:
            text = "Nothing to cancel: only open ranges that somebody asked for can be stopped."
        self.message_user(request, text, messages.SUCCESS if stopped else messages.WARNING)

    def _cancellable(self, request: HttpRequest, gap: Gap | None) -> bool:
        if gap is None or gap.reason != GapReason.REQUESTED or gap.state not in UNREAD:
            return False
        return self._operates(request, gap)

    def _operates(self, request: HttpRequest, gap: Gap) -> bool:
        return Gap.objects.operable_by(request.user).filter(pk=gap.pk).exists()
