"""From outcomes to alerts: offline devices, failing sources, providers that are down."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db.models import Min

from devices.alerts.state import SourceState, late_after
from devices.alerts.watch import Trouble, open_alert, resolve_alert
from devices.models import Source
from ingestion.models import PollState
from ingestion.polling import Asked
from ingestion.resilience.classify import Kind, Outcome
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
    if state.cursor_at is None:
        return False
    return now - state.cursor_at > late_after(expected_every_s(state))


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
            _resolve(failing, now)
    elif asked.outcome in (Outcome.SOURCE_ERROR, Outcome.OUR_ERROR):
        reason = _REASONS.get(asked.kind, SourceState.FAILING)
        _open(failing, reason, asked.message, now)
    elif asked.circuit_open:
        _open(upstream, asked.kind, _upstream_text(source, asked), now)


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


def _resolve(trouble: Trouble, now: datetime) -> None:
    for alert in resolve_alert(trouble, now):
        tell_alert(alert)
