"""Where a number comes from: the request that brought it, the text received, and every step since.

Nothing is remembered for this: the entry is kept as it was received, with the time of its arrival,
and the mapping is applied to it again as it was then. Where that does not give the stored value, a
later version of the mapping did: what was received was recalculated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from devices.alerts.models import Alert
from devices.models import CalibrationVersion, FieldMapping, Metric, Source
from devices.readings.instants import HOUR, MILLISECOND
from devices.readings.models import ReadingImport
from devices.readings.samples import (
    Bucket,
    Reading,
    Received,
    ReceivedRequest,
    Value,
)
from devices.readings.store import get_store
from devices.readings.store.base import ReadingStore
from ingestion.explaining import imports
from ingestion.explaining.finding import hour_at, shown
from ingestion.explaining.versions import MappingVersion, versions_of
from ingestion.models import Import, PollLog
from ingestion.normalise import FieldRule
from ingestion.normalise.values import ValueRefused, read

_LONGEST_ANSWER = timedelta(minutes=2)
"""A request begins at most so long before its entries arrive."""
_CLOSE = 1e-9


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was done to a value, and what came of it."""

    what: str
    result: str


@dataclass(frozen=True, slots=True)
class Origin:
    """The entry as received, and the version of a mapping that made the value of it."""

    entry: Received
    source: Source
    version: MappingVersion
    makes_it: bool
    """Whether this version gives the stored value; if not, none does, and it is the last one."""
    last: MappingVersion
    """What would be made of it today, if the mapping is still there and switched on."""
    poll: PollLog | None
    """The request that brought the entry; None: not known (any more)."""

    @property
    def raw(self) -> str:
        """The text received."""
        return self.entry.fields[self.rule.field] or ""

    @property
    def rule(self) -> FieldRule:
        """What the version makes of an entry of that time."""
        return self.version.rule_at(self.entry.at)

    @property
    def calibration(self) -> CalibrationVersion | None:
        """The calibration that governed it."""
        return self.version.calibration(self.entry.at)

    @property
    def changed_at(self) -> datetime | None:
        """When the mapping was last changed, if after the entry's arrival."""
        arrived = self.entry.arrived
        return self.last.since if arrived is not None and self.last.since > arrived else None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything known about one stored value."""

    metric: Metric
    reading: Reading
    origin: Origin | None
    """None: the entry is not kept any more, or no mapping ever made a value of it."""
    imports: Sequence[Import | ReadingImport]
    """The imports of files, the newest first, one of which brought it; empty: no import did, or
    it is not known (any more).
    """
    steps: Sequence[Step]
    """What the origin's version made of it."""
    agrees: bool | None
    """Whether the last version of the mapping gives the stored value."""
    today: Sequence[Step]
    """What that one makes of it, where it is another value."""
    hour: Bucket | None
    alerts: Sequence[Alert]


def explain(metric: Metric, reading: Reading) -> Explanation:
    """Where a stored reading of the metric comes from."""
    store = get_store()
    origin = _origin(store, metric, reading)
    steps: Sequence[Step] = ()
    today: Sequence[Step] = ()
    agrees = None
    if origin is not None:
        steps, _ = _made(origin.version, origin.entry)
        would, value = _made(origin.last, origin.entry)
        agrees = _same(value, reading.value)
        today = would if origin.makes_it and not agrees else ()
    hour, alerts = hour_at(metric, reading.at), _alerts(metric, reading.at)
    brought = _brought(metric, reading, origin)
    return Explanation(metric, reading, origin, brought, steps, agrees, today, hour, alerts)


def _brought(
    metric: Metric, reading: Reading, origin: Origin | None
) -> Sequence[Import | ReadingImport]:
    """The imports that may have brought a reading."""
    if origin is None:
        return imports.of_value(metric, reading.at) if reading.origin == "import" else []
    arrived = origin.entry.arrived
    if reading.origin != "backfill" or origin.poll is not None or arrived is None:
        return []
    return imports.of_entry(origin.source, arrived)


