"""What was received and not stored, kept once for every time it is received."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from devices.models import Source
from devices.phrases import shortened
from ingestion.entries import Refusal
from ingestion.models import Rejection

# Rejections are looked up and inserted in portions that every database takes in one statement.
PORTION = 500


def record(refused: Mapping[int, Sequence[Refusal]], now: datetime) -> Counter[int]:
    """Store refusals (by source) that are not known yet; how many were new, by source."""
    rows = {
        (row.source_id, row.fingerprint): row
        for source, refusals in refused.items()
        for row in _rows(source, refusals, now)
    }
    keys = list(rows)
    fresh: Counter[int] = Counter()
    for start in range(0, len(keys), PORTION):
        portion = keys[start : start + PORTION]
        known = set(
            Rejection.objects.filter(
                source__in={source for source, _ in portion},
                fingerprint__in=[fingerprint for _, fingerprint in portion],
            ).values_list("source_id", "fingerprint")
        )
        missing = [rows[key] for key in portion if key not in known]
        # Another worker may record the same one between the look and the insert.
        Rejection.objects.bulk_create(missing, ignore_conflicts=True)
        fresh.update(row.source_id for row in missing)
    return fresh


def _rows(source: int, refusals: Sequence[Refusal], now: datetime) -> Iterator[Rejection]:
    for refusal in refusals:
        identity = (refusal.at, refusal.sequence, refusal.field, refusal.reason, refusal.raw)
        yield Rejection(
            source_id=source,
            received_at=now,
            entry_at=refusal.at,
            sequence=refusal.sequence,
            field=refusal.field or "",
            reason=refusal.reason,
            detail=shortened(refusal.detail),
            raw=refusal.raw,
            fingerprint=hashlib.blake2b(repr(identity).encode(), digest_size=16).hexdigest(),
        )


def record_refusals(source: Source, refusals: Sequence[Refusal], now: datetime) -> int:
    """Store refusals of one source that are not known yet; returns how many were new."""
    return record({source.pk: refusals}, now)[source.pk]
