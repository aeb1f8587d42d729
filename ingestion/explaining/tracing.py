"""Where a number comes from: the request that brought it, the text received, and every step since.

Nothing is remembered for this: the entry is kept as it was received, with the time of its arrival,
and the mapping as it is now is applied to it again. Where that does not give the stored value, the
explanation says so, and what was changed since.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from devices.alerts.models import Alert
from devices.models import CalibrationVersion, FieldMapping, Metric, Source
from devices.readings.instants import hour_of, to_millisecond
from devices.readings.samples import (
    AggregateRequest,
    Bucket,
    HistoryRequest,
    Reading,
    Received,
    ReceivedRequest,
    Value,
)
from devices.readings.store import NotKept, NotNumeric, get_store
from devices.readings.store.base import ReadingStore
from ingestion.models import PollLog
from ingestion.normalise import FieldRule
from ingestion.normalise.values import ValueRefused, read
from ingestion.rules import field_rules

HOUR = timedelta(hours=1)
_MILLISECOND = timedelta(milliseconds=1)
_LONGEST_ANSWER = timedelta(minutes=2)
"""A request begins at most so long before its entries arrive."""
_CLOSE = 1e-9


class NoSuchReading(LookupError):
    """Nothing is stored of that metric at that time; the message says so for people."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was done to a value, and what came of it."""

    what: str
    result: str


