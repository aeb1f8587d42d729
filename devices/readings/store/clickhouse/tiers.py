"""Buckets of the tiers: made anew as new versions, and what is no more marked as gone.

One roller at a time works (`become_roller`), so that versions need no other lock. A roller that
dies has written buckets that are right; its portion of the late log comes back and is done again.
"""

# ruff: noqa: S608 - SQL is put together from constants of this package; values are numbers

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from devices.readings.instants import to_ms
from devices.readings.periods import Span
from devices.readings.samples import Tier
from devices.readings.store.clickhouse.literals import listed
from devices.readings.store.clickhouse.schema import GONE, VERSION
from devices.readings.store.clickhouse.server import Server
from devices.readings.store.clickhouse.slots import Slots
from devices.readings.store.clickhouse.summing import Bucket, Found, of_readings, of_tier, put
from devices.readings.store.summary import FINER, STATISTICS, TIER_TABLES
from devices.readings.store.tables import Owned

_COLUMNS = ("metric_id", "bucket", *STATISTICS.split(", "), VERSION, GONE)
_NOTHING = (0,) + (0.0,) * 6 + (0, 0)


def remake(
    server: Server,
    slots: Slots,
    tier: Tier,
    buckets: Sequence[Owned],
    of_finer: Sequence[Owned],
    readings: Sequence[Owned],
) -> int:
    """See `Rows.remake`; `slots` are those of the devices."""
    found = of_readings(server, slots, by_owner(readings), by_device=True)
    if tier in FINER:
        spans = by_owner(of_finer)
        of_metrics = {
            metric: spans[device] for metric, device in slots.device.items() if device in spans
        }
        for bucket, facts in of_tier(server, FINER[tier], of_metrics).items():
            put(found, bucket, facts)
    wanted = by_owner(buckets)
    pairs = {
        (metric, to_ms(span.bucket))
        for metric, device in slots.device.items()
        for span in wanted.get(device, ())
    }
    _write(server, tier, found, _versions(server, tier, pairs))
    return len(found)


def by_owner(owned: Iterable[Owned]) -> dict[int, list[Span]]:
    """Spans by whose they are."""
    spans: dict[int, list[Span]] = defaultdict(list)
    for owner, span in owned:
        spans[owner].append(span)
    return spans


def held(server: Server, tier: Tier, buckets: Collection[Bucket]) -> Found:
    """What the tier holds of these buckets."""
    if not buckets:
        return {}
    rows = server.rows(f"SELECT metric_id, bucket, {STATISTICS} {_of(tier, buckets, ' FINAL')}")
    return {(metric, bucket): tuple(facts) for metric, bucket, *facts in rows}


def _of(tier: Tier, buckets: Collection[Bucket], final: str) -> str:
    """FROM the tier, the buckets of all these metrics at all these instants."""
    return (
        f"FROM {TIER_TABLES[tier]}{final} "
        f"WHERE metric_id IN {listed(sorted({metric for metric, _ in buckets}))} "
        f"AND bucket IN {listed(sorted({bucket for _, bucket in buckets}))}"
    )


def _versions(
    server: Server, tier: Tier, buckets: Collection[Bucket]
) -> dict[Bucket, tuple[int, bool]]:
    """The newest version of each of these buckets, and whether it is gone; also of those gone."""
    if not buckets:
        return {}
    rows = server.rows(
        f"SELECT metric_id, bucket, max({VERSION}), argMax({GONE}, {VERSION}) "
        f"{_of(tier, buckets, '')} GROUP BY metric_id, bucket"
    )
    return {
        (metric, bucket): (version, bool(gone))
        for metric, bucket, version, gone in rows
        if (metric, bucket) in buckets
    }


def _write(server: Server, tier: Tier, found: Found, there: dict[Bucket, tuple[int, bool]]) -> None:
    """What was found, and a mark for what is there and should not be."""
    rows = [
        (*bucket, *facts, there.get(bucket, (0, True))[0] + 1, 0) for bucket, facts in found.items()
    ]
    rows += [
        (*bucket, *_NOTHING, version + 1, 1)
        for bucket, (version, gone) in there.items()
        if bucket not in found and not gone
    ]
    if rows:
        server.insert(TIER_TABLES[tier], _COLUMNS, list(zip(*rows, strict=True)))


def forget_from(server: Server, tier: Tier, metrics: Collection[int], since: datetime) -> None:
    """Mark the buckets of metrics that begin at or after an instant as gone."""
    if not metrics:
        return
    table = TIER_TABLES[tier]
    chosen = ", ".join({VERSION: f"{VERSION} + 1", GONE: "1"}.get(name, name) for name in _COLUMNS)
    server.run(
        f"INSERT INTO {table} ({', '.join(_COLUMNS)}) SELECT {chosen} FROM {table} FINAL "
        f"WHERE metric_id IN {listed(sorted(metrics))} AND bucket >= {to_ms(since)}"
    )


def hours_from(server: Server, metrics: Collection[int], since: datetime) -> list[int]:
    """The hours that any of the metrics has at or after an instant, in milliseconds."""
    if not metrics:
        return []
    rows = server.rows(
        f"SELECT DISTINCT bucket FROM {TIER_TABLES[Tier.HOUR]} FINAL "
        f"WHERE metric_id IN {listed(sorted(metrics))} AND bucket >= {to_ms(since)} ORDER BY bucket"
    )
    return [bucket for (bucket,) in rows]
