"""How a mapping has read its field, one version after the other: told by the histories kept of it.

What a mapping makes of a text follows from the mapping, its calibrations and its metric. A version
begins whenever a change of one of them changed the rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any

from devices.models import CalibrationVersion, FieldMapping, Metric
from ingestion.models import FormerField
from ingestion.normalise import FieldRule
from ingestion.rules import rule_with

_DELETED = "-"
"""What a history calls the record of a deletion."""


@dataclass(frozen=True, slots=True)
class MappingVersion:
    """A mapping as it was for a while."""

    number: int
    """From 1 on."""
    since: datetime
    """Aware UTC."""
    mapping: FieldMapping
    """With its metric, both as they were."""
    calibrations: Sequence[CalibrationVersion]
    """As they were, newest first."""
    rule: FieldRule
    former: Sequence[FormerField]
    """What the mapping read before it was moved to another field, the oldest first."""

    def rule_at(self, at: datetime) -> FieldRule:
        """What it makes of an entry of that time (aware), read from the field of that time."""
        rule = self.rule.at(at)
        field = next((one.field for one in self.former if at < one.until), rule.field)
        return replace(rule, field=field)

    def calibration(self, at: datetime) -> CalibrationVersion | None:
        """The calibration that governs an entry of that time (aware)."""
        for one in self.calibrations:
            if one.valid_from is None or one.valid_from <= at:
                return one
        return None


def versions_of(mapping: int, metric: int) -> list[MappingVersion]:
    """All versions in which a mapping fed the metric, the oldest first.

    Times at which it was switched off, could not work, or did not exist, are none.
    """
    found: list[MappingVersion] = []
    former = list(FormerField.objects.filter(mapping=mapping).order_by("until"))
    for since, state in _states(mapping, metric):
        version = _version(len(found) + 1, since, state, former)
        if version and (not found or found[-1].rule != version.rule):
            found.append(version)
    return found


@dataclass(slots=True)
class _State:
    """The newest records of what a rule follows from, up to some time; None: there is none."""

    metric: Any = None
    mapping: Any = None
    calibrations: dict[int, Any] = field(default_factory=dict)


def _states(mapping: int, metric: int) -> Iterator[tuple[datetime, _State]]:
    """The state after each change, with the time of it."""
    state = _State()
    changes = [
        *Metric.history.filter(id=metric),
        *FieldMapping.history.filter(id=mapping),
        *CalibrationVersion.history.filter(mapping_id=mapping),
    ]
    changes.sort(key=attrgetter("history_date", "history_id"))
    for since, some in groupby(changes, key=attrgetter("history_date")):
        for change in some:
            _apply(change, state)
        yield since, state


def _apply(change: Any, state: _State) -> None:
    stands = None if change.history_type == _DELETED else change
    if change.instance_type is Metric:
        state.metric = stands
    elif change.instance_type is FieldMapping:
        state.mapping = stands
    elif stands is None:
        state.calibrations.pop(change.id, None)
    else:
        state.calibrations[change.id] = stands


def _version(
    number: int, since: datetime, state: _State, former: Sequence[FormerField]
) -> MappingVersion | None:
    """What the state makes of a field; None where it makes nothing."""
    if state.metric is None or state.mapping is None:
        return None
    mapping: FieldMapping = state.mapping.instance
    mapping.metric = state.metric.instance
    if not mapping.enabled or state.mapping.metric_id != state.metric.id:
        return None
    calibrations = _newest_first([one.instance for one in state.calibrations.values()])
    try:
        rule = rule_with(mapping, calibrations)
    except ValueError:
        return None
    return MappingVersion(number, since, mapping, calibrations, rule, former)


def _newest_first(calibrations: Sequence[CalibrationVersion]) -> list[CalibrationVersion]:
    """In the order in which they are asked."""
    always = [one for one in calibrations if one.valid_from is None]
    dated = [one for one in calibrations if one.valid_from is not None]
    return [*sorted(dated, key=attrgetter("valid_from"), reverse=True), *always]
