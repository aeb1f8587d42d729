"""What every readings store can do. Callers speak in metrics and samples, never in queries."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from django.db import OperationalError

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


class UnknownMetric(LookupError):
    """A sample or request names a metric that does not exist, or that is another device's."""


class NotStorable(ValueError):
    """A sample holds a value that `samples.storable` refuses; nothing of the batch was written."""


class NotNumeric(ValueError):
    """Statistics were asked of a text metric."""


class TooManyBuckets(ValueError):
    """A request asks for more buckets than anybody can read."""


class NotKept(LookupError):
    """A request needs what was dropped by age; the text says from when on it is kept."""


class ArchiveUnreadable(NotKept):
    """A request needs a file of the archive that is missing or damaged; the text says which."""


class RowsMoved(OperationalError):
    """This process would write where the readings are no more; the text says what to do."""

    def __init__(self, to: str, here: str) -> None:
        """`to` and `here` are places of engines."""
        super().__init__(
            f"The readings were moved to {to}, and this process would write to {here}. Start it "
            "anew with the READINGS_URL of where they are. If that is the same engine under "
            "another address, say so once: manage.py move_readings --here."
        )


class TooMuch(ValueError):
    """A request asks for more readings at once than the caller wants in its memory."""


class ReadingStore(Protocol):
    """The time series of all devices, each reading held once.

    Identity of a sample is (device, at, sequence), `at` to the millisecond. Everything joins the
    caller's transaction on the default connection, if there is one. Where rows are kept elsewhere
    (ClickHouse) they are there at once: when the transaction is undone they stay, and the same
    write, again, tells and repairs what the first one would have.
    """

    def ready(self) -> None:
        """Raise django.db.OperationalError when readings cannot be had now; its text says why."""

    def write(self, samples: Sequence[Sample], received: Sequence[Received] = ()) -> WriteResult:
        """Store samples and entries as received; says what that changed.

        A repeat changes nothing. Samples with one identity merge: metrics that were not there
        before are new. A value that differs from the stored one replaces it, is marked, and counts
        as revised. Of two samples in one batch with one identity, the later one wins.
        Raises UnknownMetric or NotStorable before anything is written.
        """

    def correct(self, samples: Sequence[Sample], gone: Sequence[Sample]) -> Correction:
        """Write samples and take single values out again, in one transaction.

        A value of `gone` is removed only while it is the stored one: what somebody else wrote
        meanwhile stays. Tiers and latest readings follow. What is older than the store still
        takes (`drop`) is neither written nor removed. Raises like `write`.
        """

    def stored(
        self, metrics: Collection[int], identities: Collection[tuple[datetime, int]]
    ) -> Sequence[Sample]:
        """The values of one device's metrics at these identities, as they are stored.

        A metric whose type was changed may hold a number and a text (or flag) of one identity:
        these come as two samples.
        """

    def held(self, metrics: Collection[int], since: datetime, until: datetime) -> int:
        """How many single values of the metrics are stored, `since` <= at < `until`."""

    def received(self, request: ReceivedRequest) -> Sequence[Received]:
        """One page of a source's entries as received, ordered by (at, sequence)."""

    def received_count(self, request: ReceivedRequest) -> int:
        """How many entries such pages hold altogether, whatever the request's limit."""

    def latest(self, metrics: Collection[int]) -> Mapping[int, Reading]:
        """The newest reading of each metric by its own time; metrics never heard are absent."""

    def history(self, request: HistoryRequest) -> Sequence[Reading]:
        """One page of a metric's readings, ordered by (at, sequence)."""

    def runs(self, request: HistoryRequest) -> Sequence[Run]:
        """One page of the runs of a text or on/off metric that begin in the range, in order.

        They stand for readings that were dropped by age (`survey` says up to when), or are next.
        """

    def aggregate(self, request: AggregateRequest) -> Buckets:
        """Statistics of a number or on/off metric (on counts as 1) in buckets without gaps or
        overlap, from the coarsest tier that answers exactly. Empty buckets are absent.

        Count, smallest, largest, sum, average, deviation, first and last come from every tier.
        Where readings were dropped by age, an hour that the range (or a bucket of the calendar)
        cuts in two, with readings on both sides, does not count: `left_out` says where.
        Where hours were dropped as well, whole days answer.
        Raises NotNumeric for text, TooManyBuckets for an absurd width, NotKept for buckets finer
        than what is kept, and for a range that cuts a day in two of which only the whole is.
        """

    def percentiles(self, request: PercentileRequest) -> Sequence[Percentiles]:
        """Percentiles of each bucket with readings; only readings themselves answer that.

        Raises as `aggregate`, NotKept where readings were dropped by age, ValueError for a percent
        that is not one.
        """

    def integrate(self, request: IntegralRequest) -> Integrals:
        """Averages weighted by time, rates of change and what lies under the line, by bucket.

        From readings, and exact, wherever they are kept; from hours, then days, before that. The
        readings next to the range count too, as far as they are connected with it. Of any number
        of readings, a page is held in memory.
        Raises as `aggregate`, ValueError for a `bridge` that is no length of time.
        """

    def histories(self, request: HistoriesRequest) -> Mapping[int, Line]:
        """All readings of several metrics, of any type; a metric without any has an empty line.

        Raises UnknownMetric, or TooMuch beyond `most`.
        """

    def survey(self, metric: int) -> Survey:
        """From when on what of a metric is kept. Raises UnknownMetric."""

    def count(self, metric: int, since: datetime, until: datetime, most: int) -> int:
        """How many single readings [since, until) of a metric holds, as far as they are kept;
        counted no further than `most` + 1.

        Raises UnknownMetric, and ArchiveUnreadable where some of them are in the archive.
        """

    def statistics(self, metric: int, since: datetime, until: datetime) -> Bucket | None:
        """The same over all of [since, until); None when it holds no reading."""

    def completeness(
        self, metric: int, since: datetime, until: datetime
    ) -> Sequence[DayCompleteness]:
        """Readings held and expected for each calendar day of the community's zone."""

    def drop(self, cuts: Mapping[int, Cut]) -> Dropped:
        """Drop old readings and hours of devices; days and months stay. Devices without a cut keep
        everything.

        Samples before a cut are refused from now on. Only what is rolled up goes, and two days
        more are kept, so that every day which can still change has all its readings. Of texts and
        on/off values runs stay. An engine with a partition for each month drops a month's readings
        when the month is over age.
        """

    def take_again(self, after: datetime) -> int:
        """Set back cuts that lie after an instant, which only a wrong clock can have made: from
        the end of what is stored of a device on, its samples are taken again. Returns how many
        devices that were. Nothing that went comes back.
        """

    def volumes(self) -> Sequence[Volume]:
        """What the readings of each month take up, oldest first; sizes as far as the engine knows
        them, else by what a row usually takes.
        """

    def shares(self) -> Mapping[datetime, Shares]:
        """About which share of that each device has, by the beginning of the month."""

    def received_volumes(self) -> Sequence[Volume]:
        """The same of entries as received."""

    def drops_whole_months(self) -> bool:
        """Whether readings go a month at a time and their disk is free at once."""

    def drop_received_before(self, before: datetime) -> int:
        """Drop entries as received that are older than `before`; about how many rows went."""

    def prepare(self, now: datetime) -> None:
        """Make room for the coming months; called now and then, harmless at any time."""

    def put_in_order(self, now: datetime) -> None:
        """Let readings of times that are over lie on disk as they are read; called now and then.

        Nobody waits meanwhile for more than a moment.
        """

    def roll_up(self, now: datetime) -> int:
        """Bring the tiers up to date with everything committed; returns how many buckets changed.

        Safe to call from anywhere at any time: of two callers at once, one does the work.
        """
