"""The readings store on an SQL engine."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from devices.readings.keeping import Cut, Dropped, Shares, Survey, Volume
from devices.readings.samples import (
    AggregateRequest,
    Bucket,
    Buckets,
    Correction,
    DayCompleteness,
    HistoriesRequest,
    HistoryRequest,
    IntegralRequest,
    Integrals,
    Line,
    PercentileRequest,
    Percentiles,
    Reading,
    Received,
    ReceivedRequest,
    Run,
    Sample,
    WriteResult,
)
from devices.readings.store import (
    aggregating,
    correcting,
    dropping,
    integrating,
    lines,
    ranking,
    reading,
    recalling,
    resuming,
    rolling,
    runs,
    sharing,
    writing,
)
from devices.readings.store.engine import Engine
from devices.readings.store.latest import latest
from devices.readings.store.tables import RECEIVED, ROWS, TEXTS


@dataclass(frozen=True, slots=True)
class SqlStore:
    """`base.ReadingStore` in SQL; see there for what each method promises."""

    engine: Engine

    def ready(self) -> None:
        """Raise when the engine cannot be had."""
        self.engine.ready()

    def write(self, samples: Sequence[Sample], received: Sequence[Received] = ()) -> WriteResult:
        """Store samples and entries as received; says what that changed."""
        return writing.write(self.engine, samples, received)

    def correct(self, samples: Sequence[Sample], gone: Sequence[Sample]) -> Correction:
        """Write samples and take single values out again."""
        return correcting.correct(self.engine, samples, gone)

    def stored(
        self, metrics: Collection[int], identities: Collection[tuple[datetime, int]]
    ) -> Sequence[Sample]:
        """The values of one device's metrics at these identities."""
        return recalling.stored(self.engine, metrics, identities)

    def held(self, metrics: Collection[int], since: datetime, until: datetime) -> int:
        """How many single values of the metrics are stored."""
        return recalling.held(self.engine, metrics, since, until)

    def received(self, request: ReceivedRequest) -> Sequence[Received]:
        """One page of a source's entries as received."""
        return recalling.received(self.engine, request)

    def received_count(self, request: ReceivedRequest) -> int:
        """How many entries such pages hold altogether."""
        return recalling.received_count(self.engine, request)

    def latest(self, metrics: Collection[int]) -> Mapping[int, Reading]:
        """The newest reading of each metric by its own time."""
        return latest(self.engine, metrics)

    def history(self, request: HistoryRequest) -> Sequence[Reading]:
        """One page of a metric's readings."""
        return reading.history(self.engine, request)

    def runs(self, request: HistoryRequest) -> Sequence[Run]:
        """One page of the runs of a text or on/off metric."""
        return runs.page(self.engine, request)

    def aggregate(self, request: AggregateRequest) -> Buckets:
        """Statistics in buckets, from the coarsest tier that answers."""
        return aggregating.aggregate(self.engine, request)

    def percentiles(self, request: PercentileRequest) -> Sequence[Percentiles]:
        """Percentiles of each bucket with readings."""
        return ranking.percentiles(self.engine, request)

    def integrate(self, request: IntegralRequest) -> Integrals:
        """What lies under the metric's line, by bucket."""
        return integrating.integrate(self.engine, request)

    def histories(self, request: HistoriesRequest) -> Mapping[int, Line]:
        """All readings of several metrics."""
        return lines.histories(self.engine, request)

    def survey(self, metric: int) -> Survey:
        """From when on what of a metric is kept."""
        return reading.survey(self.engine, metric)

    def count(self, metric: int, since: datetime, until: datetime, most: int) -> int:
        """How many single readings a range of a metric holds."""
        return reading.count(self.engine, metric, since, until, most)

    def statistics(self, metric: int, since: datetime, until: datetime) -> Bucket | None:
        """Statistics over all of [since, until)."""
        return aggregating.statistics(self.engine, metric, since, until)

    def completeness(
        self, metric: int, since: datetime, until: datetime
    ) -> Sequence[DayCompleteness]:
        """Readings held and expected for each calendar day."""
        return aggregating.completeness(self.engine, metric, since, until)

    def drop(self, cuts: Mapping[int, Cut]) -> Dropped:
        """Drop old readings and hours of devices."""
        return dropping.drop(self.engine, cuts)

    def take_again(self, after: datetime) -> int:
        """Set back cuts that only a wrong clock can have made."""
        return resuming.take_again(self.engine, after)

    def volumes(self) -> Sequence[Volume]:
        """What the readings of each month take up."""
        return self.engine.volumes([ROWS, TEXTS])

    def shares(self) -> Mapping[datetime, Shares]:
        """About which share of a month each device has."""
        return sharing.shares(self.engine)

    def received_volumes(self) -> Sequence[Volume]:
        """What the entries as received of each month take up."""
        return self.engine.volumes([RECEIVED])

    def drops_whole_months(self) -> bool:
        """Whether readings go a month at a time."""
        return self.engine.whole_months

    def drop_received_before(self, before: datetime) -> int:
        """Drop old entries as received."""
        return dropping.drop_received_before(self.engine, before)

    def prepare(self, now: datetime) -> None:
        """Make room for the coming months."""
        rolling.prepare(self.engine, now)

    def put_in_order(self, now: datetime) -> None:
        """Sort what is over."""
        for table in (ROWS, TEXTS):
            self.engine.put_in_order(table, now)

    def roll_up(self, now: datetime) -> int:
        """Bring the tiers up to date."""
        return rolling.roll_up(self.engine, now)
