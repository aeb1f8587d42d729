"""The big tables beside the books, in the same database: what both SQL engines share."""

# ruff: noqa: S608 - SQL is put together from constants of this package; values are parameters

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from devices.readings.periods import Span
from devices.readings.samples import Sample, Tier
from devices.readings.store.batch import Batch
from devices.readings.store.engine import DeviceHour, Engine, Stored
from devices.readings.store.summary import (
    FINER,
    STATISTICS,
    TIER_TABLES,
    pieces_of_readings,
    pieces_of_tier,
    summary,
)
from devices.readings.store.tables import ROWS, TEXTS, Key, Owned, Table

_KEY = (("owner", "int8"), ("at", "timestamptz"), ("sequence", "int8"))
_HOUR_COLUMNS = (("device_id", "int8"), ("hour", "timestamptz"))
_METRIC = "m.id"
_DEVICE = "m.device_id"
_OF_DEVICE = "metric_id IN (SELECT id FROM devices_metric WHERE device_id = %s)"


class SqlRows(Engine):
    """Rows in the default database: one statement may join them with the books."""

    transactional = True
    place = "the database"

    def ready(self) -> None:
        """Nothing to do: whoever asks has the database."""

    def source(self, table: str) -> str:
        """The table itself."""
        return table

    def read(self, sql: str, params: Sequence[Any] = ()) -> Stored:
        """As any other SELECT."""
        return self.query(sql, params)

    def rows_of(
        self,
        table: Table,
        owners: Sequence[int],
        since: datetime,
        until: datetime,
        columns: Sequence[str],
        limit: int,
    ) -> Stored:
        """The key serves: one short walk in it for each owner."""
        wanted, params = self.relation("k", [("owner", "int8")], [[one] for one in owners])
        source = self.for_each(
            table.name, "r", f"r.{table.key[0]} = k.owner AND r.at >= %s AND r.at < %s"
        )
        chosen = ", ".join(f"r.{column}" for column in columns)
        return self.many(
            f"SELECT k.owner, r.at, {chosen} FROM {wanted} {source} "
            "ORDER BY k.owner, r.at, r.sequence LIMIT %s",
            [*params, self.instant(since), self.instant(until), limit],
        )

    def rows_at(self, table: Table, keys: Sequence[Key], columns: Sequence[str]) -> Stored:
        """One look-up in the key for each."""
        wanted, params = self.relation("k", _KEY, keys)
        owner, at, sequence = table.key
        instants = [at for _, at, _ in keys]
        within = self.within(f"r.{at}", min(instants), max(instants))
        source = self.for_each(
            table.name,
            "r",
            f"r.{owner} = k.owner AND r.{at} = k.at AND r.{sequence} = k.sequence{within}",
        )
        chosen = ", ".join(f"r.{column}" for column in (*table.key, "origin", *columns))
        return self.query(f"SELECT {chosen} FROM {wanted} {source}", params)

    def owners_in(
        self, table: Table, owners: Sequence[int], since: Any, until: Any
    ) -> Sequence[int]:
        """The first row that is found of each says it."""
        wanted, params = self.relation("k", [("owner", "int8")], [[one] for one in owners])
        rows = self.query(
            f"SELECT k.owner FROM {wanted} WHERE EXISTS (SELECT 1 FROM {table.name} t "
            f"WHERE t.{table.key[0]} = k.owner AND t.at >= %s AND t.at <= %s)",
            [*params, since, until],
        )
        return [owner for (owner,) in rows]

    def earliest(
        self, table: Table, owners: Sequence[int], since: datetime, until: datetime
    ) -> datetime | None:
        """The key gives the first of each."""
        wanted, params = self.relation("k", [("owner", "int8")], [[one] for one in owners])
        ((at,),) = self.query(
            "SELECT min(first) FROM (SELECT (SELECT min(t.at) "
            f"FROM {table.name} t WHERE t.{table.key[0]} = k.owner AND t.at >= %s AND t.at < %s"
            f") AS first FROM {wanted}) AS firsts",
            [self.instant(since), self.instant(until), *params],
        )
        return None if at is None else self.moment(at)

    def summed(
        self, metric: int, tier: Tier, buckets: Sequence[Span], readings: Sequence[Span]
    ) -> Stored:
        """One statement over both."""
        pieces = []
        if buckets:
            spans = [(metric, span) for span in buckets]
            pieces.append(pieces_of_tier(self, tier, spans, _METRIC))
        if readings:
            spans = [(metric, span) for span in readings]
            pieces.append(pieces_of_readings(self, spans, _METRIC))
        return self.query(*summary(pieces)) if pieces else []

    def ranked(
        self, metric: int, spans: Sequence[Span], shares: Sequence[int], whole: int
    ) -> Stored:
        """The database sorts: any bucket fits the memory."""
        pieces, params = pieces_of_readings(self, [(metric, span) for span in spans], _METRIC)
        wanted, more = self.relation("q", [("share", "int8")], [[share] for share in shares])
        return self.query(
            "SELECT bucket, n, share, value FROM (SELECT bucket, first AS value, "
            "row_number() OVER (PARTITION BY bucket ORDER BY first) AS place, "
            f"count(*) OVER (PARTITION BY bucket) AS n FROM ({pieces}) AS pieces) AS ranked "
            f"JOIN {wanted} ON place = (q.share * n + {whole - 1}) / {whole}",
            [*params, *more],
        )

    def log_heard(self, since: datetime, until: datetime) -> None:
        """One statement: nothing leaves the database."""
        bounds = [self.instant(since), self.instant(until)]
        self.change(
            "INSERT INTO readings_latelog (device_id, hour, days_only) "
            f"SELECT DISTINCT o.device_id, {self.hour_of('r.at')}, false FROM ("
            "SELECT DISTINCT s.stream_id, m.device_id FROM readings_slot s "
            "JOIN devices_metric m ON m.id = s.metric_id) AS o "
            f"CROSS JOIN {ROWS.name} r WHERE r.stream_id = o.stream_id "
            "AND r.at >= %s AND r.at < %s "
            "UNION "
            f"SELECT m.device_id, {self.hour_of('t.at')}, false FROM devices_metric m "
            f"CROSS JOIN {TEXTS.name} t WHERE m.data_type = 'boolean' AND t.metric_id = m.id "
            "AND t.at >= %s AND t.at < %s",
            [*bounds, *bounds],
        )

    def log_days_of(self, device: int, since: datetime) -> None:
        """One statement as well."""
        self.change(
            "INSERT INTO readings_latelog (device_id, hour, days_only) "
            f"SELECT DISTINCT %s, bucket, true FROM {TIER_TABLES[Tier.HOUR]} "
            f"WHERE {_OF_DEVICE} AND bucket >= %s",
            [device, device, self.instant(since)],
        )

    def remake(
        self,
        tier: Tier,
        buckets: Sequence[Owned],
        of_finer: Sequence[Owned],
        of_readings: Sequence[Owned],
    ) -> int:
        """Delete, then insert what the pieces sum up to."""
        if not buckets:
            return 0
        keys = [(device, self.instant(span.bucket)) for device, span in buckets]
        wanted, params = self.relation("k", _HOUR_COLUMNS, keys)
        table = TIER_TABLES[tier]
        self.change(
            f"DELETE FROM {table} WHERE (metric_id, bucket) IN (SELECT m.id, k.hour FROM {wanted} "
            "CROSS JOIN devices_metric m WHERE m.device_id = k.device_id)",
            params,
        )
        pieces = []
        if tier in FINER:
            pieces.append(pieces_of_tier(self, FINER[tier], of_finer, _DEVICE))
        if of_readings:
            pieces.append(pieces_of_readings(self, of_readings, _DEVICE))
        select, values = summary(pieces)
        return self.change(
            f"INSERT INTO {table} (metric_id, bucket, {STATISTICS}) {select}", values
        )

    def sweep(self) -> None:
        """Nothing to do: they went with it."""

    def hold(self, devices: Collection[int]) -> None:
        """Nothing to do: a row that is written is locked."""

    def clear(self, slots: Collection[tuple[int, int]]) -> None:
        """Nothing to do: what is undone is gone."""

    def doubts(
        self, batch: Batch, closed: datetime, gone: Sequence[Sample]
    ) -> Collection[DeviceHour]:
        """None: rows and books are of one transaction."""
        return ()

    def forget_from(self, tier: Tier, device: int, since: datetime) -> None:
        """Of all its metrics."""
        self.change(
            f"DELETE FROM {TIER_TABLES[tier]} WHERE {_OF_DEVICE} AND bucket >= %s",
            [device, self.instant(since)],
        )

    def drop_hours(self, before: Mapping[int, datetime]) -> int:
        """A short transaction for each device."""
        return sum(
            self.change(
                f"DELETE FROM {TIER_TABLES[Tier.HOUR]} WHERE bucket < %s AND {_OF_DEVICE}",
                [self.instant(at), device],
            )
            for device, at in before.items()
        )
