"""What the database and the gate know of all accounts, in a constant number of queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, F, Max, Min, Q
from django.db.models.functions import Coalesce

from devices.alerts.models import Alert, Kind
from devices.models import Connection, Source
from devices.models.job import UNFINISHED, Job
from ingestion.models import Lane, PollLog, Rejection, SourceEvent
from ingestion.observe.counting import KEEP_HOURS, SENT
from ingestion.observe.counts import ANSWERED, Counts
from ingestion.observe.forecast import Asking
from ingestion.observe.ledger import DAY, MONTH
from ingestion.observe.outages import Outage
from ingestion.resilience.gate import Gate, GateUnavailable, Snapshot
from ingestion.rules import route_of

MOST_ROWS = 200
"""So many failing sources, gaps and events are told at most; their lists have all."""


@dataclass(frozen=True, slots=True)
class Group:
    """Sources of one account and community that are asked equally often and urgently.

    `due`: they wait for their turn, the longest since `oldest_due_at`; `running`: a poll is on its
    way; `polled`: at least once; `failing`: their last polls failed.
    """

    community: int
    asking: Asking
    due: int
    running: int
    failing: int
    polled: int
    oldest_due_at: datetime | None
    last_success_at: datetime | None


def names(device: str = "source__device") -> tuple[str, ...]:
    """What `told_apart` needs of rows of a source; `device` leads to their device."""
    of_device = (f"{device}__{one}" for one in ("name", "community", "community__name"))
    return (*of_device, "source__connection", "source__connection__community")


def told_apart(row: Mapping[str, Any], device: str = "source__device") -> str:
    """The device's name, with its community where the account is not that community's own.

    Communities call their devices alike, and an account may serve several of them.
    """
    name, place = row[f"{device}__name"], row[f"{device}__community__name"]
    own = row["source__connection__community"] == row[f"{device}__community"]
    return str(name) if own else f"{name} ({place})"


@dataclass(frozen=True, slots=True)
class Line:
    """Something about one source that may be shown to people of its community."""

    community: int
    source: int
    device: str
    at: datetime
    text: str
    kind: str = ""
    entries: int = 0
    percent: int | None = None


@dataclass(frozen=True, slots=True)
class JobLine:
    """Long work that is going on."""

    community: int | None
    subject: str
    percent: int | None
    message: str


def groups() -> Any:
    """The sources that are switched on, in groups: a query."""
    return (
        Source.objects.filter(enabled=True, device__enabled=True)
        .order_by()
        .annotate(
            every=Coalesce("interval_s", "device__type__default_interval_s"),
            urgency=Coalesce("priority", "device__type__default_priority"),
            community=F("device__community"),
        )
        .values("connection", "community", "every", "urgency")
    )


def groups_by_account(now: datetime) -> dict[int, list[Group]]:
    """All groups. One query."""
    state = "poll_state__"
    free = Q(poll_state__lease_until__isnull=True) | Q(poll_state__lease_until__lt=now)
    waits = free & Q(poll_state__next_poll_at__lte=now)
    rows = groups().annotate(
        n=Count("pk"),
        due=Count("pk", filter=waits),
        running=Count("pk", filter=Q(poll_state__lease_until__gte=now)),
        failing=Count("pk", filter=Q(poll_state__failures__gt=0)),
        polled=Count(f"{state}last_polled_at"),
        oldest=Min(f"{state}next_poll_at", filter=waits),
        success=Max(f"{state}last_success_at"),
    )
    found: dict[int, list[Group]] = defaultdict(list)
    for row in rows:
        found[row["connection"]].append(
            Group(
                community=row["community"],
                asking=Asking(float(row["every"]), row["urgency"], row["n"]),
                due=row["due"],
                running=row["running"],
                failing=row["failing"],
                polled=row["polled"],
                oldest_due_at=row["oldest"],
                last_success_at=row["success"],
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class Failures:
    """Live polls in a row that failed, and when the first of them began."""

    count: int = 0
    since: datetime | None = None


def failures_in_a_row(
    last_success: Mapping[int, datetime | None], day: Mapping[int, Counts], now: datetime
) -> dict[int, Failures]:
    """Failures since each account's last success. One query, none where all is well."""
    wanted = Q()
    for account, success in last_success.items():
        recent = success is not None and success > now - DAY
        if recent and (account not in day or not day[account].failed):
            continue
        wanted |= Q(source__connection=account, at__gt=success or now - MONTH)
    if not wanted:
        return {}
    rows = (
        PollLog.objects.filter(SENT, wanted, lane=Lane.LIVE)
        .exclude(outcome__in=sorted(ANSWERED))
        .order_by()
        .values("source__connection")
        .annotate(n=Count("pk"), first=Min("at"))
    )
    return {row["source__connection"]: Failures(row["n"], row["first"]) for row in rows}


