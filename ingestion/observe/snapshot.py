"""How ingestion stands at one instant: every account, and the parts that move it."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection as database
from redis.exceptions import RedisError

from devices.models import Connection
from ingestion import pulse
from ingestion.models import slacks
from ingestion.observe import debts, facts
from ingestion.observe.counting import HOUR, MINUTE
from ingestion.observe.counts import NOTHING, Counts, total
from ingestion.observe.forecast import Allowance, Forecast, forecast
from ingestion.observe.ledger import Ledger, by_account, ledger, since_minute
from ingestion.observe.outages import Outage
from ingestion.observe.status import Facts, Health, judge
from ingestion.resilience.gate import Gate, Snapshot
from ingestion.resilience.gate.words import Explanation, explain
from ingestion.rules import route_of

QUEUES = ("dispatch", "poll", "default")


@dataclass(frozen=True, slots=True)
class Moving:
    """Whether everything moves. Ages in seconds; None: never heard of, or not known.

    `redis_ms` is None while Redis does not answer; then nothing else of it is known either.
    """

    redis_ms: float | None
    dispatch_age_s: float | None
    worker_age_s: float | None
    queued: Mapping[str, int]
    engine: str


@dataclass(frozen=True, slots=True)
class Account:
    """All that is known of one account. `minutes` are the last 60, oldest first.

    `lost`: entry numbers that its sources do not give, however often they are asked. `gate` and
    `explained`, which is the same in words, are None while Redis does not answer.
    """

    pk: int
    name: str
    community: int | None
    community_name: str
    community_slug: str | None
    host: str
    limit: int
    window_s: int
    groups: tuple[facts.Group, ...]
    minutes: tuple[Counts, ...]
    hour: Counts
    day: Counts
    month: Counts
    in_window: int
    judged: Facts
    health: Health
    forecast: Forecast
    gate: Snapshot | None
    explained: Explanation | None
    outages: tuple[Outage, ...]
    gaps: debts.GapsOfAccount
    lost: int
    failing: tuple[facts.Line, ...]
    events: tuple[facts.Line, ...]
    rejections: tuple[tuple[str, int], ...]

    @property
    def sources(self) -> int:
        """How many sources are asked through it."""
        return sum(one.asking.sources for one in self.groups)

    @property
    def communities(self) -> frozenset[int]:
        """The communities whose devices use it."""
        return frozenset(one.community for one in self.groups)


@dataclass(frozen=True, slots=True)
class Now:
    """The whole of ingestion at one instant."""

    at: datetime
    moving: Moving
    accounts: tuple[Account, ...]
    jobs: tuple[facts.JobLine, ...]


def look(now: datetime, gate: Gate) -> Now:
    """Collect everything. At most fourteen queries, however many accounts and sources."""
    accounts = Connection.objects.select_related("community").order_by("name")
    connections = list(accounts.annotate(lost=debts.lost_entries()))
    lost = {one.pk: one.lost for one in connections}  # type: ignore[attr-defined]  # annotated
    found = _Found.collect(connections, lost, now, gate)
    return Now(
        at=now,
        moving=moving(),
        accounts=tuple(found.account(one) for one in connections),
        jobs=tuple(facts.jobs()),
    )


def moving() -> Moving:
    """Heartbeats and queues. No query."""
    try:
        started = time.perf_counter()
        pulse.ping()
        took_ms = (time.perf_counter() - started) * 1000
        prefix = settings.CELERY_BROKER_TRANSPORT_OPTIONS["global_keyprefix"]
        queued = {name: pulse.queue_length(f"{prefix}{name}") for name in QUEUES}
        ages = pulse.age_s(pulse.DISPATCH), pulse.age_s(pulse.WORKER)
    except RedisError:
        return Moving(None, None, None, {}, database.vendor)
    return Moving(took_ms, *ages, queued, database.vendor)


@dataclass(frozen=True, slots=True)
class _Found:
    """Answers to all questions, by account."""

    now: datetime
    groups: Mapping[int, Sequence[facts.Group]]
    ledger: Ledger
    hour: Mapping[int, Counts]
    minutes: Mapping[int, Sequence[Counts]]
    failures: Mapping[int, facts.Failures]
    troubles: facts.Troubles
    gaps: Mapping[int, debts.GapsOfAccount]
    lost: Mapping[int, int]
    rejections: Mapping[int, Sequence[tuple[str, int]]]
    events: Mapping[int, Sequence[facts.Line]]
    gates: Mapping[int, Snapshot]
    slacks: Mapping[int, int]

    @classmethod
    def collect(
        cls, connections: Sequence[Connection], lost: Mapping[int, int], now: datetime, gate: Gate
    ) -> _Found:
        groups = facts.groups_by_account(now)
        requests = ledger(now, {one.pk: one.rate_window_s for one in connections})
        success = {
            one.pk: facts.newest(group.last_success_at for group in groups.get(one.pk, ()))
            for one in connections
        }
        return cls(
            now=now,
            groups=groups,
            ledger=requests,
            hour=by_account(requests.minutes),
            minutes=_by_minute(requests, now),
            failures=facts.failures_in_a_row(success, requests.day, now),
            troubles=facts.troubles(now),
            gaps=debts.open_gaps(),
            lost=lost,
            rejections=facts.rejections(now),
            events=facts.events(now),
            gates=facts.gates(connections, gate),
            slacks=slacks(),
        )

    def account(self, row: Connection) -> Account:
        known = self._facts(row)
        gate = self.gates.get(row.pk)
        gaps = self.gaps.get(row.pk, debts.NO_GAPS)
        groups = tuple(self.groups.get(row.pk, ())) if row.enabled else ()
        route = route_of(row)
        rate = route.rate
        allowance = Allowance(
            rate.limit, rate.window_s, rate.jitter_allowance_s, gate.budget.rate if gate else 1.0
        )
        return Account(
            pk=row.pk,
            name=row.name,
            community=row.community_id,
            community_name=str(row.community or ""),
            community_slug=row.community.slug if row.community else None,
            host=urlsplit(row.base_url).netloc,
            limit=row.rate_limit,
            window_s=row.rate_window_s,
            groups=groups,
            minutes=tuple(self.minutes.get(row.pk, (NOTHING,) * 60)),
            hour=self.hour.get(row.pk, NOTHING),
            day=known.day,
            month=self.ledger.month.get(row.pk, NOTHING),
            in_window=self.ledger.in_window.get(row.pk, 0),
            judged=known,
            health=judge(known, self.now),
            forecast=forecast(
                [one.asking for one in groups],
                allowance,
                self.slacks.__getitem__,
                gaps.backlog,
                self.now,
            ),
            gate=gate,
            explained=explain(gate, rate, route.breaker, self.now) if gate else None,
            outages=tuple(self.troubles.outages.get(row.pk, ())),
            gaps=gaps,
            lost=self.lost[row.pk],
            failing=tuple(self.troubles.failing.get(row.pk, ())),
            events=tuple(self.events.get(row.pk, ())),
            rejections=tuple(self.rejections.get(row.pk, ())),
        )

    def _facts(self, row: Connection) -> Facts:
        groups = self.groups.get(row.pk, ())
        failures = self.failures.get(row.pk, facts.Failures())
        outages = self.troubles.outages.get(row.pk, ())
        open_since = facts.oldest(one.since for one in outages if one.until is None)
        first_answer = self.ledger.first_answer_at.get(row.pk)
        return Facts(
            enabled=row.enabled,
            asked_sources=sum(one.asking.sources for one in groups),
            shortest_s=min((one.asking.interval_s for one in groups), default=None),
            day=self.ledger.day.get(row.pk, NOTHING),
            consecutive_failures=failures.count,
            failing_since=failures.since,
            first_asked_at=facts.oldest((first_answer, failures.since)),
            last_success_at=facts.newest(one.last_success_at for one in groups),
            first_success_at=first_answer,
            outage_since=open_since,
            outage_words=next((one.text for one in outages if one.until is None), ""),
            outage_ended_at=facts.newest(one.until for one in outages),
            key_readable=row.account_key.readable,
            gate=self.gates.get(row.pk),
        )


def _by_minute(requests: Ledger, now: datetime) -> dict[int, list[Counts]]:
    """The last 60 minutes of each account, also those in which nothing was asked."""
    begin = since_minute(now, HOUR)
    parts: dict[int, dict[int, list[Counts]]] = defaultdict(lambda: defaultdict(list))
    for one in requests.minutes:
        parts[one.connection][(one.at - begin) // MINUTE].append(one.counts)
    return {
        account: [total(minutes.get(place, ())) for place in range(60)]
        for account, minutes in parts.items()
    }
