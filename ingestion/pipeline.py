"""The way of a reading, top to bottom: entries in, stored readings and live messages out.

Everything a delivery changes is one transaction; what others are told, they are told on commit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from django.db import transaction

from devices.models import Source
from devices.readings.samples import Origin, Received, Sample, WriteResult
from devices.readings.store import get_store
from ingestion.entries import Entry, Refusal
from ingestion.models import Rejection
from ingestion.normalise import FieldRule, normalise
from ingestion.tell import tell_readings

# Rejections are looked up and inserted in portions that every database takes in one statement.
PORTION = 500


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
    """What became of a delivery."""

    written: WriteResult
    entries: int
    refused: int
    newest_at: datetime | None
    """Time of the newest entry that may advance the cursor (aware UTC), whether mapped or not.

    Not one ahead of our clock: what the source says in between would never be asked for.
    """

    @property
    def newest_new_at(self) -> datetime | None:
        """Time of the newest value that was not stored before."""
        return max((sample.at for sample in self.written.new), default=None)


def ingest(
    delivery: Delivery, now: datetime, settle: Callable[[Ingested], None] = lambda _: None
) -> Ingested:
    """Normalise, store and tell one delivery; `settle` runs inside the same transaction.

    Idempotent: the same delivery again changes nothing and tells nothing. An exception of
    `settle` (a lost lease, say) undoes everything.
    """
    samples: list[Sample] = []
    received: list[Received] = []
    refusals = list(delivery.refusals)
    device = delivery.source.device_id
    for entry in delivery.entries:
        result = normalise(entry, delivery.rules, now)
        refusals.extend(result.refusals)
        if any(refusal.field is None for refusal in result.refusals):
            continue
        fields = entry.received()
        received.append(Received(delivery.source.pk, device, entry.at, entry.sequence, fields))
        if result.values:
            samples.append(Sample(device, entry.at, entry.sequence, result.values, delivery.origin))
    with transaction.atomic():
        written = get_store().write(samples, received)
        ingested = Ingested(
            written=written,
            entries=len(delivery.entries) + _whole_entries(delivery.refusals),
            refused=record_refusals(delivery.source, refusals, now),
            newest_at=max((one.at for one in delivery.entries if one.at <= now), default=None),
        )
        settle(ingested)
        if delivery.origin is Origin.LIVE and written.new:
            # Robust: whoever cannot be told now reloads later; what is stored stays stored.
            tell = partial(tell_readings, delivery.source.device, written.new)
            transaction.on_commit(tell, robust=True)
    return ingested


def _whole_entries(refusals: Sequence[Refusal]) -> int:
    return sum(refusal.field is None for refusal in refusals)


def record_refusals(source: Source, refusals: Sequence[Refusal], now: datetime) -> int:
    """Store refusals that are not known yet; returns how many were new."""
    rows = {row.fingerprint: row for row in (_row(source, one, now) for one in refusals)}
    fresh = 0
    prints = list(rows)
    for start in range(0, len(prints), PORTION):
        portion = prints[start : start + PORTION]
        known = set(
            Rejection.objects.filter(source=source, fingerprint__in=portion).values_list(
                "fingerprint", flat=True
            )
        )
        missing = [rows[one] for one in portion if one not in known]
        # Another worker may record the same one between the look and the insert.
        Rejection.objects.bulk_create(missing, ignore_conflicts=True)
        fresh += len(missing)
    return fresh


def _row(source: Source, refusal: Refusal, now: datetime) -> Rejection:
    identity = (refusal.at, refusal.sequence, refusal.field, refusal.reason, refusal.raw)
    return Rejection(
        source=source,
        received_at=now,
        entry_at=refusal.at,
        sequence=refusal.sequence,
        field=refusal.field or "",
        reason=refusal.reason,
        detail=refusal.detail[:500],
        raw=refusal.raw,
        fingerprint=hashlib.blake2b(repr(identity).encode(), digest_size=16).hexdigest(),
    )
