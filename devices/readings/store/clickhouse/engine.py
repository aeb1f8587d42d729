"""The engine for those who outgrow one PostgreSQL: books there, rows in ClickHouse."""

# ruff: noqa: S608 - SQL is put together from constants of this package; values are numbers

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from devices.readings.instants import from_ms, to_ms
from devices.readings.keeping import Part, Volume
from devices.readings.periods import Span
from devices.readings.samples import Sample, Tier
from devices.readings.store.batch import Batch
from devices.readings.store.clickhouse import doubting, dropping, summing, tiers, writing
from devices.readings.store.clickhouse.books import BookedEngine
from devices.readings.store.clickhouse.literals import filled, listed
from devices.readings.store.clickhouse.server import Server
from devices.readings.store.clickhouse.slots import slots_of_devices, slots_of_metric
from devices.readings.store.engine import DeviceHour, Engine, Stored
from devices.readings.store.partitions import month_of
from devices.readings.store.summary import TIER_TABLES
from devices.readings.store.tables import ROWS, TEXTS, Key, Owned, Record, Table

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_LOG = (
    "INSERT INTO readings_latelog (device_id, hour, days_only) "
    "SELECT n.device_id, n.hour, n.days_only FROM {rows}"
)
_LOG_COLUMNS = (("device_id", "int8"), ("hour", "timestamptz"), ("days_only", "bool"))


