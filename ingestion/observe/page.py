"""The live page as a whole: is everything moving, what is wrong, and a card for each account."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from devices.alerts.state import SourceState
from ingestion.health import DISPATCH_LATE_S, WORKER_LATE_S
from ingestion.observe import phrases
from ingestion.observe.cards import Card, card, state_of
from ingestion.observe.facts import Line, oldest
from ingestion.observe.gauges import When
from ingestion.observe.scope import Seen
from ingestion.observe.snapshot import Account, Moving
from ingestion.observe.status import Status

CROWD = 20
"""So many waiting messages say that the workers do not keep up: one holds up to a hundred polls."""
WAITED_LONG_S = 300.0
_ENGINES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


@dataclass(frozen=True, slots=True)
class Tile:
    """One part that moves, or should; `tone` is good, warn, bad or empty."""

    name: str
    value: str
    tone: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong, since when, what it affects, and what was tried already."""

    title: str
    tone: str
    since: When | None
    text: str
    affects: str = ""
    tried: str = ""
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class Shared:
    """An account of several communities, for those whose devices it feeds: only how it is."""

    name: str
    state: str
    words: str
    since: When | None


@dataclass(frozen=True, slots=True)
class Page:
    """Everything on it."""

    at: datetime
    verdict: str
    tone: str
    summary: str
    tiles: tuple[Tile, ...]
    troubles: tuple[Trouble, ...]
    cards: tuple[Card, ...]
    shared: tuple[Shared, ...]
    jobs: tuple[tuple[str, int | None, str], ...]


def page(seen: Seen) -> Page:
    """The page for what somebody may see."""
    troubles = (*_standing(seen.moving, seen.at), *_of_accounts(seen))
    bad = any(one.tone == "bad" for one in troubles)
    cards = [card(one, seen.at) for one in seen.accounts]
    return Page(
        at=seen.at,
        verdict=_verdict(troubles),
        tone="bad" if bad else "warn" if troubles else "good",
        summary=_summary(seen.accounts),
        tiles=tuple(_tiles(seen)),
        troubles=troubles,
        cards=tuple(sorted(cards, key=lambda one: (_RANK[one.state], one.name))),
        shared=tuple(_shared(one, seen.at) for one in seen.shared),
        jobs=tuple((one.subject, one.percent, one.message) for one in seen.jobs),
    )


_RANK = {"down": 0, "paused": 1, "degraded": 1, "healthy": 2, "idle": 3}


def _verdict(troubles: Sequence[Trouble]) -> str:
    if not troubles:
        return "Everything is moving"
    if len(troubles) == 1:
        return troubles[0].title
    return f"{len(troubles)} things need a look"


def _summary(accounts: Sequence[Account]) -> str:
    sources = sum(one.sources for one in accounts)
    if not accounts:
        return "There is no account yet."
    hour = sum(one.hour.requests for one in accounts)
    return (
        f"{phrases.plural(sources, 'source')} through "
        f"{phrases.plural(len(accounts), 'account')}, "
        f"{phrases.plural(hour, 'request')} in the last hour."
    )


# --- the parts that move ----------------------------------------------------------------------


def _tiles(seen: Seen) -> list[Tile]:
    moving = seen.moving
    return [
        _beat("Dispatcher", moving, moving.dispatch_age_s, DISPATCH_LATE_S),
        _beat("Worker", moving, moving.worker_age_s, WORKER_LATE_S),
        _redis(moving),
        Tile("Database", _ENGINES.get(moving.engine, moving.engine), "good", "answers"),
        _queue(moving),
        *_work(seen),
    ]


def _beat(name: str, moving: Moving, age_s: float | None, late_s: float) -> Tile:
    if moving.redis_ms is None:
        return Tile(name, "not known", "warn", "while Redis does not answer")
    if age_s is None:
        return Tile(name, "never heard of", "bad", "since Redis was started")
    tone = "bad" if age_s > late_s else "good"
    value = "moving" if tone == "good" else f"silent for {phrases.span(age_s)}"
    return Tile(name, value, tone, f"late after {phrases.span(late_s)}")