@dataclass(frozen=True, slots=True)
class Origin:
    """The entry as received, and the rule of the mapping that makes the value of it."""

    entry: Received
    source: Source
    mapping: FieldMapping
    rule: FieldRule
    poll: PollLog | None
    """The request that brought the entry; None: not known (any more)."""
    changed_at: datetime | None
    """When the mapping was last changed, if after the entry's arrival."""
    calibration: CalibrationVersion | None

    @property
    def raw(self) -> str:
        """The text received."""
        return self.entry.fields[self.rule.field] or ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything known about one stored value."""

    metric: Metric
    reading: Reading
    origin: Origin | None
    """None: the entry is not kept any more, or no mapping makes a value of it at present."""
    steps: Sequence[Step]
    agrees: bool | None
    """Whether the mapping as it is now gives the stored value."""
    hour: Bucket | None
    alerts: Sequence[Alert]


def find(metric: Metric, at: datetime, sequence: int | None = None) -> Reading:
    """The metric's reading of that time (aware), or the last one before; raises NoSuchReading.

    With `sequence`, exactly the reading of that entry number and time. Raises ArchiveUnreadable
    where it may stand in a file of the archive that is missing or damaged.
    """
    found = _stored(metric, to_millisecond(at), sequence)
    if not found:
        zone = ZoneInfo(metric.device.community.zone)
        raise NoSuchReading(
            f"No single reading of {metric.label} is kept at "
            f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S} ({zone.key})"
            + ("" if sequence is None else f" under the number {sequence}")
            + (" or in the year before." if sequence is None else ".")
        )
    return found[0]


def _stored(metric: Metric, at: datetime, sequence: int | None) -> list[Reading]:
    until = at + _MILLISECOND
    if sequence is None:
        since = until - timedelta(days=366)
        newest = HistoryRequest(metric.pk, since, until, limit=1, newest_first=True)
        return list(get_store().history(newest))
    there = HistoryRequest(metric.pk, at, until, limit=1000)
    return [one for one in get_store().history(there) if one.sequence == sequence]


def explain(metric: Metric, reading: Reading) -> Explanation:
    """Where a stored reading of the metric comes from."""
    store = get_store()
    origin = _origin(store, metric, reading)
    steps, agrees = ([], None) if origin is None else _steps(origin, metric, reading.value)
    hour, alerts = _hour(store, metric, reading.at), _alerts(metric, reading.at)
    return Explanation(metric, reading, origin, steps, agrees, hour, alerts)


def _origin(store: ReadingStore, metric: Metric, reading: Reading) -> Origin | None:
    """The entry of that identity among those of the sources that feed the metric."""
    feeding = Source.objects.filter(mappings__metric=metric).distinct().order_by("pk")
    related = ("mappings__metric", "mappings__calibrations")
    for source in feeding.prefetch_related(*related):
        request = ReceivedRequest(source.pk, reading.at, reading.at + _MILLISECOND)
        for entry in store.received(request):
            rule = _rule(source, metric, entry) if entry.sequence == reading.sequence else None
            if rule is not None:
                mapping = next(m for m in source.mappings.all() if m.metric_id == metric.pk)
                return Origin(
                    entry, source, mapping, rule, _poll(source, entry.arrived),
                    _changed_at(mapping, entry.arrived), _calibration(mapping, entry.at),
                )  # fmt: skip
    return None


def _rule(source: Source, metric: Metric, entry: Received) -> FieldRule | None:
    """The rule by which an entry of that time feeds the metric."""
    for rule in field_rules(source).usable:
        fed = rule.metric == metric.pk and entry.fields.get(rule.field) is not None
        if fed and not rule.holds(entry.at):
            return rule.at(entry.at)
    return None


def _poll(source: Source, arrived: datetime | None) -> PollLog | None:
    """The request in whose answer the entry arrived: it is noted with the same clock."""
    if arrived is None:
        return None
    around = PollLog.objects.filter(
        source=source, at__gt=arrived - _LONGEST_ANSWER, at__lte=arrived + _MILLISECOND
    )
    for poll in around.order_by("-at"):
        answered = poll.at + timedelta(milliseconds=poll.duration_ms)
        if abs(answered - arrived) <= _MILLISECOND:
            return poll
    return None


def _changed_at(mapping: FieldMapping, arrived: datetime | None) -> datetime | None:
    newest = mapping.history.order_by("-history_date").first()
    if newest is None or arrived is None or newest.history_date <= arrived:
        return None
    changed: datetime = newest.history_date
    return changed


def _calibration(mapping: FieldMapping, at: datetime) -> CalibrationVersion | None:
    """The calibration that governs an entry of that time; versions come newest first."""
    versions: Iterable[CalibrationVersion] = mapping.calibrations.all()
    return next((one for one in versions if one.valid_from is None or one.valid_from <= at), None)


def _steps(origin: Origin, metric: Metric, stored: Value) -> tuple[list[Step], bool | None]:
    """From the text to the value, step by step, and whether it is the stored one."""
    steps: list[Step] = []
    value: Value | None = None
    try:
        for what, rule, unit in _stages(origin, metric):
            value = read(origin.raw, rule)
            if value is None:
                return [*steps, Step(what, "nothing: the text is blank")], False
            steps.append(Step(what, shown(value, unit)))
    except ValueRefused as refused:
        return [*steps, Step("Would be refused today", refused.detail)], False
    return steps, _same(value, stored)


def _stages(origin: Origin, metric: Metric) -> Iterator[tuple[str, FieldRule, str]]:
    """The rule as far as it goes at each step, what the step does, and the unit of its result."""
    rule, mapping = origin.rule, origin.mapping
    if rule.data_type in ("boolean", "text"):
        yield f"Read as {mapping.get_data_type_display().lower()}", rule, ""
        return
    free = replace(rule, convert=(1.0, 0.0), minimum=None, maximum=None)
    yield "Read as a number", _plain(free), ""
    calibration = origin.calibration
    unit = mapping.unit or metric.unit
    if calibration is not None:
        unit = calibration.unit
        yield f"Calibrated: {calibration}", free, unit
    elif (rule.scale, rule.offset) != (1.0, 0.0):
        yield f"× {rule.scale:g} + {rule.offset:g}", free, unit
    if rule.convert != (1.0, 0.0):
        converted = replace(rule, minimum=None, maximum=None)
        yield f"Converted from {unit} to {metric.unit}", converted, metric.unit
    if rule.minimum is not None or rule.maximum is not None:
        yield f"Checked: {_limits(rule)}", rule, metric.unit


def _plain(rule: FieldRule) -> FieldRule:
    """Only reading, as a fraction: whole numbers are asked for after scaling."""
    return replace(rule, scale=1.0, offset=0.0, calibration=None, data_type="float")


def _limits(rule: FieldRule) -> str:
    low, high = rule.minimum, rule.maximum
    if low is None:
        return f"at most {high:g}"
    return f"at least {low:g}" if high is None else f"from {low:g} to {high:g}"


def shown(value: Value, unit: str = "") -> str:
    """A value as it is, in words for people."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:.12g} {unit}".strip() if isinstance(value, (int, float)) else f"“{value}”"


def _same(value: Value | None, stored: Value) -> bool:
    if isinstance(value, (bool, str)) or isinstance(stored, (bool, str)) or value is None:
        return value == stored
    return abs(value - stored) <= _CLOSE * max(1.0, abs(stored))


def _hour(store: ReadingStore, metric: Metric, at: datetime) -> Bucket | None:
    """What the hour of the reading (UTC) came to."""
    begin = hour_of(at)
    try:
        request = AggregateRequest(metric.pk, begin, begin + HOUR, HOUR)
        return next(iter(store.aggregate(request).buckets), None)
    except (NotNumeric, NotKept):
        return None


def _alerts(metric: Metric, at: datetime) -> list[Alert]:
    """Alerts about the device that were open then, or were opened within the hour after."""
    rows = Alert.objects.filter(device=metric.device_id, opened_at__lte=at + HOUR)
    return [
        one for one in rows.order_by("opened_at") if one.resolved_at is None or one.resolved_at > at
    ]
