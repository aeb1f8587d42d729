"""What ingestion tells the dashboards (`realtime.way_in`): how polling goes, newest entries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode
from redis.exceptions import RedisError

from devices.models import Device, Source, ThingSpeakChannel
from ingestion import pulse
from ingestion.gaps.completeness import days_of
from ingestion.health import DISPATCH_LATE_S
from ingestion.models import PollState, Rejection
from ingestion.resilience.classify import EFFECTS, Kind, Outcome
from realtime.presenters.rows import Banner
from realtime.way_in import Day, Entry, Polling, Refused, SourceDetail

_THROTTLED = {kind for kind in Kind if EFFECTS[kind].outcome is Outcome.THROTTLED}


class Ingestion:
    """Answers from the hot state; each method costs what `realtime.way_in.WayIn` says."""

    def polling(self, sources: Collection[int]) -> Mapping[int, Polling]:
        """How polling each source goes. One query."""
        return {
            state.pk: Polling(
                last_poll_at=state.last_polled_at,
                last_success_at=state.last_success_at,
                next_poll_at=state.next_poll_at,
                cadence_s=state.cadence_s,
                throttled=state.last_outcome in _THROTTLED,
            )
            for state in PollState.objects.filter(pk__in=sources)
        }

    def details(self, sources: Collection[int], request: HttpRequest) -> Mapping[int, SourceDetail]:
        """What each source reads, and its newest entry. Two queries."""
        rows = Source.objects.filter(pk__in=sources).select_related(
            "thingspeakchannel", "poll_state"
        )
        entries = {row.pk: entry for row in rows if (entry := _entry(row)) is not None}
        refusals = _refusals(entries)
        return {
            row.pk: SourceDetail(
                name=_name(row),
                admin_url=_admin_url(row, request),
                entry=_with(entries.get(row.pk), refusals.get(row.pk, {})),
            )
            for row in rows
        }

    def refused(self, device: Device, request: HttpRequest) -> Refused | None:
        """How many values of a device were refused; for staff only. One query."""
        if not request.user.is_staff:
            return None
        count = Rejection.objects.filter(source__device=device).count()
        query = urlencode({"source__device__id__exact": device.pk})
        return Refused(count, f"{reverse('admin:ingestion_rejection_changelist')}?{query}")

    def completeness(
        self, sources: Collection[int], zone: ZoneInfo, days: int, now: datetime
    ) -> Sequence[Day]:
        """How complete the newest days are. One query, none for no source."""
        if not sources:
            return ()
        last = now.astimezone(zone).date()
        return days_of(sources, zone, last - timedelta(days=days - 1), last, now)

    def troubles(self, now: datetime) -> Sequence[Banner]:
        """Whether the dispatcher still runs. No query; Redis away is told by the live banner."""
        try:
            age = pulse.age_s(pulse.DISPATCH)
        except RedisError:
            return ()
        if age is not None and age <= DISPATCH_LATE_S:
            return ()
        since = None if age is None else now - timedelta(seconds=age)
        text = "No source is asked now: the dispatcher does not run, or beat, which starts it."
        return [Banner("critical", "Polling has stopped", text, since)]


def _entry(source: Source) -> Entry | None:
    state: PollState | None = getattr(source, "poll_state", None)
    if state is None or state.last_entry is None:
        return None
    stored = state.last_entry
    return Entry(
        at=datetime.fromisoformat(stored["at"]),
        sequence=stored["sequence"],
        fields=stored["fields"],
        labels=state.labels,
        received_at=state.last_success_at,
    )


def _refusals(entries: Mapping[int, Entry]) -> Mapping[int, Mapping[str, str]]:
    """Why fields of these entries were refused: by source, then field. One query, none for none."""
    if not entries:
        return {}
    wanted = Q()
    for source, entry in entries.items():
        wanted |= Q(source=source, entry_at=entry.at, sequence=entry.sequence)
    found: dict[int, dict[str, str]] = defaultdict(dict)
    for row in Rejection.objects.filter(wanted):
        found[row.source_id][row.field] = row.detail
    return found


def _with(entry: Entry | None, refusals: Mapping[str, str]) -> Entry | None:
    if entry is None:
        return None
    return Entry(entry.at, entry.sequence, entry.fields, entry.labels, entry.received_at, refusals)


def _name(source: Source) -> str:
    channel: ThingSpeakChannel | None = getattr(source, "thingspeakchannel", None)
    return f"channel {channel.channel_id}" if channel else source.get_kind_display()


def _admin_url(source: Source, request: HttpRequest) -> str | None:
    if not request.user.is_staff:
        return None
    return reverse("admin:devices_thingspeakchannel_change", args=[source.pk])
