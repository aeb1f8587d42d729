"""The words the readings store speaks: samples in, readings and buckets out. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

Value = float | int | bool | str


class Origin(StrEnum):
    """How a reading reached us."""

    LIVE = "live"
    BACKFILL = "backfill"
    PUSH = "push"


class Tier(StrEnum):
    """Resolutions the store keeps."""

    RAW = "raw"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Sample:
    """What one device said at one instant: the values of several of its metrics.

    `at` is aware UTC; `sequence` is the source's own entry number, or 0. `values` maps the
    metric's primary key to its value, already in the metric's unit. Identity: (device, at,
    sequence); samples with one identity merge.
    """

    device: int
    at: datetime
    sequence: int
    values: Mapping[int, Value]
    origin: Origin = Origin.LIVE


@dataclass(frozen=True, slots=True)
class Received:
    """One entry as the source sent it, kept so that a number can be explained or recomputed."""

    source: int
    device: int
    at: datetime
    sequence: int
    fields: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of one metric, as stored."""

    metric: int
    at: datetime
    sequence: int
    value: Value
    origin: Origin = Origin.LIVE


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What a write changed: values that were not there before, and values that differ now.

    Both hold only the changed values; a sample written again appears in neither.
    """

    new: Sequence[Sample] = ()
    revised: Sequence[Sample] = ()
    unchanged: int = 0

    @property
    def new_values(self) -> int:
        """How many single values were stored for the first time."""
        return sum(len(sample.values) for sample in self.new)


@dataclass(frozen=True, slots=True)
class HistoryRequest:
    """Readings of one metric, `since` <= at < `until`, oldest first unless `newest_first`.

    `after` continues a page: (at, sequence) of the last reading already seen.
    """

    metric: int
    since: datetime
    until: datetime
    limit: int = 1000
    newest_first: bool = False
    after: tuple[datetime, int] | None = None


@dataclass(frozen=True, slots=True)
class AggregateRequest:
    """Buckets of one metric over [since, until); `width` is each bucket's length."""

    metric: int
    since: datetime
    until: datetime
    width: timedelta


@dataclass(frozen=True, slots=True)
class Bucket:
    """Statistics of the readings in [start, start + width)."""

    start: datetime
    count: int
    minimum: float
    maximum: float
    sum: float
    sum_of_squares: float
    first: float
    last: float

    @property
    def average(self) -> float:
        """Mean of the readings in the bucket."""
        return self.sum / self.count


@dataclass(frozen=True, slots=True)
class Buckets:
    """The answer of an aggregate: which tier was read, and the buckets that hold readings."""

    tier: Tier
    buckets: Sequence[Bucket] = field(default_factory=tuple)
