"""Runs: what stays of texts and on/off values when their readings are dropped by age.

A run is one value, said again and again without silence in between. Made once, of readings that
nothing changes any more, and never changed itself. With the silences that are left between runs,
states of any time are what they were when all readings were there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Q

from devices.models import DataType, Metric
from devices.readings.instants import MILLISECOND
from devices.readings.models import KeptFrom, StateRun
from devices.readings.pace import silence
from devices.readings.samples import HistoryRequest, Run
from devices.readings.store.alike import NEVER, Instants, groups
from devices.readings.store.engine import Engine
from devices.readings.store.reading import subject_of, value_of
from devices.readings.store.tables import TEXTS

MOST = 5_000
"""Readings of which runs are made in one transaction: how long others may have to wait."""
SHORTEST = timedelta(minutes=1)
"""All readings of so short a time are taken at once, however many."""
_ALL = 2**31 - 1
_BATCH = 500
_NONE = timedelta()
"""Where nobody knows how often a metric speaks, every pause may be silence."""


class Said(NamedTuple):
    """A stored text or flag."""

    metric: int
    at: datetime
    sequence: int
    text: str | None
    flag: bool | None


def make(engine: Engine, until: Instants) -> dict[int, datetime]:
    """Make runs of what is about to go, each device's readings before an instant, and say up to
    when it may: no reading goes of which there is no run.

    Runs and how far they reach are entered in one transaction: whatever is cut off in between,
    the next call goes on from there.
    """
    done = _reached(until)
    for devices, ends in groups(until, done):
        after = done[devices[0]]
        metrics = {one.pk: one for one in Metric.objects.filter(device__in=devices)}
        patience = cache(lambda metric, of=metrics: silence(of[metric]) or _NONE)
        first = engine.earliest(TEXTS, sorted(metrics), after, ends) if metrics else None
        nothing: list[tuple[datetime, list[Said]]] = [(ends, [])]
        parts = nothing if first is None else _parts(engine, sorted(metrics), first, ends)
        for reached, said in parts:
            if not _enter(devices, after, reached, list(runs_of(said, patience))):
                break  # another process is at it
            after = reached
    done = _reached(until)
    return {device: min(at, done[device]) for device, at in until.items() if device in done}


def _reached(devices: Collection[int]) -> dict[int, datetime]:
    """Up to when each device has runs."""
    rows = KeptFrom.objects.filter(device__in=devices)
    return {row.device_id: row.runs_until or NEVER for row in rows}


def page(engine: Engine, request: HistoryRequest) -> list[Run]:
    """See `ReadingStore.runs`."""
    data_type = subject_of(engine, request.metric).data_type
    column = "flag" if data_type == DataType.BOOLEAN else "text"
    found = StateRun.objects.filter(
        metric=request.metric, at__gte=request.since, at__lt=request.until
    ).exclude(**{column: None})
    direction, beyond = ("-", "lt") if request.newest_first else ("", "gt")
    if request.after is not None:
        at, sequence = request.after
        found = found.filter(
            Q(**{f"at__{beyond}": at}) | Q(**{"at": at, f"sequence__{beyond}": sequence})
        )
    ordered = found.order_by(f"{direction}at", f"{direction}sequence")[: request.limit]
    return [
        Run(row.at, row.sequence, row.until, row.longest_ms * MILLISECOND, value)
        for row in ordered
        if (value := value_of(data_type, None, row.text, row.flag)) is not None
    ]


def runs_of(said: Iterable[Said], patience: Callable[[int], timedelta]) -> Iterator[StateRun]:
    """The runs of readings that are ordered by (metric, at, sequence).

    A run ends where the value changes, and where nothing was said for longer than the metric's
    `patience`.
    """
    held: StateRun | None = None
    for metric, at, sequence, text, flag in said:
        if held is not None:
            pause = at - held.until
            same = held.metric_id == metric and held.text == text and held.flag == flag
            if same and pause <= patience(metric):
                held.until = at
                held.longest_ms = max(held.longest_ms, pause // MILLISECOND)
                continue
            yield held
        held = StateRun(
            metric_id=metric, at=at, until=at, sequence=sequence, longest_ms=0, text=text, flag=flag
        )
    if held is not None:
        yield held


def _parts(
    engine: Engine, metrics: Sequence[int], since: datetime, until: datetime
) -> Iterator[tuple[datetime, list[Said]]]:
    """What was said in a range, in parts of at most MOST readings, each with its end."""
    whole = until - since <= SHORTEST
    most = _ALL if whole else MOST + 1
    rows = engine.rows_of(TEXTS, metrics, since, until, ("sequence", "text", "flag"), most)
    if whole or len(rows) <= MOST:
        yield until, [_said(engine, row) for row in rows]
        return
    middle = since + (until - since) // MILLISECOND // 2 * MILLISECOND
    yield from _parts(engine, metrics, since, middle)
    yield from _parts(engine, metrics, middle, until)


def _said(engine: Engine, row: Sequence[Any]) -> Said:
    metric, at, sequence, text, flag = row
    return Said(metric, engine.moment(at), sequence, text, None if flag is None else bool(flag))


@transaction.atomic
def _enter(
    devices: Sequence[int], after: datetime, until: datetime, made: Sequence[StateRun]
) -> bool:
    """Enter runs and how far they reach; whether nobody else has meanwhile."""
    rows = KeptFrom.objects.select_for_update().filter(device__in=devices).order_by("device")
    if {row.runs_until or NEVER for row in rows} != {after}:
        return False
    StateRun.objects.bulk_create(made, batch_size=_BATCH)
    rows.update(runs_until=until)
    return True
