"""Carrying a recalculation out: each page and the place reached are one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from django.db import transaction

from devices.jobs import JobFailed, Progress
from devices.models import Job, Source
from devices.phrases import shortened
from devices.readings.samples import Correction, Received, ReceivedRequest, Sample
from devices.readings.store import get_store
from ingestion import rejections
from ingestion.models import EventKind, SourceEvent
from ingestion.recalculation.asking import Order
from ingestion.recalculation.comparing import compare
from ingestion.recalculation.rejections import withdraw
from ingestion.recalculation.scope import Scope
from ingestion.recalculation.waiting import has_begun, why_waiting
from ingestion.recalculation.words import told
from ingestion.tell import tell_recalculated

PAGE = 2_000
"""Entries in one step."""
TRIES = 5
PAUSE = timedelta(seconds=2)
BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
END = datetime(9999, 1, 1, tzinfo=UTC)


class _Restless(Exception):
    """Entries kept changing while they were computed; the step is tried again later."""


def step(job: Job, now: datetime) -> Progress:
    """Recalculate the next page; see `asking.request` for what the whole job does.

    The report counts `recomputed` entries and single values: `changed`, `new`, `removed`,
    `refused` by reason, `not_recomputed` (what was received for them is no longer kept) and
    `too_old` (their readings were dropped by retention).
    """
    order = Order.of(job)
    source = _source(order)
    report: dict[str, Any] = dict(job.report)
    total = job.total
    begun = has_begun(job)
    if not begun:
        why, waiting = why_waiting(job, source.pk, now)
        if why:
            return Progress(0, None, waiting, message=why, again_in=PAUSE)
    scope = Scope.of(source)
    if not begun:
        total, report = _begin(order, scope)
    page = _of_device(_read(order, _place(job.cursor if begun else {})), source.device_id)
    if page:
        _add(report, _recalculate(scope, page, now))
    done = job.done + len(page)
    finished = len(page) < PAGE
    if finished:
        _conclude(job, source, report, now)
    place = (page[-1].at.isoformat(), page[-1].sequence) if page else ("", 0)
    cursor = {"at": place[0], "sequence": place[1]} if page else {**job.cursor, "ended": True}
    message = told(report) if finished else ""
    return Progress(done, max(total or 0, done), cursor, finished, message, report)


def cancelled(job: Job, now: datetime) -> None:
    """Enter what was done before somebody stopped the job; it stays."""
    source = _found(Order.of(job))
    if source is not None and job.done:
        _conclude(job, source, job.report, now, stopped=True)


def _found(order: Order) -> Source | None:
    found = Source.objects.select_related("device__community")
    mapped = found.prefetch_related("mappings__metric", "mappings__calibrations")
    return mapped.filter(pk=order.source).first()


def _source(order: Order) -> Source:
    source = _found(order)
    if source is None:
        raise JobFailed("The source was deleted meanwhile; there is nothing to recalculate.")
    return source


def _begin(order: Order, scope: Scope) -> tuple[int, dict[str, Any]]:
    """How many entries there are, and what cannot be recomputed."""
    store = get_store()
    first = store.received(ReceivedRequest(order.source, order.since, order.until, limit=1))
    until = first[0].at if first else order.until or END
    lost = store.held(scope.watched, order.since or BEGINNING, until)
    report: dict[str, Any] = {
        **dict.fromkeys(("recomputed", "changed", "new", "removed", "too_old"), 0),
        "refused": {},
        "not_recomputed": lost,
        "received_from": first[0].at.isoformat() if first else "",
        "left_out": scope.held_back,
    }
    return store.received_count(ReceivedRequest(order.source, order.since, order.until)), report


def _place(cursor: Mapping[str, Any]) -> tuple[datetime, int] | None:
    return (datetime.fromisoformat(cursor["at"]), cursor["sequence"]) if cursor else None


def _read(order: Order, after: tuple[datetime, int] | None) -> Sequence[Received]:
    request = ReceivedRequest(order.source, order.since, order.until, limit=PAGE, after=after)
    return get_store().received(request)


def _of_device(page: Sequence[Received], device: int) -> Sequence[Received]:
    """The entries as those of the source's present device, should it have moved."""
    return [one if one.device == device else one._replace(device=device) for one in page]


def _recalculate(scope: Scope, page: Sequence[Received], now: datetime) -> Counter[str]:
    """Bring a page's values in line with its entries; what that came to, counted.

    An entry may be revised by a poll in the very moment: what is stored is then computed once more
    from what is received by now, so that the older entry never has the last word.
    """
    counts = Counter({"recomputed": len(page)})
    before = get_store().latest(scope.metrics)
    for _ in range(TRIES):
        counts += _once(scope, page, now)
        again = _again(scope, page)
        if again == page:
            if get_store().latest(scope.metrics) != before:
                transaction.on_commit(partial(tell_recalculated, scope.source.device), robust=True)
            return counts
        page = again
    raise _Restless


def _again(scope: Scope, page: Sequence[Received]) -> Sequence[Received]:
    """The same entries as they are received by now."""
    request = ReceivedRequest(scope.source.pk, since=page[0].at, limit=2 * PAGE)
    now = {(one.at, one.sequence): one for one in get_store().received(request)}
    again = [now.get((one.at, one.sequence), one) for one in page]
    return _of_device(again, scope.source.device_id)


def _once(scope: Scope, page: Sequence[Received], now: datetime) -> Counter[str]:
    identities = [(one.at, one.sequence) for one in page]
    store = get_store()
    differences = compare(
        page, store.stored(scope.metrics, identities), scope.rules.usable, scope.watched, now
    )
    foreign = scope.not_ours(identities)
    gone = [one for one in differences.gone if not _is_foreign(one, foreign)]
    correction = store.correct(differences.samples, gone)
    rejections.record({scope.source.pk: differences.refusals}, now)
    withdraw(scope.source, scope.rules.usable, page, differences.refusals)
    refused = {f"refused:{reason}": count for reason, count in differences.reasons.items()}
    return _counted(correction) + Counter(refused)


def _is_foreign(one: Sample, foreign: set[tuple[int, tuple[datetime, int]]]) -> bool:
    return any((metric, (one.at, one.sequence)) in foreign for metric in one.values)


def _counted(correction: Correction) -> Counter[str]:
    """Single values by what happened to them; one of another kind in its place is a change."""
    new, revised, removed, expired = (
        {(metric, one.at, one.sequence) for one in part for metric in one.values}
        for part in (
            correction.written.new,
            correction.written.revised,
            correction.removed,
            correction.written.expired,
        )
    )
    return Counter(
        changed=len(revised | (new & removed)),
        new=len(new - removed),
        removed=len(removed - new - revised),
        too_old=len(expired),
    )


def _add(report: dict[str, Any], counts: Counter[str]) -> None:
    """Add a page's counts to the report."""
    refused = dict(report["refused"])
    for name, count in counts.items():
        what, _, reason = name.partition(":")
        if reason:
            refused[reason] = refused.get(reason, 0) + count
        else:
            report[what] += count
    report["refused"] = refused


def _conclude(
    job: Job, source: Source, report: Mapping[str, Any], now: datetime, *, stopped: bool = False
) -> None:
    """Enter what happened, and have pages with older charts load them anew."""
    text = " ".join([*job.params["why"], *(["Stopped."] if stopped else []), told(report)])
    SourceEvent.objects.create(
        source=source, at=now, kind=EventKind.RECALCULATED, text=shortened(text), by=job.created_by
    )
    if any(report[name] for name in ("changed", "new", "removed")):
        transaction.on_commit(partial(tell_recalculated, source.device), robust=True)
