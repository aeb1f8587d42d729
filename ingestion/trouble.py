"""From outcomes to alerts: offline devices, failing sources, providers that are down."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db.models import Min, Q

from devices.alerts.models import Alert
from devices.alerts.models import Kind as Kinds
from devices.alerts.state import SourceState, late_after
from devices.alerts.watch import Trouble, open_alert, resolve_alert, resolve_alert_row
from devices.models import Source
from devices.readings.store import get_store
from ingestion import gaps
from ingestion.models import PollState
from ingestion.polling import Asked
from ingestion.resilience.classify import EFFECTS, Kind, Outcome
from ingestion.rules import Problem
from ingestion.tell import tell_alert

# So many polls in a row without a reading that was due make a device offline.
MISSES_TO_OFFLINE = 3
_REASONS = {Kind.CREDENTIAL: SourceState.KEY_REJECTED, Kind.NOT_FOUND: SourceState.NOT_FOUND}


def expected_every_s(state: PollState) -> float:
    """Seconds after which the next reading is due: what people said, else what was observed."""
    stated = state.source.device.metrics.aggregate(least=Min("expected_every_s"))["least"]
    if stated:
        return float(stated)
    return max(float(state.source.effective_interval_s), state.cadence_s or 0.0)


def reading_is_due(state: PollState, now: datetime) -> bool:
    """Whether the device should have said something new by now; a silent newcomer owes nothing."""
    metrics = [mapping.metric_id for mapping in state.source.mappings.all()]
    newest = max((one.at for one in get_store().latest(metrics).values()), default=None)
    return newest is not None and now - newest > late_after(expected_every_s(state))


def review_device(source: Source, heard: bool, misses: int, now: datetime) -> None:
    """Open or resolve «offline»: `heard` is a new reading, `misses` those that were due."""
    offline = Trouble.offline(source.device)
    if heard:
        _resolve(offline, now)
    elif misses >= MISSES_TO_OFFLINE and _all_silent(source):
        _open(offline, "silent", _offline_text(source), now)


def review_source(source: Source, asked: Asked, problems: Sequence[Problem], now: datetime) -> None:
    """Open or resolve what this poll says about the source and its provider.

    Throttling, an open breaker and outages of the provider never say anything about a device.
    """
    failing, upstream = Trouble.failing(source), Trouble.upstream(source.connection)
    if asked.outcome in (Outcome.OK, Outcome.EMPTY):
        _resolve(upstream, now)
        if problems:
            _open(failing, problems[0].state, " ".join(one.text for one in problems), now)
        else:
            _read_again(source, _resolve(failing, now), now)
    elif EFFECTS[asked.kind].permanent or asked.outcome is Outcome.SOURCE_ERROR:
        reason = _REASONS.get(asked.kind, SourceState.FAILING)
        _open(failing, reason, asked.message, now)
    elif asked.circuit_open:
        _open(upstream, asked.kind, _upstream_text(source, asked), now)


def resolve_obsolete(now: datetime) -> None:
    """Resolve alerts about what nobody asks any more: what was switched off is no trouble."""
    off = (
        Q(source__enabled=False)
        | Q(source__connection__enabled=False)
        | Q(connection__enabled=False)
        | Q(device__enabled=False)
        | Q(kind=Kinds.DEVICE_OFFLINE, device__sources__isnull=True)
    )
    for alert in Alert.objects.open().filter(off).distinct():
        for resolved in resolve_alert_row(alert, now):
            tell_alert(resolved)


def _read_again(source: Source, resolved: Sequence[Alert], now: datetime) -> None:
    """What arrived while mappings could not work was not stored: that time becomes a gap.

    What waited for a decision about changed fields was received, and is mapped by a recalculation.
    """
    for alert in resolved:
        if alert.reason == SourceState.FAILING:
            gaps.open_gap(source, alert.opened_at - gaps.OVERLAP, now, now)


def _all_silent(source: Source) -> bool:
    """Whether no other source of the device still brings readings."""
    others = PollState.objects.filter(
        source__device=source.device_id, source__enabled=True, misses__lt=MISSES_TO_OFFLINE
    ).exclude(pk=source.pk)
    return not others.exists()


def _offline_text(source: Source) -> str:
    return (
        f"{source.device.name} has not reported: {MISSES_TO_OFFLINE} polls in a row brought no "
        "reading although one was due. Check its power, its network and its sensor."
    )


def _upstream_text(source: Source, asked: Asked) -> str:
    return f"{source.connection.name} does not answer. {asked.message}"


def _open(trouble: Trouble, reason: str, text: str, now: datetime) -> None:
    alert = open_alert(trouble, reason, text, now)
    if alert is not None:
        tell_alert(alert)


def _resolve(trouble: Trouble, now: datetime) -> list[Alert]:
    resolved = resolve_alert(trouble, now)
    for alert in resolved:
        tell_alert(alert)
    return resolved
