"""One account as the page shows it: everything is said here, the template only places it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.urls import reverse

from devices.models.priority import Priority
from ingestion.admin import words
from ingestion.observe import phrases
from ingestion.observe.counting import MINUTE, minute_of
from ingestion.observe.counts import Counts
from ingestion.observe.facts import Line, oldest
from ingestion.observe.gauges import Breaker, Budget, When, breaker, budget
from ingestion.observe.ledger import MONTH
from ingestion.observe.outages import Outage
from ingestion.observe.snapshot import Account
from ingestion.observe.spark import Picture, picture
from ingestion.observe.status import Code, Issue

SHOWN = 8
"""So many lines of each list are on the page; a link leads to all."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its name; `tone` is good, warn, bad or empty."""

    name: str
    value: str
    tone: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """A line of a list, with the page of its source."""

    name: str
    url: str
    text: str
    when: When | None
    percent: int | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """All of it."""

    pk: int
    name: str
    url: str
    place: str
    state: str
    state_words: str
    since: When | None
    words: str
    issues: tuple[tuple[str, When | None], ...]
    picture: Picture
    figures: tuple[Figure, ...]
    last_success: When | None
    budget: Budget
    breaker: Breaker
    forecast: tuple[str, ...]
    advice: tuple[str, ...]
    short: bool
    freshness: tuple[tuple[str, str], ...]
    sources: str
    failing: tuple[Item, ...]
    failing_more: int
    gaps: tuple[Item, ...]
    gaps_count: int
    events: tuple[Item, ...]
    polls_url: str
    rejections: tuple[tuple[str, str, int], ...]
    rejected: int
    outages: tuple[tuple[When | None, str, str], ...]

    @property
    def nothing(self) -> str:
        """What there is none of, in a sentence: empty lists take no room."""
        lists = (
            (self.failing, "failing source"),
            (self.gaps_count, "gap"),
            (self.rejected, "rejected value"),
            (self.events, "change at a source"),
            (self.outages, "outage"),
        )
        none = [name for found, name in lists if not found]
        return f"No {', no '.join(none)}." if none else ""


_STATES = {
    "healthy": "Healthy",
    "degraded": "Degraded",
    "down": "Provider down",
    "paused": "Paused by the provider",
    "idle": "Idle",
}


def state_of(account: Account) -> str:
    """The state for people: what the status says, and of a degraded account by what."""
    codes = {one.code for one in account.health.issues}
    if Code.CIRCUIT_OPEN in codes:
        return "down"
    if Code.PAUSED in codes:
        return "paused"
    return str(account.health.status.value)


def card(account: Account, now: datetime) -> Card:
    """The card of an account."""
    health, state = account.health, state_of(account)
    plan = account.forecast
    return Card(
        pk=account.pk,
        name=account.name,
        url=reverse("admin:devices_connection_change", args=[account.pk]),
        place=" · ".join(
            one for one in (account.host, account.community_name or "shared by communities") if one
        ),
        state=state,
        state_words=_STATES[state],
        since=When.of(health.since, now),
        words=health.words,
        issues=tuple((one.text, _since(one, now)) for one in health.issues),
        picture=picture(
            account.minutes,
            account.outages,
            minute_of(now) + MINUTE,
            account.judged.first_asked_at,
        ),
        figures=_figures(account),
        last_success=When.of(account.judged.last_success_at, now),
        budget=budget(account),
        breaker=breaker(account),
        forecast=plan.sentences,
        advice=plan.advice,
        short=plan.short,
        freshness=_freshness(account),
        sources=_sources(account, now),
        failing=tuple(_item(one, one.text, now) for one in account.failing[:SHOWN]),
        failing_more=max(len(account.failing) - SHOWN, 0),
        gaps=tuple(_gap(one, now) for one in account.gaps.lines[:SHOWN]),
        gaps_count=account.gaps.backlog.gaps,
        events=tuple(_item(one, one.text, now) for one in account.events[:SHOWN]),
        polls_url=f"{reverse('admin:ingestion_polllog_changelist')}?{_of(account)}",
        rejections=_rejections(account),
        rejected=sum(number for _, number in account.rejections),
        outages=tuple(_outage(one, now) for one in _recent(account.outages, now)),
    )