def _redis(moving: Moving) -> Tile:
    if moving.redis_ms is None:
        return Tile("Redis", "does not answer", "bad", "nothing is asked without it")
    return Tile(
        "Redis", "answers", "good", f"in {phrases.number(max(moving.redis_ms, 0.01), 1)} ms"
    )


def _queue(moving: Moving) -> Tile:
    if moving.redis_ms is None:
        return Tile("Queue", "not known", "warn", "while Redis does not answer")
    waiting = sum(moving.queued.values())
    hint = "batches of polls, and tasks"
    return Tile("Queue", f"{waiting:,} waiting", "warn" if waiting > CROWD else "good", hint)


def _work(seen: Seen) -> list[Tile]:
    groups = [group for account in seen.accounts for group in account.groups]
    due, running = sum(one.due for one in groups), sum(one.running for one in groups)
    since = oldest(one.oldest_due_at for one in groups)
    waited_s = (seen.at - since).total_seconds() if since else 0.0
    gaps = sum(one.gaps.backlog.gaps for one in seen.accounts)
    pages = sum(one.gaps.backlog.pages for one in seen.accounts)
    lost = sum(one.lost for one in seen.accounts)
    return [
        Tile(
            "Due now",
            f"{due:,}",
            "warn" if waited_s > WAITED_LONG_S else "good",
            f"the longest for {phrases.span(waited_s)}" if due else "nobody waits",
        ),
        Tile("On the way", f"{running:,}", "good", "polls handed to workers"),
        Tile("Gaps", f"{gaps:,}", "good", _to_fetch(gaps, pages, lost)),
        Tile("Jobs", f"{len(seen.jobs):,}", "good", "imports, exports, recalculations"),
    ]


def _to_fetch(gaps: int, pages: int, lost: int) -> str:
    gone = f"{phrases.plural(lost, 'entry', 'entries')} lost at the source" if lost else ""
    if not gaps:
        return f"nothing to fill; {gone}" if gone else "nothing is missing"
    fetch = f"about {phrases.plural(pages, 'page')} to fetch" if pages else "of unknown length"
    return f"{fetch}; {gone}" if gone else fetch


# --- what is wrong ----------------------------------------------------------------------------


def _standing(moving: Moving, now: datetime) -> tuple[Trouble, ...]:
    """Parts of the site that stand still: then nothing at all is asked."""
    if moving.redis_ms is None:
        text = "Without the request budget nothing may be asked. Start Redis, or correct REDIS_URL."
        return (Trouble("Redis does not answer", "bad", None, text, "Every source of the site."),)
    found = []
    for name, age_s, late_s, text in (
        (
            "The dispatcher",
            moving.dispatch_age_s,
            DISPATCH_LATE_S,
            "No source is asked. Look whether its process runs, and beat, which starts it every "
            "second, and at their logs.",
        ),
        (
            "The worker",
            moving.worker_age_s,
            WORKER_LATE_S,
            "What is due waits. Look whether its process runs, and at its log.",
        ),
    ):
        if age_s is not None and age_s <= late_s:
            continue
        since = None if age_s is None else When.of(now - timedelta(seconds=age_s), now)
        found.append(
            Trouble(f"{name} stands still", "bad", since, text, "Every source of the site.")
        )
    return tuple(found)


def _of_accounts(seen: Seen) -> list[Trouble]:
    found = []
    for one in seen.accounts:
        if one.health.status is Status.DEGRADED:
            found.append(_degraded(one, seen.at))
            continue
        changed = [line for line in one.failing if line.kind == SourceState.SCHEMA_CHANGED]
        failing = [line for line in one.failing if line.kind != SourceState.SCHEMA_CHANGED]
        if failing:
            found.append(_failing(one, failing, seen.at))
        if changed:
            found.append(_changed(one, changed, seen.at))
        if one.forecast.short:
            found.append(_short(one))
    return sorted(found, key=lambda one: one.tone != "bad")