class ClickhouseEngine(BookedEngine):
    """Rows in versions, which count on: whoever writes holds the devices in the books."""

    batch = 50_000
    whole_months = True
    transactional = False

    def __init__(self, books: Engine, server: Server) -> None:
        """`books` is the engine of the default database."""
        super().__init__(books)
        self.server = server
        self.place = str(server.address)

    def hold(self, devices: Collection[int]) -> None:
        """Their rows in the books, in the order of keys; SQLite has one writer anyway."""
        wanted, params = self.relation("k", [("id", "int8")], [[one] for one in devices])
        lock = "FOR NO KEY UPDATE OF d" if connection.features.has_select_for_update else ""
        self.many(
            f"SELECT d.id FROM {wanted} JOIN devices_device d ON d.id = k.id ORDER BY d.id {lock}",
            params,
        )

    def clear(self, slots: Collection[tuple[int, int]]) -> None:
        """A slot that was given in a transaction undone may be given again."""
        writing.clear(self.server, slots)

    def doubts(
        self, batch: Batch, closed: datetime, gone: Sequence[Sample]
    ) -> Collection[DeviceHour]:
        """See `doubting`."""
        return doubting.doubts(self, self.server, batch, closed, gone)

    def ready(self) -> None:
        """Its tables are made when they are not there."""
        self.server.rows("SELECT 1")

    def source(self, table: str) -> str:
        """The newest version of each row."""
        return f"{table} FINAL"

    def read(self, sql: str, params: Sequence[Any] = ()) -> Stored:
        """All rows; parameters are whole numbers and instants."""
        return self.server.rows(filled(sql, params))

    def insert(
        self, table: Table, keys: Sequence[Key], records: Mapping[Key, Record]
    ) -> dict[Key, Record]:
        """Look, then insert what is missing."""
        return writing.insert_missing(self.server, table, keys, records)

    def locked(self, table: Table, keys: Sequence[Key]) -> dict[Key, Record]:
        """Their devices are held."""
        return writing.stored(self.server, table, keys)

    def update(self, table: Table, records: Sequence[tuple[Key, Record]]) -> None:
        """New versions."""
        writing.rewrite(self.server, table, records)

    def rows_of(
        self,
        table: Table,
        owners: Sequence[int],
        since: datetime,
        until: datetime,
        columns: Sequence[str],
        limit: int,
    ) -> Stored:
        """The key serves."""
        owner = table.key[0]
        return self.read(
            f"SELECT {owner}, at, {', '.join(columns)} FROM {table.name} FINAL "
            f"WHERE {owner} IN {listed(owners)} AND at >= %s AND at < %s "
            f"ORDER BY {owner}, at, sequence LIMIT %s",
            [since, until, limit],
        )

    def rows_at(self, table: Table, keys: Sequence[Key], columns: Sequence[str]) -> Stored:
        """One look-up in the key for each."""
        found = writing.rows_at(self.server, table, keys, ("origin", *columns))
        return [(*key, *row) for key, row in found.items()]

    def owners_in(
        self, table: Table, owners: Sequence[int], since: Any, until: Any
    ) -> Sequence[int]:
        """Whoever has a row there, of whatever version."""
        owner = table.key[0]
        rows = self.read(
            f"SELECT DISTINCT {owner} FROM {table.name} "
            f"WHERE {owner} IN {listed(owners)} AND at >= %s AND at <= %s",
            [since, until],
        )
        return [one for (one,) in rows]

    def earliest(
        self, table: Table, owners: Sequence[int], since: datetime, until: datetime
    ) -> datetime | None:
        """Of whatever version."""
        ((at,),) = self.read(
            f"SELECT minOrNull(at) FROM {table.name} "
            f"WHERE {table.key[0]} IN {listed(owners)} AND at >= %s AND at < %s",
            [since, until],
        )
        return None if at is None else self.moment(at)

    def summed(
        self, metric: int, tier: Tier, buckets: Sequence[Span], readings: Sequence[Span]
    ) -> Stored:
        """A statement for each, added up here."""
        found = summing.of_tier(self.server, tier, {metric: buckets})
        if readings:
            slots = slots_of_metric(self, metric)
            of_readings = summing.of_readings(
                self.server, slots, {metric: readings}, by_device=False
            )
            for bucket, facts in of_readings.items():
                summing.put(found, bucket, facts)
        return [(*bucket, *facts) for bucket, facts in sorted(found.items())]

    def ranked(
        self, metric: int, spans: Sequence[Span], shares: Sequence[int], whole: int
    ) -> Stored:
        """The server sorts each bucket in its memory."""
        slots = slots_of_metric(self, metric)
        return summing.ranked(self.server, slots, metric, spans, shares, whole)

    def log_heard(self, since: datetime, until: datetime) -> None:
        """Day by day: ever so many hours never stand in memory at once."""
        for table in (ROWS, TEXTS):
            for day in self._days(table, to_ms(since), to_ms(until)):
                self._log_day(table, max(day, to_ms(since)), min(day + _DAY_MS, to_ms(until)))

    def _days(self, table: Table, since: int, until: int) -> list[int]:
        rows = self.server.rows(
            f"SELECT DISTINCT at - positiveModulo(at, {_DAY_MS}) AS day FROM {table.name} "
            f"WHERE at >= {since} AND at < {until} ORDER BY day"
        )
        return [day for (day,) in rows]

    def _log_day(self, table: Table, since: int, until: int) -> None:
        owner = table.key[0]
        rows = self.server.rows(
            f"SELECT DISTINCT {owner}, at - positiveModulo(at, {_HOUR_MS}) FROM {table.name} "
            f"WHERE at >= {since} AND at < {until}"
        )
        devices = self._devices(table)
        hours = sorted({(devices[one], hour) for one, hour in rows if one in devices})
        self._log([(device, hour, False) for device, hour in hours])

    def _devices(self, table: Table) -> dict[int, int]:
        """The device of each stream, or of each on/off metric."""
        if table is ROWS:
            return dict(self.query("SELECT id, device_id FROM readings_stream"))
        return dict(
            self.query("SELECT id, device_id FROM devices_metric WHERE data_type = 'boolean'")
        )

    def _log(self, hours: Sequence[tuple[int, int, bool]]) -> None:
        """Enter (device, hour in milliseconds, for its days alone) into the late log."""
        for start in range(0, len(hours), self.books.batch):
            self.execute_many(
                _LOG,
                _LOG_COLUMNS,
                [
                    (device, self.instant(from_ms(hour)), days_only)
                    for device, hour, days_only in hours[start : start + self.books.batch]
                ],
            )

    def log_days_of(self, device: int, since: datetime) -> None:
        """Of all its metrics."""
        metrics = slots_of_devices(self, [device]).device
        hours = tiers.hours_from(self.server, metrics, since)
        self._log([(device, hour, True) for hour in hours])

    def remake(
        self,
        tier: Tier,
        buckets: Sequence[Owned],
        of_finer: Sequence[Owned],
        of_readings: Sequence[Owned],
    ) -> int:
        """New versions of the buckets."""
        slots = slots_of_devices(self, {device for device, _ in buckets})
        return tiers.remake(self.server, slots, tier, buckets, of_finer, of_readings)

    def forget_from(self, tier: Tier, device: int, since: datetime) -> None:
        """New versions that say they are gone."""
        tiers.forget_from(self.server, tier, slots_of_devices(self, [device]).device, since)

    def drop_hours(self, before: Mapping[int, datetime]) -> int:
        """Whole months."""
        owners = {
            metric: before.get(device)
            for metric, device in self.query("SELECT id, device_id FROM devices_metric")
        }
        if not before:
            return 0
        table = TIER_TABLES[Tier.HOUR]
        return dropping.drop_of(self, self.server, table, "metric_id", owners, {})

    def sweep(self) -> None:
        """By what the books still name."""
        dropping.sweep(self, self.server)

    def make_room(self, table: str, instants: Collection[datetime]) -> None:
        """Nothing to do: a month is made by its first row."""

    def make_ahead(self, table: Table, now: datetime) -> None:
        """Nothing to do either."""

    def put_in_order(self, table: Table, now: datetime) -> None:
        """Nothing to do: its parts are sorted, and merged beside all else."""

    def drop_until(self, table: Table, owners: str, until: datetime) -> int:
        """Whole months, for nothing."""
        return dropping.drop_until(self, self.server, table.name, until)

    def drop_of(
        self,
        table: Table,
        until: Mapping[int, datetime | None],
        done: Mapping[int, datetime],
    ) -> int:
        """Whole months, for nothing where nobody keeps longer; else row by row of who does not."""
        return dropping.drop_of(self, self.server, table.name, table.key[0], until, done)

    def gone_until(self, dropped_until: datetime) -> datetime:
        """Whole months only."""
        return month_of(dropped_until).begins

    def volumes(self, tables: Sequence[Table]) -> list[Volume]:
        """As the server counts them."""
        return dropping.volumes(self.server, [table.name for table in tables])

    def parts(self, table: Table) -> list[Part]:
        """Counted."""
        return dropping.parts(self.server, table.name, table.key[0])
