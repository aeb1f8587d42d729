"""What an account's budget is good for: demand against capacity, and what a change would do. Pure.

The dispatcher serves due sources in the order of `due time + slack of the priority class`. Where
more is asked than the budget gives, the wait grows until the sources ask as rarely as they are
served: a source of a class with slack s then waits T + s, half a slot at least, with one T for the
whole account. T is where the requests of all of them, one in `interval + wait` seconds each, fill
the budget.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ingestion.observe.phrases import number, pace, percent, plural, span

FULL = 0.9
"""Above this share of the budget the forecast warns: an outage's backlog needs room, too."""
PAGES_A_SECOND = 1.0
"""So many backfill pages are read at most: one after the other, a second for each
(`gaps.backfill.PAGE_S`)."""


@dataclass(frozen=True, slots=True)
class Asking:
    """So many `sources` of one priority class, each asked every `interval_s` seconds."""

    interval_s: float
    priority: int
    sources: int = 1


@dataclass(frozen=True, slots=True)
class Allowance:
    """The budget: `limit` requests per `window_s`, spaced for jitter, at `rate` of full speed."""

    limit: int
    window_s: float
    jitter_s: float = 1.0
    rate: float = 1.0

    @property
    def per_s(self) -> float:
        """Requests a second at the present speed."""
        return self.limit / (self.window_s + self.jitter_s) * self.rate

    @property
    def words(self) -> str:
        """«60 in 60 s»."""
        return f"{self.limit} in {number(self.window_s)} s"


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is to be fetched beside live polls: gaps, and the pages they need at least.

    `unknown`: gaps whose number of pages nobody knows.
    """

    gaps: int = 0
    pages: int = 0
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class Forecast:
    """Requests a second wanted and possible; seconds between two polls in the worst class.

    `freshness_s` by priority: the longest time between two polls of one of its sources.
    `backlog_done_at`: when the gaps are filled, None when that cannot be said.
    """

    demand_per_s: float
    capacity_per_s: float
    freshness_s: Mapping[int, float]
    backlog_done_at: datetime | None
    sentences: tuple[str, ...]
    advice: tuple[str, ...]

    @property
    def share(self) -> float:
        """Demand as a share of capacity; above 1 not everything is asked as often as wanted."""
        return self.demand_per_s / self.capacity_per_s

    @property
    def short(self) -> bool:
        """Whether the budget is too small."""
        return self.share > 1


def demand_per_s(asking: Iterable[Asking]) -> float:
    """Requests a second that all sources want together."""
    return sum(one.sources / one.interval_s for one in asking)


def waits_s(
    asking: Sequence[Asking], capacity_per_s: float, slack_s: Callable[[int], float]
) -> dict[int, float]:
    """How long a due source of each priority class waits for its turn, in the long run."""
    classes = sorted({one.priority for one in asking})
    least = 0.5 / capacity_per_s  # slots are evenly spaced: half of one passes before the next
    if demand_per_s(asking) <= capacity_per_s:
        return dict.fromkeys(classes, 0.0)

    def asked_per_s(common: float) -> float:
        return sum(
            one.sources / (one.interval_s + max(least, common + slack_s(one.priority)))
            for one in asking
        )

    low = -max(slack_s(priority) for priority in classes)
    high = sum(one.sources for one in asking) / capacity_per_s  # nobody waits for more than a round
    for _ in range(80):
        middle = (low + high) / 2
        if asked_per_s(middle) > capacity_per_s:
            low = middle
        else:
            high = middle
    return {priority: max(least, high + slack_s(priority)) for priority in classes}


def forecast(
    asking: Sequence[Asking],
    allowance: Allowance,
    slack_s: Callable[[int], float],
    backlog: Backlog,
    now: datetime,
) -> Forecast:
    """What the budget is good for, in numbers and words, and what to change where it is short."""
    demand, capacity = demand_per_s(asking), allowance.per_s
    waits = waits_s(asking, capacity, slack_s)
    freshness = {
        priority: max(one.interval_s for one in asking if one.priority == priority) + wait
        for priority, wait in waits.items()
    }
    done_at = _done_at(backlog, capacity - demand, now)
    return Forecast(
        demand_per_s=demand,
        capacity_per_s=capacity,
        freshness_s=freshness,
        backlog_done_at=done_at,
        sentences=_sentences(asking, allowance, demand, backlog, done_at, now),
        advice=_advice(asking, allowance, demand),
    )


def _done_at(backlog: Backlog, spare_per_s: float, now: datetime) -> datetime | None:
    if not backlog.pages or spare_per_s <= 0:
        return None
    seconds = backlog.pages / min(spare_per_s, PAGES_A_SECOND)
    # Beyond a century nobody plans, and dates end.
    return now + timedelta(seconds=seconds) if seconds < 3e9 else None


def _sentences(
    asking: Sequence[Asking],
    allowance: Allowance,
    demand: float,
    backlog: Backlog,
    done_at: datetime | None,
    now: datetime,
) -> tuple[str, ...]:
    sources = sum(one.sources for one in asking)
    if not sources:
        return ("Nothing is asked of this account.",)
    uses = (
        f"{plural(sources, 'source')} {'asks' if sources == 1 else 'ask'} for "
        f"{number(demand * 60)} requests a minute; the budget of {allowance.words} gives "
        f"{number(allowance.per_s * 60)}: {percent(demand / allowance.per_s)} used."
    )
    serves = (
        f"At this rate it serves {plural(sources, 'source')} every "
        f"{pace(sources / allowance.per_s)} each."
    )
    return tuple(one for one in (uses, serves, _backlog_words(backlog, done_at, now)) if one)


def _backlog_words(backlog: Backlog, done_at: datetime | None, now: datetime) -> str:
    if not backlog.gaps:
        return ""
    what = f"{plural(backlog.gaps, 'gap')} to fill"
    if backlog.unknown:
        what += f" ({backlog.unknown} of unknown length)"
    if done_at is None:
        spare = "when live polling leaves requests over" if backlog.pages else "one page at a time"
        return f"{what}: filled {spare}."
    about = "at the earliest" if backlog.unknown else "about"
    return (
        f"{what}, {plural(backlog.pages, 'page')} or more: done {about} in "
        f"{span((done_at - now).total_seconds())}, in the hour of {done_at:%Y-%m-%d %H}:00 UTC."
    )


def _advice(asking: Sequence[Asking], allowance: Allowance, demand: float) -> tuple[str, ...]:
    """What a change of limit or interval would do."""
    share = demand / allowance.per_s
    if not asking or share <= FULL:
        return _room(asking, allowance, demand)
    needed = needed_limit(demand, allowance)
    slower = math.ceil(share * 100) / 100
    usual = max(asking, key=lambda one: one.sources / one.interval_s)
    if share > 1:
        problem = (
            "More is asked than the budget gives: nothing is lost, every reading comes later than "
            "wanted."
        )
    else:
        problem = f"Only {percent(1 - share)} of the budget is left for gaps and catching up."
        slower = math.ceil(share / FULL * 100) / 100
        needed = needed_limit(demand / FULL, allowance)
    return (
        problem,
        f"A limit of {needed} in {number(allowance.window_s)} s would do, if the provider allows "
        "it.",
        f"Or ask {number(slower)} times less often: for example every "
        f"{span(math.ceil(usual.interval_s * slower))} instead of {span(usual.interval_s)}.",
    )


def _room(asking: Sequence[Asking], allowance: Allowance, demand: float) -> tuple[str, ...]:
    if not asking:
        return ()
    usual = max(asking, key=lambda one: one.sources / one.interval_s)
    more = math.floor((FULL * allowance.per_s - demand) * usual.interval_s)
    if more < 1:
        return ()
    return (
        f"There is room for {plural(more, 'more source', 'more sources')} asked every "
        f"{span(usual.interval_s)}.",
    )


def needed_limit(demand: float, allowance: Allowance) -> int:
    """The smallest limit per window that serves the demand at full speed."""
    return max(math.ceil(demand * (allowance.window_s + allowance.jitter_s) - 1e-9), 1)
