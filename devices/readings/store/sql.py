"""The readings store on an SQL engine."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from devices.readings.samples import (
    AggregateRequest,
    Bucket,
    Buckets,
    DayCompleteness,
    HistoryRequest,
    Reading,
    Received,
    Sample,
    WriteResult,
)
from devices.readings.store import aggregating, reading, rolling, writing
from devices.readings.store.engine import Engine


@dataclass(frozen=True, slots=True)
class SqlStore:
    """`base.ReadingStore` in SQL; see there for what each method promises."""

    engine: Engine

    def write(self, samples: Sequence[Sample], received: Sequence[Received] = ()) -> WriteResult:
        """Store samples and entries as received; says what that changed."""
        return writing.write(self.engine, samples, received)

    def latest(self, metrics: Collection[int]) -> Mapping[int, Reading]:
        """The newest reading of each metric by its own time."""
        return reading.latest(self.engine, metrics)

    def history(self, request: HistoryRequest) -> Sequence[Reading]:
        """One page of a metric's readings."""
        return reading.history(self.engine, request)

    def aggregate(self, request: AggregateRequest) -> Buckets:
        """Statistics in buckets, from the coarsest tier that answers."""
        return aggregating.aggregate(self.engine, request)

    def statistics(self, metric: int, since: datetime, until: datetime) -> Bucket | None:
        """Statistics over all of [since, until)."""
        return aggregating.statistics(self.engine, metric, since, until)

    def completeness(
        self, metric: int, since: datetime, until: datetime
    ) -> Sequence[DayCompleteness]:
        """Readings held and expected for each calendar day."""
        return aggregating.completeness(self.engine, metric, since, until)

    def drop_before(self, before: datetime) -> int:
        """Drop old readings and refuse such samples from now on."""
        return rolling.drop_before(self.engine, before)

    def drop_received_before(self, before: datetime) -> int:
        """Drop old entries as received."""
        return rolling.drop_received_before(self.engine, before)

    def prepare(self, now: datetime) -> None:
        """Make room for the coming months."""
        rolling.prepare(self.engine, now)

    def roll_up(self, now: datetime) -> int:
        """Bring the tiers up to date."""
        return rolling.roll_up(self.engine, now)
