"""Which metric each column of a file is: as the export calls it, or as a person said."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from devices.masking import UNREADABLE
from devices.models import Device, Metric
from devices.readings.export.table import titles_of
from devices.readings.imports.rows import ENTRY_NAMES, OFFSET_NAMES, Heading
from devices.readings.imports.text import UnreadableFile
from devices.readings.imports.times import is_time, named_by, zone_in, zone_of
from devices.readings.imports.values import Rule
from devices.units import Conversion, canonical, conversion

_NAMED = re.compile(r".* \[([a-z][a-z0-9_]*)\]", re.DOTALL)
_WITH_UNIT = re.compile(r"(.*?) ?\(([^()]*)\)", re.DOTALL)
_DAMAGED = (
    "Some characters of this title cannot be read: a spreadsheet may have saved the file in "
    "another encoding. Choose the encoding (Windows-1252), save the file as UTF-8, or say which "
    "metric this is: numbers are read all the same."
)


@dataclass(frozen=True, slots=True)
class Column:
    """A column that holds values: what it becomes, or why nobody can tell yet.

    `problem` is a sentence for people; such a column waits for somebody to say what it is.
    """

    place: int
    name: str
    metric: Metric | None
    rule: Rule | None
    unit: str = ""
    problem: str = ""

    @property
    def converted(self) -> str:
        """What is said of a conversion; empty where there is none."""
        if self.metric is None or self.rule is None or self.rule.convert is None:
            return ""
        return f"converted from {self.unit} to {self.metric.unit}"


@dataclass(frozen=True)
class Plan:
    """What becomes of each column of a file. Places are those of the cells; None: not there."""

    time: int
    entry: int | None
    offset: int | None
    zone: ZoneInfo | None
    columns: Sequence[Column]
    left_out: Sequence[str]
    home: str
    """The zone of the device's community, for examples."""

    @property
    def undecided(self) -> list[Column]:
        """Columns that somebody must decide about before anything is imported."""
        return [one for one in self.columns if one.problem]

    @cached_property
    def usable(self) -> list[tuple[int, Metric, Rule]]:
        """Place, metric and rule of each column that becomes readings."""
        return [
            (one.place, one.metric, one.rule)
            for one in self.columns
            if one.metric is not None and one.rule is not None
        ]


def plan_of(heading: Heading, device: Device, chosen: Mapping[str, str]) -> Plan:
    """The plan for a device; `chosen` names the metric of columns by hand (empty: left out).

    Raises UnreadableFile for a file without times, and for choices that fit nothing.
    """
    names = heading.names
    times = [place for place, name in enumerate(names) if is_time(name)]
    if len(times) != 1:
        raise UnreadableFile(
            f"The file has {'no column' if not times else 'several columns'} called “time”. Each "
            f"row needs one time: {named_by(device.community.zone)}"
        )
    entry, offset = _place(names, ENTRY_NAMES), _place(names, OFFSET_NAMES)
    others = [place for place in range(len(names)) if place not in (times[0], entry, offset)]
    unknown = sorted(chosen.keys() - {names[place] for place in others})
    if unknown:
        listed = ", ".join(names[place] for place in others if names[place]) or "none"
        raise UnreadableFile(f"The file has no column “{unknown[0]}”. It has: {listed}.")
    known = _Metrics(device)
    columns = [
        known.column(place, names[place], heading.units[place], chosen.get(names[place]))
        for place in others
        if chosen.get(names[place]) != ""
    ]
    zone = zone_in(names[times[0]]) or zone_of(heading.facts.get("zone", ""))
    left_out = [names[place] for place in others if chosen.get(names[place]) == ""]
    home = device.community.zone
    return Plan(times[0], entry, offset, zone, _once(columns), left_out, home)


def _place(names: Sequence[str], wanted: Sequence[str]) -> int | None:
    """Where the column of one of these names is. Raises UnreadableFile when there are two."""
    places = [place for place, name in enumerate(names) if name.strip().lower() in wanted]
    if len(places) > 1:
        raise UnreadableFile(f"The file has two columns called “{wanted[-1]}”. Keep one of them.")
    return places[0] if places else None


