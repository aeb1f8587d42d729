"""Admin of changed fields: what changed, what waits, and a button for each thing that can be done.

A decision is one click: the mapping, the pause, the event and the recalculation in one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.views.decorators.http import require_POST

from devices.admin.base import ScopedAdmin, link
from devices.masking import shown
from devices.models import Source, ThingSpeakChannel
from ingestion import recalculation
from ingestion.drift.accepting import accept_field_names
from ingestion.drift.fixes import CannotFix, Decision, Fix, apply, fitting, target_of
from ingestion.drift.preview import Line, lines
from ingestion.drift.rows import WaitingRows
from ingestion.drift.telling import meaning
from ingestion.models import MappingPause

SAMPLES = 6


@dataclass(frozen=True, slots=True)
class Button:
    """One thing that can be done: what the button says and sends, and what would come of it."""

    value: str
    title: str
    explains: str
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Case:
    """A pause as the page shows it."""

    pause: MappingPause
    field: str
    before: str
    now: Sequence[str]
    count: int
    buttons: Sequence[Button]

    @property
    def severity(self) -> str:
        """How it looks: rows that only wait are less urgent than a field that is paused."""
        return "bad" if self.pause.holds else "warning"


def cases(source: Source) -> list[Case]:
    """Everything about a source's fields that waits for a decision."""
    undecided = MappingPause.objects.filter(source=source, resolved_at=None)
    loaded = undecided.select_related("mapping__metric", "source__device__community")
    return [_case(one) for one in loaded.order_by("mapping__field", "since")]


def _case(pause: MappingPause) -> Case:
    rows = WaitingRows(pause)
    texts = [one.fields.get(rows.field) for one in rows.first]
    return Case(
        pause=pause,
        field=rows.field,
        before=_before(rows),
        now=[shown(text.strip())[:40] for text in texts if text and text.strip()][:SAMPLES],
        count=rows.count,
        buttons=[_button(fix, rows) for fix in fitting(pause, rows)],
    )


def _before(rows: WaitingRows) -> str:
    """What the field said before, as received."""
    usual, last = rows.pause.evidence.get("usual"), rows.anchor
    parts = [f"last {last:g}"] if last is not None else []
    if usual:
        parts.append(f"usually {usual[0]:g} to {usual[1]:g}")
    return ", ".join(parts)


def _button(fix: Fix, rows: WaitingRows) -> Button:
    title, explains = _words(fix, rows)
    return Button(f"{rows.pause.pk}:{fix}", title, explains, lines(fix, rows))


def _words(fix: Fix, rows: WaitingRows) -> tuple[str, str]:
    pause = rows.pause
    if fix is Fix.ACCEPT_NAME:
        return (
            f"Accept the new name “{pause.evidence['now']}”",
            "It still measures the same: what waits is stored as before.",
        )
    if fix is Fix.FOLLOW:
        return _follow_words(rows)
    if fix is Fix.CONVERT:
        return _convert_words(rows)
    if fix is Fix.GO_ON and not pause.holds:
        return _PLAIN[fix][0], "They are stored as before, through the field that was read then."
    return _PLAIN[fix]


def _follow_words(rows: WaitingRows) -> tuple[str, str]:
    pause, target = rows.pause, target_of(rows.pause)
    since = f"{rows.begins(rows.read_from(target)):%Y-%m-%d %H:%M:%S} UTC"
    read = f"{pause.mapping.metric.label} is read from {target} for "
    if pause.until is not None:
        return (
            "The fields were swapped meanwhile: read these rows so",
            f"{read}these rows alone; what came before and after stays.",
        )
    return (
        "The fields were swapped: swap the mappings",
        f"{read}entries from {since} on; what came before stays.",
    )


