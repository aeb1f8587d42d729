"""From outcomes to alerts: offline devices, failing sources, providers that are down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Min, Q

from devices.alerts.models import Alert
from devices.alerts.models import Kind as Kinds
from devices.alerts.state import SourceState, late_after
from devices.alerts.watch import Trouble, key_of, open_alert, resolve_alert_row
from devices.models import Connection, Metric, Source
from devices.phrases import shortened
from devices.readings.store import get_store
from ingestion import gaps
from ingestion.blame import FAULTS, Failure, came, fails_alone, last_failure
from ingestion.bulk import read_rows
from ingestion.derived import derived
from ingestion.models import PollState
from ingestion.polling import Asked
from ingestion.resilience.classify import EFFECTS, Kind, Outcome
from ingestion.rules import Problem
from ingestion.tell import tell_alert

# So many polls in a row without a reading that was due make a device offline.
MISSES_TO_OFFLINE = 3
_REASONS = {Kind.CREDENTIAL: SourceState.KEY_REJECTED, Kind.NOT_FOUND: SourceState.NOT_FOUND}


def overdue(states: Sequence[PollState], now: datetime) -> set[int]:
    """Sources (of these) that should have said something new by now; two queries for all.

    A silent newcomer owes nothing.
    """
    if not states:
        return set()
    metrics = {state.pk: [one.metric_id for one in state.source.mappings.all()] for state in states}
    latest = get_store().latest({metric for some in metrics.values() for metric in some})
    stated = dict(
        Metric.objects.filter(device__in={state.source.device_id for state in states})
        .order_by()
        .values_list("device")
        .annotate(least=Min("expected_every_s"))
    )
    late: set[int] = set()
    for state in states:
        newest = max((latest[one].at for one in metrics[state.pk] if one in latest), default=None)
        expected_s = expected_every_s(state, stated.get(state.source.device_id))
        if newest is not None and now - newest > late_after(expected_s):
            late.add(state.pk)
    return late


def expected_every_s(state: PollState, stated_s: int | None) -> float:
    """Seconds after which the next reading is due: what people said, else what was observed."""
    if stated_s:
        return float(stated_s)
    return max(float(state.source.effective_interval_s), state.cadence_s or 0.0)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a poll says about a source, its device and its provider.

    `heard`: it brought a reading newer than all before. `misses`: polls in a row without a reading
    that was due. `failures`: polls in a row that failed.
    """

    source: Source
    asked: Asked
    problems: Sequence[Problem]
    heard: bool
    misses: int
    failures: int


def review(findings: Sequence[Finding], now: datetime) -> None:
    """Open and resolve alerts. One query, whatever was found; more only where something changes.

    And where a source goes on failing: then it is looked whether others are answered.
    """
    about = [_about(one.source) for one in findings]
    keys = {key for one in about for key in (one.offline, one.failing, one.upstream)}
    open_now = read_rows(Alert, "key", keys, only="resolved_at IS NULL")
    alerts = _Alerts({alert.key: alert for alert in open_now}, now)
    for one, keys_of_one in zip(findings, about, strict=True):
        _review_source(one, keys_of_one, alerts, now)
        _review_device(one, keys_of_one, alerts)


class _About:
    """The keys of the alerts that there may be about a source, its device and its provider."""

    __slots__ = ("failing", "offline", "upstream")

    def __init__(self, source: Source) -> None:
        self.offline = key_of(Kinds.DEVICE_OFFLINE, source.device_id)
        self.failing = key_of(Kinds.SOURCE_FAILING, source.id)
        self.upstream = key_of(Kinds.UPSTREAM_DOWN, source.connection_id)


_about = derived(_About)


def _review_device(found: Finding, about: _About, alerts: _Alerts) -> None:
    """Open or resolve «offline»."""
    if found.heard:
        alerts.resolve(about.offline)
    elif (
        found.misses >= MISSES_TO_OFFLINE
        and not alerts.known(about.offline)
        and _all_silent(found.source)
    ):
        alerts.open(Trouble.offline(found.source.device), "silent", _offline_text(found.source))


