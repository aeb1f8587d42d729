"""The log's edges: one line when something goes down, one when it is back, none in between.

What happened meanwhile is counted in the line that ends it; single polls are in the poll log.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import redis
import structlog
from django.db.models import Count, Q

from devices.alerts.models import Alert, Kind
from devices.models import Connection
from ingestion.models import Lane, PollLog
from ingestion.observe.counting import SENT
from ingestion.observe.counts import ANSWERED
from ingestion.observe.facts import gates
from ingestion.resilience.gate import Gate, Snapshot

log = structlog.get_logger(__name__)


class _Names(NamedTuple):
    down: str
    back: str


_NAMES = {
    Kind.UPSTREAM_DOWN: _Names("provider_down", "provider_back"),
    Kind.SOURCE_FAILING: _Names("source_failing", "source_back"),
    Kind.DEVICE_OFFLINE: _Names("device_offline", "device_back"),
}


def log_alert(alert: Alert) -> None:
    """One line for an alert that was just opened or resolved. One query when it is resolved."""
    names = _NAMES[Kind(alert.kind)]
    about = {
        name: key
        for name, key in (
            ("connection", alert.connection_id),
            ("source", alert.source_id),
            ("device", alert.device_id),
        )
        if key is not None
    }
    if alert.resolved_at is None:
        log.warning(names.down, **about, reason=alert.reason, why=alert.text)
        return
    down_s = round((alert.resolved_at - alert.opened_at).total_seconds(), 1)
    log.info(names.back, **about, reason=alert.reason, down_s=down_s, **_meanwhile(alert))


def _meanwhile(alert: Alert) -> Mapping[str, int]:
    """Polls between the two edges: requests, failed ones, and those that we held back ourselves."""
    if alert.source_id is not None:
        whose = Q(source=alert.source_id)
    elif alert.device_id is not None:
        whose = Q(source__device=alert.device_id)
    else:
        whose = Q(source__connection=alert.connection_id)
    answered = Q(outcome__in=sorted(ANSWERED))
    polls = PollLog.objects.filter(
        whose, lane=Lane.LIVE, at__gte=alert.opened_at, at__lte=alert.resolved_at
    )
    return polls.aggregate(
        requests=Count("pk", filter=SENT),
        failed=Count("pk", filter=SENT & ~answered),
        held_back=Count("pk", filter=~SENT),
    )


# --- budgets -----------------------------------------------------------------------------------

SLOWER = "telemetry:observe:slower"
"""Accounts whose budget is lowered, with since when and the lowest share; fields of a Redis hash.
Whoever sets or deletes a field first writes the line: several may watch."""


def watch_budgets(gate: Gate, client: redis.Redis, now: datetime) -> None:
    """Say once that a budget was lowered after a 429, and once that it is whole again."""
    accounts = {one.pk: one for one in Connection.objects.filter(enabled=True)}
    known: dict[str, Any] = {_text(key): json.loads(value) for key, value in _all(client).items()}
    for pk, snapshot in gates(accounts.values(), gate).items():
        before = known.pop(str(pk), None)
        if snapshot.budget.rate < 1:
            _lowered(accounts[pk], snapshot, before, client, now)
        elif before is not None:
            _recovered(pk, before, client, now)
    for gone in known.keys() - {str(one) for one in accounts}:  # deleted or switched off
        client.hdel(SLOWER, gone)


def _all(client: redis.Redis) -> Mapping[Any, Any]:
    found: Mapping[Any, Any] = client.hgetall(SLOWER)
    return found


def _text(key: bytes | str) -> str:
    return key.decode() if isinstance(key, bytes) else key


def _lowered(
    account: Connection,
    snapshot: Snapshot,
    before: Mapping[str, Any] | None,
    client: redis.Redis,
    now: datetime,
) -> None:
    rate = round(snapshot.budget.rate, 4)
    since = now.isoformat() if before is None else before["since"]
    lowest = rate if before is None else min(rate, before["lowest"])
    told = json.dumps({"since": since, "lowest": lowest})
    if before is not None:
        client.hset(SLOWER, str(account.pk), told)
    elif client.hsetnx(SLOWER, str(account.pk), told):
        log.warning(
            "budget_lowered",
            connection=account.pk,
            rate_share=rate,
            paused_s=round(snapshot.budget.paused_for_s, 1),
            limit=account.rate_limit,
            window_s=account.rate_window_s,
        )


def _recovered(pk: int, before: Mapping[str, Any], client: redis.Redis, now: datetime) -> None:
    if client.hdel(SLOWER, str(pk)):
        lowered_s = (now - datetime.fromisoformat(before["since"])).total_seconds()
        log.info(
            "budget_recovered",
            connection=pk,
            lowered_s=round(lowered_s, 1),
            lowest_share=before["lowest"],
        )