def _convert_words(rows: WaitingRows) -> tuple[str, str]:
    change = rows.change
    if change is None:
        return "Convert", ""
    since = f"{rows.begins(rows.converted(change)):%Y-%m-%d %H:%M:%S} UTC"
    unit = f"The unit is now {change.unit}" if change.unit else meaning(change).capitalize()
    return f"{unit}: convert", f"Entries from {since} on look {meaning(change)}."


_PLAIN = {
    Fix.GO_ON: (
        "These values are right: go on",
        "What waits is stored as before, and what is usual is learned anew.",
    ),
    Fix.LEAVE_OUT: (
        "Leave these rows out",
        "They stay as received, and nothing is stored from them.",
    ),
    Fix.SWITCH_OFF: (
        "Switch this mapping off",
        "Nothing more is stored from the field; what waits stays as received.",
    ),
}


_STORES_NOTHING = {Fix.LEAVE_OUT, Fix.SWITCH_OFF}
_STAYS = "What waited stays as received; nothing is stored from it."


class AcceptsFieldNames(ScopedAdmin):
    """A list action and the buttons of a channel's page; both log what they changed."""

    def get_urls(self) -> list[URLPattern]:
        """The buttons' address."""
        decide = path(
            "<path:object_id>/decide/",
            self.admin_site.admin_view(self.decide_view),
            name="devices_thingspeakchannel_decide",
        )
        return [decide, *super().get_urls()]

    @method_decorator(require_POST)
    def decide_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Carry out what a button says and return to the channel's page."""
        channel = self.get_object(request, object_id)
        if channel is None:
            raise Http404
        if not self.has_change_permission(request, channel):
            raise PermissionDenied
        self._decide(request, channel)
        return HttpResponseRedirect(
            reverse("admin:devices_thingspeakchannel_change", args=[channel.pk])
        )

    def _decide(self, request: HttpRequest, channel: ThingSpeakChannel) -> None:
        number, _, word = request.POST.get("decide", "").partition(":")
        pauses = MappingPause.objects.filter(source=channel)
        pause = pauses.filter(pk=int(number)).first() if number.isdecimal() else None
        if pause is None or word not in set(Fix):
            self.message_user(request, "This is decided already.", messages.WARNING)
            return
        by = request.user if isinstance(request.user, User) else None
        fix = Fix(word)
        try:
            done = apply(Decision(fix, pause, by, timezone.now()))
        except CannotFix as error:
            self.message_user(request, str(error), messages.ERROR)
            return
        self._tell(request, channel, done, stores=fix not in _STORES_NOTHING)

    @admin.action(description="Accept the present field names", permissions=["change"])
    def accept_names(self, request: HttpRequest, queryset: QuerySet[ThingSpeakChannel]) -> None:
        """Accept the chosen channels' present field names, as far as the user operates them."""
        by = request.user if isinstance(request.user, User) else None
        mine = ThingSpeakChannel.objects.operable_by(request.user)
        for channel in queryset.filter(pk__in=mine):
            changed = accept_field_names(channel, timezone.now(), by)
            if changed:
                stores = any(order.source == channel.pk for order in recalculation.unfinished())
                self._tell(request, channel, " ".join(changed), stores=stores)
                continue
            text = f"{channel}: no field was renamed since it was mapped."
            self.message_user(request, text, messages.INFO)

    def _tell(
        self, request: HttpRequest, channel: ThingSpeakChannel, done: str, *, stores: bool
    ) -> None:
        """What was done, and what becomes of the entries that waited for it."""
        if request.user.pk is not None:
            LogEntry.objects.log_actions(request.user.pk, [channel], CHANGE, change_message=done)
        jobs = link(reverse("admin:devices_job_changelist"), "see its progress")
        waited = format_html("What waited is being worked through: {}.", jobs)
        note = format_html("{}: {} {}", channel, done, waited if stores else _STAYS)
        self.message_user(request, note, messages.SUCCESS)


def panel(channel: Any) -> dict[str, Any]:
    """What a channel's page shows of changed fields."""
    return {"drift_cases": cases(channel) if channel.pk else []}