@dataclass(frozen=True, slots=True)
class Troubles:
    """Outages of accounts, newest first, and open alerts about their sources."""

    outages: Mapping[int, Sequence[Outage]]
    failing: Mapping[int, Sequence[Line]]


def troubles(now: datetime) -> Troubles:
    """Alerts about accounts (all that are known) and about sources (open ones). One query."""
    of_accounts = Q(kind=Kind.UPSTREAM_DOWN, opened_at__gte=now - KEEP_HOURS)
    of_sources = Q(kind=Kind.SOURCE_FAILING, resolved_at__isnull=True)
    rows = (
        Alert.objects.filter(of_accounts | of_sources)
        .order_by("-opened_at")
        .values(
            "kind", "connection", "opened_at", "resolved_at", "text", "reason", "source",
            *names("device"),
        )
    )  # fmt: skip
    outages: dict[int, list[Outage]] = defaultdict(list)
    failing: dict[int, list[Line]] = defaultdict(list)
    for row in rows:
        if row["kind"] == Kind.UPSTREAM_DOWN:
            outage = Outage(row["opened_at"], row["resolved_at"], row["text"])
            outages[row["connection"]].append(outage)
        elif len(failing[row["source__connection"]]) < MOST_ROWS:
            failing[row["source__connection"]].append(
                Line(
                    community=row["device__community"],
                    source=row["source"],
                    device=told_apart(row, "device"),
                    at=row["opened_at"],
                    text=row["text"],
                    kind=row["reason"],
                )
            )
    return Troubles(outages, failing)


def rejections(now: datetime) -> dict[int, list[tuple[str, int]]]:
    """Values rejected in the last 24 hours by reason, most frequent first. One query."""
    rows = (
        Rejection.objects.filter(received_at__gte=now - DAY)
        .order_by()
        .values("source__connection", "reason")
        .annotate(n=Count("pk"))
    )
    found: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for row in sorted(rows, key=lambda one: (-one["n"], one["reason"])):
        found[row["source__connection"]].append((row["reason"], row["n"]))
    return found


def events(now: datetime) -> dict[int, list[Line]]:
    """What happened to sources in the last 24 hours, newest first. One query."""
    rows = (
        SourceEvent.objects.filter(at__gte=now - DAY)
        .order_by("-at", "-pk")
        .values("at", "kind", "text", "source", *names())[:MOST_ROWS]
    )
    found: dict[int, list[Line]] = defaultdict(list)
    for row in rows:
        found[row["source__connection"]].append(
            Line(
                community=row["source__device__community"],
                source=row["source"],
                device=told_apart(row),
                at=row["at"],
                text=row["text"],
                kind=row["kind"],
            )
        )
    return found


def jobs() -> list[JobLine]:
    """Long work that is not finished. One query."""
    rows = Job.objects.filter(state__in=UNFINISHED)[:MOST_ROWS]
    return [JobLine(row.community_id, row.subject, row.percent, row.message) for row in rows]


def gates(accounts: Iterable[Connection], gate: Gate) -> dict[int, Snapshot]:
    """How budget and breaker of each account stand; of none when the gate does not answer."""
    routes = {one.pk: route_of(one) for one in accounts}
    try:
        looks = gate.snapshots([(one.host, one.group, one.rate) for one in routes.values()])
    except GateUnavailable:
        return {}
    return dict(zip(routes, looks, strict=True))


def newest(times: Iterable[datetime | None]) -> datetime | None:
    """The latest of the times that there are."""
    return max((one for one in times if one is not None), default=None)


def oldest(times: Iterable[datetime | None]) -> datetime | None:
    """The earliest of the times that there are."""
    return min((one for one in times if one is not None), default=None)
