"""Who is at fault when requests fail, the provider or one source alone; and what it did."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import Q

from devices.alerts.models import Alert
from devices.alerts.models import Kind as Kinds
from devices.models import Connection, Source
from ingestion.models import Lane, PollLog, PollState
from ingestion.resilience.classify import EFFECTS, Breaker, Kind
from ingestion.resilience.policy import BreakerPolicy
from ingestion.resilience.transport import host_of

ALONE_AFTER = BreakerPolicy().failures
"""So many failures in a row usually convince the breaker that a host is unwell; as many convince
us that a source is, when its host is not."""

RECENT = timedelta(hours=1)
"""Whoever is left in peace is probed more often than that."""

FAULTS = {kind for kind, one in EFFECTS.items() if one.breaker is Breaker.FAILURE}
_NOT_ASKED = {Kind.BUDGET, Kind.THROTTLED, Kind.LICENCE, Kind.CIRCUIT_OPEN}

_CAME = {
    Kind.NAME: "its name is not found",
    Kind.CONNECT: "no connection, or it broke",
    Kind.TIMEOUT: "no answer in time",
    Kind.TLS: "a certificate that is not valid for its address",
    Kind.GATEWAY: "not available",
    Kind.SERVER: "an error of its own",
    Kind.CUT_OFF: "an answer that broke off in the middle",
    Kind.NOT_THE_API: "a web page or something else instead of its API's answer",
}


def came(kind: Kind, status: int | None) -> str:
    """What came instead of an answer, in a few words: «HTTP 500, an error of its own»."""
    return _CAME[kind] if status is None else f"HTTP {status}, {_CAME[kind]}"


class Failure(NamedTuple):
    """A request that brought no answer of the provider, as the poll log has it."""

    kind: Kind
    status: int | None
    message: str


def last_failure(account: Connection, now: datetime) -> Failure | None:
    """What the provider did last instead of answering; None where it is not in the log (yet).

    For polls that were held back, which know nothing of it themselves. Two queries.
    """
    polls = PollLog.objects.filter(
        source__connection__in=same_host(account), outcome__in=FAULTS, at__gt=now - RECENT
    )
    row = polls.order_by("-at", "-pk").values_list("outcome", "status", "message").first()
    return None if row is None else Failure(Kind(row[0]), row[1], row[2])


def fails_alone(source: Source, failures: int) -> bool:
    """Whether a source that just failed, with a closed circuit, does so while its host is well.

    `failures` in a row, this one too. That they are many says little: during an outage they grow
    as well. So none of them may lie in one, and somebody else was answered after the last but one.
    No query before there are enough of them, then four at most.
    """
    if failures < ALONE_AFTER:
        return False
    polls = PollLog.objects.filter(source=source, lane=Lane.LIVE).exclude(outcome__in=_NOT_ASKED)
    last = list(polls.order_by("-at", "-pk").values_list("at", "outcome")[:ALONE_AFTER])
    if len(last) < ALONE_AFTER or any(outcome not in FAULTS for _, outcome in last):
        return False
    return not _outage_since(source, last[-1][0]) and _others_answered_since(source, last[1][0])


def _outage_since(source: Source, begin: datetime) -> bool:
    lasted = Q(resolved_at__isnull=True) | Q(resolved_at__gte=begin)
    outages = Alert.objects.filter(lasted, kind=Kinds.UPSTREAM_DOWN, connection=source.connection)
    return outages.exists()


def _others_answered_since(source: Source, begin: datetime) -> bool:
    others = PollState.objects.filter(connection__in=same_host(source.connection))
    return others.exclude(pk=source.pk).filter(last_success_at__gt=begin).exists()


def same_host(account: Connection) -> list[int]:
    """The accounts whose provider is at the same address: they share one breaker."""
    host = host_of(account.base_url)
    addresses = Connection.objects.values_list("pk", "base_url")
    return [pk for pk, address in addresses if host_of(address) == host]
