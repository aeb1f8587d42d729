"""The words the readings store speaks: samples in, readings and buckets out. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

Value = float | int | bool | str

# Beyond this a number is no measurement, and the squares that statistics need would overflow.
LARGEST = 1e150


def storable(value: Value) -> bool:
    """Whether the store takes the value: text, on/off, or a number it can give back unchanged.

    Refused: NaN, infinities, numbers beyond ±LARGEST, whole numbers that a double cannot hold, and
    text with a NUL or half a surrogate pair, which no database takes.
    """
    if isinstance(value, bool):
        return True
    if isinstance(value, str):
        return (value.isascii() and "\0" not in value) or _is_text(value)
    return -LARGEST <= value <= LARGEST and float(value) == value


def _is_text(value: str) -> bool:
    return not any(char == "\0" or "\ud800" <= char <= "\udfff" for char in value)


class Origin(StrEnum):
    """How a reading reached us."""

    LIVE = "live"
    BACKFILL = "backfill"
    PUSH = "push"
    IMPORT = "import"


class Tier(StrEnum):
    """Resolutions the store keeps; `archive`: single readings that stand in the archive."""

    RAW = "raw"
    ARCHIVE = "archive"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


RESOLUTIONS = (Tier.RAW, Tier.HOUR, Tier.DAY, Tier.MONTH)
"""What can be asked for. Where readings stand then is the store's business."""


class Sample(NamedTuple):
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


class Received(NamedTuple):
    """One entry as the source sent it, kept so that a number can be explained or recomputed.

    `arrived` (aware UTC) tells when it reached us as it stands, and so which poll brought it; None:
    not known.
    """

    source: int
    device: int
    at: datetime
    sequence: int
    fields: Mapping[str, str | None]
    arrived: datetime | None = None


class Reading(NamedTuple):
    """One value of one metric, as stored."""

    metric: int
    at: datetime
    sequence: int
    value: Value
    origin: Origin = Origin.LIVE
    revised: bool = False


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What a write changed: values that were not there before, and values that differ now.

    Both hold only the changed values, ordered by (device, at, sequence); a sample written again
    appears in neither. `unchanged` counts single values that were there already. `expired` holds
    samples older than what the store still keeps (`drop`): they were not stored.
    """

    new: Sequence[Sample] = ()
    revised: Sequence[Sample] = ()
    unchanged: int = 0
    expired: Sequence[Sample] = ()

    @property
    def new_values(self) -> int:
        """How many single values were stored for the first time."""
        return sum(len(sample.values) for sample in self.new)


@dataclass(frozen=True, slots=True)
class Correction:
    """What correcting readings changed: what was written, and the values that are gone."""

    written: WriteResult
    removed: Sequence[Sample] = ()


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """Entries of one source as received, `since` <= at < `until` (None: no limit on that side).

    Oldest first unless `newest_first`. `after` continues a page: (at, sequence) of the last entry
    already seen.
    """

    source: int
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 1000
    newest_first: bool = False
    after: tuple[datetime, int] | None = None


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
class Run:
    """A value for as long as it was all that a metric said: what stays of texts and on/off values.

    From the reading at (`at`, `sequence`) to the one at `until`; neighbours were at most `longest`
    apart.
    """

    at: datetime
    sequence: int
    until: datetime
    longest: timedelta
    value: Value


@dataclass(frozen=True, slots=True)
class AggregateRequest:
    """Buckets of one metric over [since, until).

    `width` is a fixed length, aligned to whole multiples since 1970-01-01 UTC, or Tier.DAY or
    Tier.MONTH: calendar days or months in the zone of the metric's community, or None: one bucket
    of the whole range. Only readings inside [since, until) count, also in the first and the last
    bucket.
    """

    metric: int
    since: datetime
    until: datetime
    width: timedelta | Tier | None


@dataclass(frozen=True, slots=True)
class PercentileRequest(AggregateRequest):
    """Percentiles of each bucket: `percents` between 0 (excluded) and 100, to a thousandth."""

    percents: Sequence[float]


@dataclass(frozen=True, slots=True)
class IntegralRequest(AggregateRequest):
    """What lies under the metric's line in each bucket.

    Between two readings at most `bridge` apart, a number is taken to change evenly, and an on/off
    metric to stay as it was. Across more than that, nothing is taken to be known.
    """

    bridge: timedelta


@dataclass(frozen=True, slots=True)
class HistoriesRequest:
    """All readings of several metrics at once, `since` <= at < `until`; more than `most` is an
    error, so that no caller is given more than fits its memory.
    """

    metrics: Sequence[int]
    since: datetime
    until: datetime
    most: int = 200_000


@dataclass(frozen=True, slots=True)
class Bucket:
    """Statistics of the readings of one bucket, which begins at `start`.

    `first` and `last` are the values with the smallest and largest (at, sequence).
    """

    start: datetime
    count: int
    minimum: float
    maximum: float
    sum: float
    sum_of_squares: float
    first: float
    last: float
    first_at: datetime
    last_at: datetime

    @property
    def average(self) -> float:
        """Mean of the readings in the bucket."""
        return self.sum / self.count

    @property
    def deviation(self) -> float:
        """Standard deviation of the readings in the bucket (of the population)."""
        variance = self.sum_of_squares / self.count - self.average**2
        return math.sqrt(max(variance, 0.0))  # rounding may leave a hair below nothing


@dataclass(frozen=True, slots=True)
class Buckets:
    """The answer of an aggregate: the coarsest tier that was read, and the buckets with readings.

    What that tier does not hold yet (the newest readings, late ones) was read from finer ones.
    `left_out` are the stretches (since, until) of the range in which something was said that does
    not count: parts of hours whose readings were dropped by age.
    """

    tier: Tier
    buckets: Sequence[Bucket] = field(default_factory=tuple)
    left_out: Sequence[tuple[datetime, datetime]] = ()


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Percentiles of the readings of one bucket, by percent, by nearest rank.

    Each is the smallest reading that at least so many percent of the readings do not exceed: a
    value that was really measured.
    """

    start: datetime
    count: int
    values: Mapping[float, float]


@dataclass(frozen=True, slots=True)
class Integral:
    """What lies under a metric's line in one bucket.

    `known_s` says of how many seconds the line is known; `area` is in the metric's unit times
    seconds, `change` in its unit: both speak of the known seconds only.
    """

    start: datetime
    known_s: float
    area: float
    change: float

    @property
    def average(self) -> float:
        """Mean weighted by time."""
        return self.area / self.known_s

    @property
    def rate_per_s(self) -> float:
        """Rate of change: the metric's unit in a second."""
        return self.change / self.known_s


@dataclass(frozen=True, slots=True)
class Integrals:
    """The buckets of which anything is known, and the coarsest tier that was read.

    From readings they are exact. Where only hours (or days) are kept, their averages stand for the
    readings.
    """

    tier: Tier
    buckets: Sequence[Integral] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Line:
    """Readings of one metric as two columns of one length, ordered by (at, sequence)."""

    at: Sequence[datetime] = ()
    values: Sequence[Value] = ()


@dataclass(frozen=True, slots=True)
class DayCompleteness:
    """How many readings a calendar day holds, and how many its metric's cadence promises.

    `expected` is None when the metric states no cadence: nothing is guessed then.
    """

    day: date
    count: int
    expected: int | None

    @property
    def ratio(self) -> float | None:
        """The share that is there, between 0 and 1; None when nothing is known to be expected."""
        return min(self.count / self.expected, 1.0) if self.expected else None