def _origin(store: ReadingStore, metric: Metric, reading: Reading) -> Origin | None:
    """The entry of that identity among those of the sources that ever fed the metric."""
    doubtful: Origin | None = None
    for mapping, source in _feeding(metric):
        request = ReceivedRequest(source.pk, reading.at, reading.at + MILLISECOND)
        for entry in store.received(request):
            if entry.sequence != reading.sequence:
                continue
            origin = _through(versions_of(mapping, metric.pk), source, entry, reading.value)
            if origin and origin.makes_it:
                return origin
            doubtful = doubtful or origin
    return doubtful


def _through(
    versions: Sequence[MappingVersion], source: Source, entry: Received, stored: Value
) -> Origin | None:
    """How a mapping makes the stored value of the entry; None if it reads nothing of it."""
    able = [one for one in versions if _reads(one, entry)]
    if not able:
        return None
    eligible = (one for one in able if _may_have_made(one, versions, entry))
    maker = next((one for one in eligible if _same(_made(one, entry)[1], stored)), None)
    poll = _poll(source, entry.arrived)
    return Origin(entry, source, maker or able[-1], maker is not None, able[-1], poll)


def _feeding(metric: Metric) -> list[tuple[int, Source]]:
    """Every mapping that ever fed the metric, with its source, if that is still there."""
    pairs = FieldMapping.history.filter(metric_id=metric.pk).values_list("id", "source_id")
    known = set(pairs)
    sources = Source.objects.in_bulk({source for _, source in known})
    return [(mapping, sources[source]) for mapping, source in sorted(known) if source in sources]


def _reads(version: MappingVersion, entry: Received) -> bool:
    """Whether the entry carries the field that the version reads."""
    return entry.fields.get(version.rule_at(entry.at).field) is not None


def _may_have_made(
    version: MappingVersion, versions: Sequence[MappingVersion], entry: Received
) -> bool:
    """Whether it was in force when the entry arrived, or came later."""
    after = versions[version.number :]
    return entry.arrived is None or not after or after[0].since > entry.arrived


def _poll(source: Source, arrived: datetime | None) -> PollLog | None:
    """The request in whose answer the entry arrived: it is noted with the same clock."""
    if arrived is None:
        return None
    around = PollLog.objects.filter(
        source=source, at__gt=arrived - _LONGEST_ANSWER, at__lte=arrived + MILLISECOND
    )
    for poll in around.order_by("-at"):
        answered = poll.at + timedelta(milliseconds=poll.duration_ms)
        if abs(answered - arrived) <= MILLISECOND:
            return poll
    return None


def _made(version: MappingVersion, entry: Received) -> tuple[list[Step], Value | None]:
    """What a version makes of an entry, step by step, and the value; None where it makes none."""
    steps: list[Step] = []
    value: Value | None = None
    raw = entry.fields.get(version.rule_at(entry.at).field) or ""
    try:
        for what, rule, unit in _stages(version, entry):
            value = read(raw, rule)
            if value is None:
                return [*steps, Step(what, "nothing: the text is blank")], None
            steps.append(Step(what, shown(value, unit)))
    except ValueRefused as refused:
        return [*steps, Step("Would be refused", refused.detail)], None
    return steps, value


def _stages(version: MappingVersion, entry: Received) -> Iterator[tuple[str, FieldRule, str]]:
    """The rule as far as it goes at each step, what the step does, and the unit of its result."""
    rule, mapping, metric = version.rule_at(entry.at), version.mapping, version.mapping.metric
    if rule.data_type in ("boolean", "text"):
        yield f"Read as {mapping.get_data_type_display().lower()}", rule, ""
        return
    free = replace(rule, convert=(1.0, 0.0), minimum=None, maximum=None)
    yield "Read as a number", _plain(free), ""
    calibration = version.calibration(entry.at)
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


def _same(value: Value | None, stored: Value) -> bool:
    if isinstance(value, (bool, str)) or isinstance(stored, (bool, str)) or value is None:
        return value == stored
    return abs(value - stored) <= _CLOSE * max(1.0, abs(stored))


def _alerts(metric: Metric, at: datetime) -> list[Alert]:
    """Alerts about the device that were open then, or were opened within the hour after."""
    rows = Alert.objects.filter(device=metric.device_id, opened_at__lte=at + HOUR)
    return [
        one for one in rows.order_by("opened_at") if one.resolved_at is None or one.resolved_at > at
    ]
