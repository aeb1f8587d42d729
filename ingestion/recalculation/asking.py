"""Asking for a recalculation: one job for each source and stretch of time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F

from devices.models import UNFINISHED, Job, Source
from devices.models.job import JobQuerySet

KIND = "recalculate"


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be recalculated: a source's entries with `since` <= at < `until`.

    Both are aware; None means no limit on that side. `asked_at`: when it was (last) asked for.
    """

    source: int
    since: datetime | None
    until: datetime | None
    asked_at: datetime

    @classmethod
    def of(cls, job: Job) -> Self:
        """The order that a job carries out."""
        params = job.params
        return cls(
            params["source"],
            _read(params["since"]),
            _read(params["until"]),
            datetime.fromisoformat(params["asked_at"]),
        )

    def params(self) -> dict[str, Any]:
        """As a job keeps it."""
        return {
            "source": self.source,
            "since": self.since and self.since.isoformat(),
            "until": self.until and self.until.isoformat(),
            "asked_at": self.asked_at.isoformat(),
        }

    def touches(self, other: Order) -> bool:
        """Whether the two stretches overlap or meet."""
        return _not_after(self.since, other.until) and _not_after(other.since, self.until)

    def with_(self, other: Order) -> Order:
        """One order for both."""
        no_since, no_until = (
            None in (self.since, other.since),
            None in (self.until, other.until),
        )
        return Order(
            self.source,
            None if no_since else min(self.since, other.since),  # type: ignore[type-var]
            None if no_until else max(self.until, other.until),  # type: ignore[type-var]
            max(self.asked_at, other.asked_at),
        )


def request(
    source: Source,
    since: datetime | None,
    until: datetime | None,
    by: User | None,
    why: str,
    now: datetime,
) -> Job:
    """Have a source's readings, `since` <= at < `until`, computed anew; returns the job to watch.

    Times are aware; None means everything on that side. `by` is who asked (None: the site itself),
    `why` a short sentence for people: «The tank's height was corrected». The mappings count as they
    are when the job works, so that a request which has not begun yet is widened instead of
    followed by another one; one that has begun is followed: its first part used older settings.
    Raises ValueError for a stretch that ends before it begins.
    """
    if since is not None and until is not None and since >= until:
        raise ValueError("The stretch to recalculate must end after it begins.")
    order = Order(source.pk, since, until, now)
    with transaction.atomic():
        # Two requests at once become one job.
        Source.objects.select_for_update(no_key=True, of=("self",)).get(pk=source.pk)
        for job in _unfinished(source.pk).filter(done=0).select_for_update():
            waiting = Order.of(job)
            if waiting.touches(order):
                return _widened(job, waiting.with_(order), why)
        return Job.objects.create(
            community=source.device.community,
            kind=KIND,
            subject=f"Recalculate {source.device}: {why}"[:200],
            params={**order.params(), "why": [why]},
            created_by=by,
        )


def unfinished() -> Iterator[Order]:
    """What all recalculations are to do that have not ended."""
    return map(Order.of, _all_unfinished())


def earlier(job: Job) -> bool:
    """Whether another recalculation of the same source has to end before this one may begin."""
    return _unfinished(job.params["source"]).filter(pk__lt=job.pk).exists()


def _unfinished(source: int) -> JobQuerySet:
    return _all_unfinished().filter(params__source=source)


def _all_unfinished() -> JobQuerySet:
    return Job.objects.filter(kind=KIND, state__in=UNFINISHED)


def _widened(job: Job, order: Order, why: str) -> Job:
    reasons: Mapping[str, None] = dict.fromkeys([*job.params["why"], why])
    params = {**order.params(), "why": list(reasons)}
    # The token: a step under way began with the older stretch, and is undone. The cursor: polls
    # that began before this change are others than those that it waited for.
    Job.objects.filter(pk=job.pk).update(
        params=params, cursor={}, claim_token=F("claim_token") + 1, lease_until=None
    )
    job.refresh_from_db()
    return job


def _not_after(begin: datetime | None, end: datetime | None) -> bool:
    return begin is None or end is None or begin <= end


def _read(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
