"""ThingSpeak channels: add, verify, map and poll them from one page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.views.decorators.http import require_POST

from devices.admin.base import VisibleOnly, link
from devices.admin.history import VersionedAdmin
from devices.models import Device, ThingSpeakChannel
from ingestion import dispatch
from ingestion.admin import drift, proposal_forms, words
from ingestion.admin.channel_form import CONFIRM, ChannelForm
from ingestion.admin.columns import (
    FieldsFilter,
    PollingColumns,
    is_asked,
    with_fields_changed,
)
from ingestion.admin.drift import AcceptsFieldNames
from ingestion.admin.mappings import MappingInline
from ingestion.admin.recompute import stale_notices
from ingestion.equipment import equipment
from ingestion.standing import paused
from ingestion.verify import Verification, create_mappings, metrics_known_to, verify_channel

SAVE_BUTTONS = ("show_save", "show_save_and_continue", "show_save_and_add_another")
_CHANGES_THE_QUESTION = {"connection", "channel_id", "read_key", "enabled"}


@admin.register(ThingSpeakChannel)
class ThingSpeakChannelAdmin(PollingColumns, VersionedAdmin, AcceptsFieldNames):
    """Channels that are read."""

    form = ChannelForm
    change_form_template = "admin/devices/thingspeakchannel/change_form.html"
    list_display = [
        "channel_id", "device", "community", "connection", "state", "last_success", "next_poll",
        "last_message",
    ]  # fmt: skip
    list_filter = [
        ("device__community", VisibleOnly),
        ("connection", VisibleOnly),
        "poll_state__last_outcome",
        FieldsFilter,
        "enabled",
        "priority",
    ]
    list_select_related = ["device__community", "connection", "poll_state"]
    search_fields = ["=channel_id", "device__name", "connection__name", "poll_state__remote_name"]
    autocomplete_fields = ["device", "connection"]
    inlines = [MappingInline]
    actions = ["poll_chosen_now", "accept_names"]
    ask_with = staticmethod(equipment)
    polling_lines = [
        ("state", "last_success", "next_poll"),
        "whole_message",
        ("cursor", "counters"),
        "completeness",
        "logs",
    ]
    polling_fields = [
        "state", "last_success", "next_poll", "whole_message", "cursor", "counters",
        "completeness", "logs",
    ]  # fmt: skip

    class Media:
        """Own style and script of the verification table, for both skins."""

        css = {
            "all": [
                "admin_pages/verify.css",
                "admin_pages/completeness.css",
                "admin_pages/drift.css",
                "admin_pages/calibrate.css",
            ]
        }
        js = ["admin_pages/verify.js"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ThingSpeakChannel]:
        """With what the state needs to know of their fields."""
        return with_fields_changed(super().get_queryset(request))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """The state of polling is shown for channels that exist."""
        fieldsets: list[Any] = [
            (None, {"fields": ["device", "connection", "channel_id", "read_key"]}),
            (
                "How often",
                {
                    "fields": [
                        ("interval_s", "priority"),
                        "phase_lock",
                        "history_from",
                        "enabled",
                    ],
                    "description": "May stay as it is: the device's type decides.",
                    "classes": [] if obj else ["collapse"],
                },
            ),
        ]
        if obj:
            fieldsets.insert(0, ("Polling", {"fields": self.polling_lines}))
        return fieldsets

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """A channel stays with its device: its mappings feed that device's metrics."""
        return [*self.polling_fields, "device"] if obj else []

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        """A new channel's mappings come from verifying it; afterwards they are edited here."""
        return self.inlines if obj else []

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> type[forms.ModelForm[Any]]:
        """The form, tied to the user for keys that are not saved yet."""
        form = super().get_form(request, obj, change, **kwargs)
        if issubclass(form, ChannelForm):
            form.seal_for = str(request.user.pk)
        return form

    # --- verify, save with mappings -----------------------------------------------------------

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Django's page; verifying asks after its transaction ended, so that no lock is held."""
        response = super().changeform_view(request, object_id, form_url, extra_context)
        if isinstance(response, TemplateResponse) and response.context_data is not None:
            page = response.context_data
            form = page["adminform"].form if "adminform" in page else None
            if isinstance(form, ChannelForm):
                page.update(self._panel(request, form))
        return response

    def _panel(self, request: HttpRequest, form: ChannelForm) -> dict[str, Any]:
        if form.verifying and form.channel.connection_id and "channel_id" in form.cleaned_data:
            form.show(self._verify(form.channel))
        if form.is_bound:
            form.keep_typed_key()
        choosing = form.table is not None
        found = form.verification
        return {
            # The skin's own buttons would save without the mappings that are on the page.
            **(dict.fromkeys(SAVE_BUTTONS, False) if choosing else {}),
            "verification": found,
            **drift.panel(form.channel),
            "stale": stale_notices(form.channel) if form.channel.pk else [],
            "last_entry": words.moment(found.last.at) if found and found.last else "",
            "proposals": form.table,
            "known_metrics": metrics_known_to(form.channel) if choosing else [],
            "preview_url": reverse("admin:devices_thingspeakchannel_preview"),
            "may_verify": self.has_change_permission(request, form.channel)
            if form.channel.pk
            else self.has_add_permission(request),
        }

    def _verify(self, channel: ThingSpeakChannel) -> Verification:
        return verify_channel(channel, self.ask_with(), timezone.now())

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Mappings with the channel, in the same transaction; and a poll soon."""
        super().save_related(request, form, formsets, change)
        if form.confirming:
            form.created = create_mappings(form.instance, form.table.chosen())
        if form.confirming or _CHANGES_THE_QUESTION.intersection(form.changed_data):
            dispatch.poll_now([form.instance.pk], timezone.now())

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> Any:
        """What changed, with the mappings that confirming created."""
        message = super().construct_change_message(request, form, formsets, add)
        return [
            *message,
            *({"added": {"name": "field mapping", "object": str(one)}} for one in form.created),
        ]

    def response_add(
        self, request: HttpRequest, obj: ThingSpeakChannel, post_url_continue: str | None = None
    ) -> HttpResponse:
        """After saving with mappings: the channel's page, where its first poll can be watched."""
        self._stay_after_confirming(request)
        response: HttpResponse = super().response_add(request, obj, post_url_continue)
        return response

    def response_change(self, request: HttpRequest, obj: ThingSpeakChannel) -> HttpResponse:
        """After saving with mappings: the same page again."""
        self._stay_after_confirming(request)
        response: HttpResponse = super().response_change(request, obj)
        return response

    def _stay_after_confirming(self, request: HttpRequest) -> None:
        if CONFIRM in request.POST:
            sent = request.POST.copy()
            sent["_continue"] = "1"
            request.POST = sent  # type: ignore[assignment]  # Django's own pages do the same

    # --- further addresses --------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        """Poll now, and previews of mapped values."""
        own = [
            path(
                "preview/",
                self.admin_site.admin_view(self.preview_view),
                name="devices_thingspeakchannel_preview",
            ),
            path(
                "<path:object_id>/poll-now/",
                self.admin_site.admin_view(self.poll_now_view),
                name="devices_thingspeakchannel_poll_now",
            ),
        ]
        return [*own, *super().get_urls()]

    @method_decorator(require_POST)
    def preview_view(self, request: HttpRequest) -> JsonResponse:
        """What the rows of the table, as typed so far, would make of the last values."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        device = request.POST.get("device", "")
        source = ThingSpeakChannel()
        if device.isdigit():
            visible = Device.objects.operable_by(request.user).filter(pk=int(device))
            source.device_id = visible.values_list("pk", flat=True).first() or 0
        rows = proposal_forms.table(metrics_known_to(source), data=request.POST)
        return JsonResponse({form.prefix: form.shown_preview for form in rows.forms})

    @method_decorator(require_POST)
    def poll_now_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Make a channel due at once and return to its page."""
        channel = self.get_object(request, object_id)
        if channel is None:
            raise Http404
        if not self.has_change_permission(request, channel):
            raise PermissionDenied
        self._poll(request, [channel])
        return HttpResponseRedirect(
            reverse("admin:devices_thingspeakchannel_change", args=[channel.pk])
        )

    @admin.action(description="Poll chosen channels now", permissions=["change"])
    def poll_chosen_now(self, request: HttpRequest, queryset: QuerySet[ThingSpeakChannel]) -> None:
        """Make the chosen channels due at once, as far as the user operates them."""
        mine = ThingSpeakChannel.objects.operable_by(request.user)
        self._poll(request, list(queryset.filter(pk__in=mine)))

    def _poll(self, request: HttpRequest, channels: Sequence[ThingSpeakChannel]) -> None:
        asleep = [one for one in channels if not is_asked(one)]
        awake = [one for one in channels if is_asked(one)]
        dispatch.poll_now([one.pk for one in awake], timezone.now())
        if awake and request.user.pk is not None:
            LogEntry.objects.log_actions(
                request.user.pk, awake, CHANGE, change_message="Polled now."
            )
        if len(awake) == 1:
            text = "The poll is queued and runs as soon as the request budget allows. See the {}."
            log = words.list_of("polllog", awake[0], "poll log")
        else:
            text = "{} polls are queued and run as soon as the request budget allows. See the "
            text = text.format(len(awake)) + "{}."
            log = link(reverse("admin:ingestion_polllog_changelist"), "poll log")
        if awake:
            self.message_user(request, format_html(text, log), messages.SUCCESS)
        for account in paused({one.connection for one in awake}, self.ask_with().gate):
            page = reverse("admin:devices_connection_change", args=[account.pk])
            waits = "{} is paused, so this poll waits. {} says why, and ends the pause."
            told = format_html(waits, account, link(page, "Its page"))
            self.message_user(request, told, messages.WARNING)
        if asleep:
            names = ", ".join(str(one) for one in asleep[:5])
            self.message_user(
                request,
                f"Not polled, because they or what they depend on are switched off: {names}",
                messages.WARNING,
            )