def _review_source(found: Finding, about: _About, alerts: _Alerts, now: datetime) -> None:
    """Open or resolve what this poll says about the source and its provider.

    Throttling, an open breaker and outages of the provider never say anything about a device.
    """
    source, asked, problems = found.source, found.asked, found.problems
    if asked.outcome in (Outcome.OK, Outcome.EMPTY):
        alerts.resolve(about.upstream)
        if problems:
            failing = Trouble.failing(source)
            alerts.open(failing, problems[0].state, " ".join(one.text for one in problems))
        else:
            _read_again(source, alerts.resolve(about.failing), now)
    elif EFFECTS[asked.kind].permanent or asked.outcome is Outcome.SOURCE_ERROR:
        reason = _REASONS.get(asked.kind, SourceState.FAILING)
        alerts.open(Trouble.failing(source), reason, asked.message)
    elif asked.circuit_open:
        _open_upstream(source, asked, alerts, now)
    elif (
        asked.kind in FAULTS
        # What a mapping missed is still to be read again (`_read_again`): that reason stays. Of
        # what was not even sent nothing was missed, the next answer begins at the cursor.
        and alerts.reason(about.failing) != SourceState.FAILING
        and fails_alone(source, found.failures)
    ):
        alerts.open(Trouble.failing(source), asked.kind, _alone_text(source, asked))


def _open_upstream(source: Source, asked: Asked, alerts: _Alerts, now: datetime) -> None:
    """Open «provider down» with what it did, or bring that up to date.

    A poll that was held back knows only that it was: then the last failed one tells.
    """
    account, failed = source.connection, Failure(asked.kind, asked.status, asked.message)
    upstream = Trouble.upstream(account)
    if failed.kind is Kind.CIRCUIT_OPEN:
        if alerts.reason(upstream.key) not in (None, Kind.CIRCUIT_OPEN):
            return
        failed = last_failure(account, now) or failed
    alerts.open(upstream, failed.kind, _upstream_text(account, failed))


class _Alerts:
    """The open alerts about what is reviewed; the database is touched where one changes."""

    def __init__(self, open_now: Mapping[str, Alert], now: datetime) -> None:
        self._open = dict(open_now)
        self._now = now

    def known(self, key: str) -> bool:
        """Whether such an alert is open."""
        return key in self._open

    def reason(self, key: str) -> str | None:
        """Why such an alert is open; None when it is not."""
        known = self._open.get(key)
        return None if known is None else known.reason

    def open(self, trouble: Trouble, reason: str, text: str) -> None:
        """Open an alert, or bring the text of an open one up to date."""
        known, text = self._open.get(trouble.key), shortened(text)
        if known is not None and (known.reason, known.text) == (reason, text):
            return
        alert = open_alert(trouble, reason, text, self._now)
        if alert is not None:
            self._open[trouble.key] = alert
            tell_alert(alert)
        elif known is not None:
            known.reason, known.text = reason, text

    def resolve(self, key: str) -> list[Alert]:
        """Resolve an open alert; those resolved (one at most)."""
        known = self._open.pop(key, None)
        resolved = resolve_alert_row(known, self._now) if known is not None else []
        for alert in resolved:
            tell_alert(alert)
        return resolved


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


def _upstream_text(account: Connection, failed: Failure) -> str:
    """What the provider does, as far as that is known."""
    what = f" ({came(failed.kind, failed.status)})" if failed.kind in FAULTS else ""
    return f"{account.name} does not answer{what}. {failed.message}"


def _alone_text(source: Source, asked: Asked) -> str:
    return (
        f"{source.connection.name} answers others, but asked for this source it goes on failing: "
        f"{came(asked.kind, asked.status)}. The device may be well. Look at the source at the "
        "provider; it is asked again by itself."
    )
