"""The way of a reading, top to bottom: entries in, stored readings and live messages out.

Everything that deliveries change is one transaction; what others are told, they are told on commit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import repeat
from typing import NamedTuple

from django.db import transaction

from devices.models import Source
from devices.readings.instants import to_millisecond
from devices.readings.samples import Origin, Received, Sample, WriteResult
from devices.readings.store import get_store
from devices.tuples import of_columns
from ingestion import rejections
from ingestion.entries import Entry, Refusal
from ingestion.normalise import FUTURE_TOLERANCE, FieldRule, Value, held_metrics, normalise
from ingestion.normalise.columns import sound_values
from ingestion.tell import News, tell_readings


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one source delivered in one answer, and the rules that turn it into values."""

    source: Source
    rules: Sequence[FieldRule]
    entries: Sequence[Entry]
    refusals: Sequence[Refusal]
    origin: Origin


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of a delivery.

    `written` tells of the samples of its device; what was unchanged is not counted.
    """

    written: WriteResult
    entries: int
    refused: int
    newest_at: datetime | None
    """Time of the newest entry that may advance the cursor (aware UTC), whether mapped or not.

    Not one ahead of our clock: what the source says in between would never be asked for.
    """
    withheld: bool = False
    """Whether values wait for a decision: then their absence says nothing about the device."""

    @property
    def newest_new_at(self) -> datetime | None:
        """Time of the newest value that was not stored before."""
        return max((sample.at for sample in self.written.new), default=None)


def ingest(delivery: Delivery, now: datetime) -> Ingested:
    """Normalise, store and tell one delivery; see `ingest_all`."""
    (ingested,) = ingest_all([delivery], now)
    return ingested


def ingest_all(deliveries: Sequence[Delivery], now: datetime) -> list[Ingested]:
    """Normalise, store and tell deliveries of different devices; what became of each.

    Idempotent: the same deliveries again change nothing and tell nothing.
    """
    if len({one.source.device_id for one in deliveries}) < len(deliveries):
        raise ValueError("Two deliveries of one device are ingested one after the other.")
    read = [_read(one, now) for one in deliveries]
    with transaction.atomic(savepoint=False):
        written = get_store().write(
            [sample for one in read for sample in one.samples],
            [received for one in read for received in one.received],
        )
        refused = rejections.record(
            {one.source.id: each.refusals for one, each in zip(deliveries, read, strict=True)}, now
        )
        parts = _by_device(written)
        ingested = [
            Ingested(
                written=parts[one.source.device_id],
                entries=len(one.entries) + _whole_entries(one.refusals),
                refused=refused[one.source.id],
                newest_at=max([each.at for each in one.entries if each.at <= now], default=None),
                withheld=bool(held_metrics(one.rules, now)),
            )
            for one in deliveries
        ]
        _tell(deliveries, ingested)
    return ingested


class _Read(NamedTuple):
    """A delivery turned into what is stored of it."""

    samples: list[Sample]
    received: list[Received]
    refusals: Sequence[Refusal]


def _read(delivery: Delivery, now: datetime) -> _Read:
    entries, refusals = delivery.entries, delivery.refusals
    values = sound_values(entries, delivery.rules, now + FUTURE_TOLERANCE)
    if values is None:
        entries, values, refusals = _read_singly(delivery, now)
    source, device = repeat(delivery.source.id), repeat(delivery.source.device_id)
    at, sequence, fields = zip(*entries, strict=True) if entries else ((), (), ())
    samples = of_columns(Sample, device, at, sequence, values, repeat(delivery.origin))
    arrived = repeat(to_millisecond(now))
    received = of_columns(Received, source, device, at, sequence, fields, arrived)
    return _Read([one for one in samples if one.values], received, refusals)


def _read_singly(
    delivery: Delivery, now: datetime
) -> tuple[list[Entry], list[dict[int, Value]], list[Refusal]]:
    """Entries that are not refused whole, what each came to, and all refusals."""
    entries, values, refusals = [], [], list(delivery.refusals)
    for entry in delivery.entries:
        result = normalise(entry, delivery.rules, now)
        refusals.extend(result.refusals)
        if all(refusal.field is not None for refusal in result.refusals):
            entries.append(entry)
            values.append(result.values)
    return entries, values, refusals


def _by_device(written: WriteResult) -> defaultdict[int, WriteResult]:
    """What was written of each device."""
    parts: defaultdict[int, tuple[list[Sample], list[Sample], list[Sample]]]
    parts = defaultdict(lambda: ([], [], []))
    for place, samples in enumerate((written.new, written.revised, written.expired)):
        for sample in samples:
            parts[sample.device][place].append(sample)
    by_device: defaultdict[int, WriteResult] = defaultdict(WriteResult)
    for device, (new, revised, expired) in parts.items():
        by_device[device] = WriteResult(new=new, revised=revised, expired=expired)
    return by_device


def _tell(deliveries: Sequence[Delivery], ingested: Sequence[Ingested]) -> None:
    """Once committed, whoever watches hears of what is live and new, or another value now."""
    news = [
        News(one.source, each.written.new, each.written.revised)
        for one, each in zip(deliveries, ingested, strict=True)
        if one.origin is Origin.LIVE and (each.written.new or each.written.revised)
    ]
    if news:
        # Robust: whoever cannot be told now reloads later; what is stored stays stored.
        transaction.on_commit(partial(tell_readings, news), robust=True)


def _whole_entries(refusals: Sequence[Refusal]) -> int:
    return sum(refusal.field is None for refusal in refusals)