def _since(issue: Issue, now: datetime) -> When | None:
    return When.of(issue.since, now)


def _figures(account: Account) -> tuple[Figure, ...]:
    hour = account.hour
    return (
        _success("Success, 1 h", hour),
        _success("24 h", account.day),
        _success("30 days", account.month),
        _latency("Median answer", hour, 0.5),
        _latency("95 % within", hour, 0.95),
    )


def _success(name: str, counts: Counts) -> Figure:
    rate = counts.success_rate
    hint = f"{counts.answered:,} of {phrases.plural(counts.requests, 'request')} answered"
    return Figure(name, phrases.percent(rate), _rate_tone(rate), hint)


def _rate_tone(rate: float | None) -> str:
    if rate is None:
        return ""
    if rate >= 0.99:
        return "good"
    return "warn" if rate >= 0.8 else "bad"


def _latency(name: str, counts: Counts, share: float) -> Figure:
    value = counts.percentile_ms(share)
    return Figure(name, milliseconds(value), hint="of the last hour, within 5 %")


def milliseconds(value: float | None) -> str:
    """«84 ms», «1.2 s», or a dash."""
    if value is None:
        return "–"
    return (
        f"{phrases.number(value / 1000, 2)} s"
        if value >= 1000
        else f"{phrases.number(value, 2)} ms"
    )


def _freshness(account: Account) -> tuple[tuple[str, str], ...]:
    """Per priority class, the longest time between two polls of a source."""
    return tuple(
        (Priority(priority).label, phrases.pace(seconds))
        for priority, seconds in sorted(account.forecast.freshness_s.items())
    )


def _sources(account: Account, now: datetime) -> str:
    groups = account.groups
    parts = [f"{phrases.plural(account.sources, 'source')} asked"]
    running, due = sum(one.running for one in groups), sum(one.due for one in groups)
    failing = sum(one.failing for one in groups)
    if running:
        parts.append(f"{running:,} on the way")
    if due:
        since = oldest(one.oldest_due_at for one in groups) or now
        waited = phrases.span((now - since).total_seconds())
        parts.append(f"{due:,} due, the longest for {waited}")
    if failing:
        parts.append(f"{failing:,} failed last time")
    return " · ".join(parts)


def _item(line: Line, text: str, now: datetime) -> Item:
    url = reverse("admin:devices_thingspeakchannel_change", args=[line.source])
    return Item(line.device, url, text, When.of(line.at, now))


def _gap(line: Line, now: datetime) -> Item:
    """How far a gap is filled."""
    item = _item(line, line.text, now)
    if not line.entries:
        return replace(item, percent=line.percent)
    text = f"{line.text} {phrases.plural(line.entries, 'entry', 'entries')} fetched so far."
    return replace(item, text=text, percent=line.percent)


def _of(account: Account) -> str:
    """What lets a list of the admin show the rows of this account."""
    return f"source__connection__id__exact={account.pk}"


def _rejections(account: Account) -> tuple[tuple[str, str, int], ...]:
    page = reverse("admin:ingestion_rejection_changelist")
    return tuple(
        (words.reason(reason), f"{page}?reason={reason}&{_of(account)}", number)
        for reason, number in account.rejections
    )


def _recent(outages: Sequence[Outage], now: datetime) -> list[Outage]:
    return [one for one in outages if one.until is None or one.until > now - MONTH][:SHOWN]


def _outage(outage: Outage, now: datetime) -> tuple[When | None, str, str]:
    lasted = phrases.span(((outage.until or now) - outage.since).total_seconds())
    return (
        When.of(outage.since, now),
        f"for {lasted}" if outage.until else f"for {lasted} so far",
        outage.text,
    )