def _degraded(account: Account, now: datetime) -> Trouble:
    state = state_of(account)
    titles = {"down": "does not answer", "paused": "asks us to wait"}
    return Trouble(
        title=f"{account.name} {titles.get(state, 'is degraded')}",
        tone="warn" if state == "paused" else "bad",
        since=When.of(account.health.since, now),
        text=account.health.words,
        affects=_affects(account, now),
        tried=_tried(account),
        anchor=f"account-{account.pk}",
    )


def _affects(account: Account, now: datetime) -> str:
    sources = phrases.plural(account.sources, "source")
    said = f"{sources} of {phrases.plural(len(account.communities), 'community', 'communities')}"
    last = account.judged.last_success_at
    if last is None:
        return f"{said}; none was ever answered."
    return f"{said}; the newest answer is {phrases.span((now - last).total_seconds())} old."


def _tried(account: Account) -> str:
    parts = []
    failures, gate = account.judged.consecutive_failures, account.gate
    if failures:
        parts.append(f"{phrases.plural(failures, 'request')} since the last success, all failed")
    if gate is not None and gate.times_opened:
        parts.append(f"left in peace {phrases.plural(gate.times_opened, 'time')}")
    if gate is not None and gate.budget.rate < 1:
        parts.append(f"slowed to {phrases.percent(gate.budget.rate)} of full speed")
    return "; ".join(parts).capitalize() + "." if parts else ""


def _failing(account: Account, failing: Sequence[Line], now: datetime) -> Trouble:
    """Sources that fail while others of the account are well, told by the first of them."""
    count, first = len(failing), failing[-1]
    again = _asked_again(first.kind)
    many = f"{phrases.plural(count, 'source')} of {account.name} fail on their own"
    return Trouble(
        title=many if count > 1 else f"{first.device} fails on its own",
        tone="warn",
        since=When.of(first.at, now),
        text=first.text if count == 1 else f"{first.device}: {first.text}",
        affects="Only what they bring; the account itself is well."
        if count > 1
        else "Only what it brings; the account itself is well.",
        tried=again if count == 1 else f"{first.device}: {again}",
        anchor=f"account-{account.pk}",
    )


def _asked_again(reason: str) -> str:
    """What goes on by itself meanwhile: whoever refuses us is asked ever less often."""
    if reason in (SourceState.KEY_REJECTED, SourceState.NOT_FOUND):
        return "Asked again by itself, less and less often, at least every 6 h."
    return "Asked again by itself."


def _changed(account: Account, changed: Sequence[Line], now: datetime) -> Trouble:
    """Sources that answer, but with other fields than were mapped."""
    count, first = len(changed), changed[-1]
    many = f"Fields of {phrases.plural(count, 'source')} of {account.name} changed"
    return Trouble(
        title=many if count > 1 else f"Fields of {first.device} changed",
        tone="warn",
        since=When.of(first.at, now),
        text=first.text if count == 1 else f"{first.device}: {first.text}",
        affects="Only the changed fields; their neighbours are stored as ever.",
        tried="Asked as often as ever; what arrives of these fields is kept until somebody "
        "decides.",
        anchor=f"account-{account.pk}",
    )


def _short(account: Account) -> Trouble:
    plan = account.forecast
    slowest = phrases.pace(max(plan.freshness_s.values()))
    return Trouble(
        title=f"The budget of {account.name} is too small",
        tone="warn",
        since=None,
        text=f"{plan.sentences[0]} {' '.join(plan.advice[1:])}",
        affects=f"Nothing is lost; readings come up to {slowest} apart.",
        anchor=f"account-{account.pk}",
    )


def _shared(account: Account, now: datetime) -> Shared:
    health = account.health
    state = state_of(account)
    return Shared(account.name, state, health.words, When.of(health.since, now))