def _once(columns: Sequence[Column]) -> list[Column]:
    """Of several columns that would be one metric, somebody must choose."""
    claims: dict[int, list[str]] = {}
    for one in columns:
        if one.metric is not None:
            claims.setdefault(one.metric.pk, []).append(one.name)
    return [
        Column(
            one.place,
            one.name,
            None,
            None,
            problem=f"Several columns are {one.metric.name}: {', '.join(claims[one.metric.pk])}. "
            "Leave out all but one.",
        )
        if one.metric is not None and len(claims[one.metric.pk]) > 1
        else one
        for one in columns
    ]


class _Metrics:
    """A device's metrics by everything they may be called."""

    def __init__(self, device: Device) -> None:
        self._all = list(device.metrics.all())
        self._by_name = {one.name: one for one in self._all}
        titles = titles_of(self._all)
        self._by_title = {titles[one.pk]: one for one in self._all}
        self._device = device

    def column(self, place: int, name: str, unit: str | None, chosen: str | None) -> Column:
        """What a column is, and why nobody can tell."""
        if chosen is not None:
            return self._chosen(place, name, unit, chosen)
        found = self._found(name, unit)
        if isinstance(found, str):
            return _unclear(place, name, unit or "", found)
        metric, said = found
        convert = conversion(said, metric.unit)
        if convert is None:
            return _unclear(place, name, said, _incomparable(said, metric))
        return Column(place, name, metric, _rule(metric, said, convert), said)

    def _found(self, name: str, unit: str | None) -> tuple[Metric, str] | str:
        """The metric and the unit of its values in the file; a sentence when nobody can tell."""
        by_name = self._by_name.get(name)
        if by_name is not None:
            return by_name, by_name.unit if unit is None else unit
        named = _NAMED.fullmatch(name)
        metric = self._by_title.get(name) or (named and self._by_name.get(named[1]))
        if metric:
            return metric, metric.unit
        return self._by_label(name)

    def _by_label(self, name: str) -> tuple[Metric, str] | str:
        """By label, with another unit behind it; the unit must stand there."""
        split = _WITH_UNIT.fullmatch(name)
        label, unit = (split[1], split[2].strip()) if split else (name, "")
        fitting = [one for one in self._all if one.label == label]
        if not fitting:
            return f"{self._device} has no such metric. Say which one it is, or leave it out."
        if not unit:
            listed = ", ".join(one.name for one in fitting)
            return f"The title says no unit. If this is {listed}, say so; or leave it out."
        if len(fitting) > 1:
            listed = ", ".join(one.name for one in fitting)
            return f"This could be any of {listed}. Say which one it is, or leave it out."
        return fitting[0], unit

    def _chosen(self, place: int, name: str, unit: str | None, chosen: str) -> Column:
        """What a person said, converted where the title states a unit that is known."""
        metric = self._by_name.get(chosen)
        if metric is None:
            listed = ", ".join(self._by_name) or "none"
            raise UnreadableFile(
                f"{self._device} has no metric “{chosen}” for the column “{name}”. It has: "
                f"{listed}."
            )
        split = _WITH_UNIT.fullmatch(name)
        said = unit or (split[2].strip() if split else "")
        if not said or canonical(said) is None:
            return Column(place, name, metric, _rule(metric, metric.unit, _SAME), metric.unit)
        convert = conversion(said, metric.unit)
        if convert is None:
            return Column(place, name, None, None, said, _incomparable(said, metric))
        return Column(place, name, metric, _rule(metric, said, convert), said)


def _unclear(place: int, name: str, unit: str, why: str) -> Column:
    """A column that nobody can tell; a damaged title is the likelier reason."""
    return Column(place, name, None, None, unit, _DAMAGED if UNREADABLE in name else why)


_SAME = Conversion(1.0, 0.0)


def _rule(metric: Metric, said: str, convert: Conversion) -> Rule:
    same = convert == _SAME
    return Rule(metric.data_type, metric.minimum, metric.maximum, None if same else convert)


def _incomparable(said: str, metric: Metric) -> str:
    ours = f"{metric.name} is in {metric.unit}" if metric.unit else f"{metric.name} has no unit"
    theirs = f"in {said}" if said else "without a unit"
    return f"The file has it {theirs}, and {ours}: these do not convert. Say what it is."


def described(column: Column) -> dict[str, Any]:
    """A column for a report: JSON."""
    return {
        "name": column.name,
        "metric": column.metric and column.metric.name,
        "title": str(column.metric or ""),
        "converted": column.converted,
        "problem": column.problem,
    }
