"""What a calibration would make of what was received lately, and of the whole range."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from devices.calibrations import Beyond, Calibration, Mounted
from devices.models import CalibrationVersion, FieldMapping
from devices.readings.samples import Received, ReceivedRequest
from devices.readings.store import get_store
from ingestion.entries import Entry
from ingestion.normalise import FieldRule, normalise
from ingestion.recalculation.governed import Stretch, governed
from ingestion.rules import base_rule, calibrated_rule, field_rules

LOOKED_AT = 300
SHOWN = 8
STEPS = 64
WIDTH, HEIGHT = 360.0, 180.0


@dataclass(frozen=True, slots=True)
class Line:
    """One entry: as received, by today's settings, and by the calibration."""

    at: str
    """In the community's zone."""
    raw: str
    present: str
    calibrated: str
    refused: bool


@dataclass(frozen=True, slots=True)
class Graph:
    """A curve in a box of WIDTH x HEIGHT, and the received values on it."""

    curve: str
    dots: Sequence[tuple[str, str]]
    left: str
    right: str
    bottom: str
    top: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What the page shows beside the boxes."""

    problem: str = ""
    lines: Sequence[Line] = ()
    graph: Graph | None = None
    capacity: str = ""
    entries: int = 0
    """Received entries that the calibration would govern."""
    stretch: Stretch = field(default_factory=lambda: Stretch(None, None))
    unit: str = ""
    zone: str = ""

    @property
    def shown_entries(self) -> str:
        """How many entries, as people write it."""
        return f"{self.entries:,}"


def preview(
    version: CalibrationVersion, target: FieldMapping, also: Stretch | None, now: datetime
) -> Preview:
    """Compute the newest values by the calibration, as ingestion would.

    `also` is what the calibration governed before it was edited. Call it for a calibration without
    a problem only.
    """
    shown = CalibrationVersion()
    shown.__dict__.update(version.__dict__)
    shown.mapping = target
    calibration = shown.calibration()
    try:
        rule = calibrated_rule(base_rule(target, calibrated=True), shown)
    except ValueError as error:
        return Preview(problem=str(error).capitalize())
    source = target.source
    stretch = governed(shown).with_(also) if also else governed(shown)
    asked = ReceivedRequest(source.pk, limit=LOOKED_AT, newest_first=True)
    newest = [one for one in get_store().received(asked) if one.fields.get(target.field)]
    unit = target.metric.unit
    past = _past(stretch, now)
    return Preview(
        lines=list(_lines(newest[:SHOWN], target, rule, now)),
        graph=_graph(calibration, rule, _numbers(newest, rule)),
        capacity=_capacity(calibration, target, rule),
        entries=get_store().received_count(ReceivedRequest(source.pk, past.since, past.until)),
        stretch=stretch,
        unit=unit,
        zone=source.device.community.zone,
    )


def _past(stretch: Stretch, now: datetime) -> Stretch:
    """The part of a stretch that lies in the past."""
    return Stretch(stretch.since, stretch.until and min(stretch.until, now))


def _lines(
    entries: Sequence[Received], target: FieldMapping, rule: FieldRule, now: datetime
) -> Iterator[Line]:
    zone = ZoneInfo(target.source.device.community.zone)
    present = [one for one in field_rules(target.source).usable if one.metric == target.metric.pk]
    for one in entries:
        entry = Entry(one.at, one.sequence, one.fields)
        calibrated, refused = _value(entry, [rule], target, now)
        before, _ = _value(entry, present, target, now) if target.metric.pk else ("–", False)
        raw = (one.fields.get(target.field) or "").strip()
        yield Line(f"{one.at.astimezone(zone):%m-%d %H:%M:%S}", raw, before, calibrated, refused)


def _value(
    entry: Entry, rules: Sequence[FieldRule], target: FieldMapping, now: datetime
) -> tuple[str, bool]:
    """The value in words, or why there is none."""
    result = normalise(entry, rules, now)
    for value in result.values.values():
        if isinstance(value, float):
            return f"{value:,.{target.metric.decimals}f} {target.metric.unit}".strip(), False
        return f"{value} {target.metric.unit}".strip(), False
    for refusal in result.refusals:
        return refusal.detail, True
    return "–", False


def _numbers(entries: Sequence[Received], rule: FieldRule) -> list[float]:
    """The numbers received, before any calibration."""
    plain = replace(
        rule, data_type="float", calibration=None, convert=(1.0, 0.0), minimum=None, maximum=None
    )
    found = []
    for one in entries:
        values = normalise(Entry(one.at, one.sequence, one.fields), [plain], one.at).values
        found += [float(value) for value in values.values()]
    return found


def _capacity(calibration: Calibration, target: FieldMapping, rule: FieldRule) -> str:
    if not isinstance(calibration, Mounted):
        return ""
    full = calibration.capacity_l * rule.convert[0] + rule.convert[1]
    text = f"Full at {calibration.shape.height_cm:g} cm: {full:,.1f} {target.metric.unit}."
    said = target.source.device.tank_capacity_l
    return f"{text} The device's page says {said:,.0f} litres." if said else text


def _graph(calibration: Calibration, rule: FieldRule, received: Sequence[float]) -> Graph | None:
    """The calibration over the range of what is received (for a tank: from empty to full)."""
    low, high = _range(calibration, received)
    if not low < high:
        return None
    xs = [low + (high - low) * step / STEPS for step in range(STEPS + 1)]
    curve = [(x, y) for x in xs if (y := _at(calibration, rule, x)) is not None]
    dots = [(x, y) for x in received if (y := _at(calibration, rule, x)) is not None]
    if len(curve) < 2:
        return None
    ys = [y for _, y in curve]
    bottom, top = min(ys), max(ys)
    if not bottom < top:
        return None

    def place(x: float, y: float) -> tuple[str, str]:
        return (
            f"{(x - low) / (high - low) * WIDTH:.1f}",
            f"{HEIGHT - (y - bottom) / (top - bottom) * HEIGHT:.1f}",
        )

    places = [place(x, y) for x, y in curve]
    shown = sorted({place(x, y) for x, y in dots if low <= x <= high})
    return Graph(
        " ".join(f"{x},{y}" for x, y in places),
        shown,
        *(f"{number + 0.0:,.5g}" for number in (low, high, bottom, top)),  # no «-0»
    )


def _range(calibration: Calibration, received: Sequence[float]) -> tuple[float, float]:
    if isinstance(calibration, Mounted):
        full = calibration.shape.height_cm
        first = calibration.gap_cm if calibration.from_top else -calibration.gap_cm
        low, high = first / calibration.to_cm, (first + full) / calibration.to_cm
        return max(low, 0.0), high
    points: Sequence[tuple[float, float]] = getattr(calibration, "points", ())
    xs = [*received, *(raw for raw, _ in points)]
    if not xs:
        return 0.0, 100.0
    low, high = min(xs), max(xs)
    return (low, high) if low < high else (low - 1.0, high + 1.0)


def _at(calibration: Calibration, rule: FieldRule, number: float) -> float | None:
    try:
        return calibration.apply(number) * rule.convert[0] + rule.convert[1]
    except Beyond:
        return None
