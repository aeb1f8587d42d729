"""What polling did, in words and links for people."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from devices.admin.base import link
from devices.models import Source
from ingestion.entries import Reason
from ingestion.models import PollState
from ingestion.resilience.classify import Kind

_OUTCOMES = {
    Kind.OK: "Answered",
    Kind.EMPTY: "Nothing new",
    Kind.BUDGET: "Waiting for the request budget",
    Kind.THROTTLED: "Throttled by the provider",
    Kind.LICENCE: "Provider's licence used up",
    Kind.CIRCUIT_OPEN: "Provider left in peace after failures",
    Kind.CREDENTIAL: "Key refused",
    Kind.NOT_FOUND: "Not found at the provider",
    Kind.BAD_REQUEST: "Request refused",
    Kind.TOO_LARGE: "Answer too large",
    Kind.REDIRECTED: "Sent to another address",
    Kind.NAME: "Name not found",
    Kind.CONNECT: "No connection",
    Kind.TIMEOUT: "No answer in time",
    Kind.TLS: "Certificate not valid",
    Kind.GATEWAY: "Provider not available",
    Kind.SERVER: "Error at the provider",
    Kind.CUT_OFF: "Answer broke off",
    Kind.NOT_THE_API: "Not the provider's API",
    Kind.ADDRESS_REFUSED: "Address not allowed",
    Kind.OURS: "Settings cannot be used",
}
OUTCOME_CHOICES = [(kind.value, words) for kind, words in _OUTCOMES.items()]
REASON_CHOICES = [(reason.value, reason.replace("_", " ").capitalize()) for reason in Reason]


def outcome(stored: str) -> str:
    """A stored outcome in words."""
    return dict(OUTCOME_CHOICES).get(stored, stored or "Never polled")


def reason(stored: str) -> str:
    """A stored reason of a rejection in words."""
    return dict(REASON_CHOICES).get(stored, stored)


_UNITS = (("day", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def duration(span: timedelta) -> str:
    """A span of time in its largest unit: «3 min», «2 days»."""
    seconds = abs(span.total_seconds())
    for name, size in _UNITS:
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {name}{'s' if name == 'day' and count > 1 else ''}"
    return "0 s"


def moment(at: datetime | None, now: datetime | None = None) -> SafeString | str:
    """A time with its distance: «2 min ago», with the full time (UTC) as tooltip."""
    if at is None:
        return "never"
    span = at - (now or timezone.now())
    words = f"in {duration(span)}" if span > timedelta(0) else f"{duration(span)} ago"
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        at.isoformat(),
        f"{clock(at)} UTC",
        words,
    )


def clock(at: datetime | None) -> str:
    """A time to the second, UTC."""
    return f"{at:%Y-%m-%d %H:%M:%S}" if at else "–"


def due(at: datetime | None) -> SafeString | str:
    """When something is due: «in 20 s», or that it only waits for its turn."""
    return moment(at) if at is not None and at > timezone.now() else "due now"


def state_of(source: Source, state: PollState | None, *, fields_changed: bool = False) -> str:
    """How polling of a source goes, in a few words; `fields_changed`: mappings are paused."""
    if not source.enabled:
        return "Switched off"
    if not source.device.enabled:
        return "Paused: device in maintenance"
    if not source.connection.enabled:
        return "Paused: connection switched off"
    if state is None or state.last_polled_at is None:
        return "Waiting for its first poll"
    if fields_changed and state.last_outcome in (Kind.OK, Kind.EMPTY):
        return "Fields changed"
    return outcome(state.last_outcome)


def list_of(model: str, source: Source, text: str) -> SafeString:
    """A link to the rows of a log that belong to a source."""
    url = reverse(f"admin:ingestion_{model}_changelist")
    return link(f"{url}?source__id__exact={source.pk}", text)
