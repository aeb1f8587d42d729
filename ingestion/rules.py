"""From what people configured to what pure code works with: rules, policies, adapter settings."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import lru_cache
from typing import Literal, NamedTuple, cast

from devices import units
from devices.alerts.state import SourceState
from devices.models import CalibrationVersion, Connection, FieldMapping, Source, ThingSpeakChannel
from ingestion.derived import derived
from ingestion.drift.waiting import Waiting
from ingestion.normalise import DataType, FieldRule, Stretch
from ingestion.resilience.policy import BreakerPolicy, RatePolicy, Route, Timeouts
from ingestion.resilience.transport import host_of
from ingestion.sources.thingspeak import ThingSpeakConfig

# A mapping gives the same rule at every poll: a value, whose checks need no repetition.
_field_rule = lru_cache(maxsize=16_384)(FieldRule)


class _Misconfigured(ValueError):
    """A mapping that cannot work; the message says what to change."""


class Problem(NamedTuple):
    """Why a mapping is left out: for the source's state, and in words that say what to do."""

    state: SourceState
    text: str


class Rules(NamedTuple):
    """What is to be made of a source's fields, and which mappings are left out."""

    usable: tuple[FieldRule, ...]
    problems: tuple[Problem, ...]


def field_rules(source: Source, waiting: Waiting | None = None) -> Rules:
    """Rules of the enabled mappings; the metric's own limits apply where a mapping has none.

    What waits for a decision (`waiting`: as far as is known now, else as it is stored) is left out
    of a mapping's rules by its time. A mapping that is paused or cannot work is told of: it must
    neither stop its neighbours nor store something else under its name.
    """
    if waiting is None or waiting is Waiting.of(source):
        return _as_stored(source)
    return _all_rules(source, waiting)


@derived
def _as_stored(source: Source) -> Rules:
    return _all_rules(source, Waiting.of(source))


def _all_rules(source: Source, waits: Waiting) -> Rules:
    usable: list[FieldRule] = []
    failing: list[Problem] = []
    enabled = [mapping for mapping in source.mappings.all() if mapping.enabled]
    for mapping in enabled:
        try:
            usable += _rules(mapping, source, waits)
        except ValueError as error:
            failing.append(Problem(SourceState.FAILING, f"Field {mapping.field}: {error}"))
    # What fails comes first: the time it lasted is read again when it is mended.
    changed = waits.told(enabled)
    paused = [Problem(SourceState.SCHEMA_CHANGED, changed)] if changed else []
    return Rules(tuple(usable), (*failing, *paused))


def _rules(mapping: FieldMapping, source: Source, waits: Waiting) -> list[FieldRule]:
    """The mapping's rule; after a swap one for each field that it ever read."""
    rule = mapping_rule(mapping, source)
    return [
        _of_field(rule, field, (*outside, *waits.stretches(mapping, field)))
        for field, outside in waits.fields(mapping)
    ]


def _of_field(rule: FieldRule, field: str, held: tuple[Stretch, ...]) -> FieldRule:
    if field == rule.field and not held:
        return rule
    return replace(rule, field=field, held=held)


def mapping_rule(mapping: FieldMapping, source: Source) -> FieldRule:
    """The rule of a mapping, whatever waits; ValueError when it cannot work, in words."""
    if mapping.metric.device_id != source.device_id:
        raise _Misconfigured("it feeds a metric of another device. Choose one of this device.")
    return rule_with(mapping, mapping.calibrations.all())


def rule_with(mapping: FieldMapping, versions: Collection[CalibrationVersion]) -> FieldRule:
    """The rule of a mapping with these calibrations, newest first; ValueError as above."""
    if not versions:
        return base_rule(mapping)
    rule = base_rule(mapping, calibrated=any(one.valid_from is None for one in versions))
    return _with_versions(rule, mapping, versions)


def base_rule(mapping: FieldMapping, *, calibrated: bool = False) -> FieldRule:
    """The rule of a mapping where no calibration governs; ValueError when it cannot work.

    `calibrated`: a calibration governs always, so that the mapping's own unit need not fit.
    """
    metric = mapping.metric
    convert = units.conversion(mapping.unit or metric.unit, metric.unit)
    if convert is None and not calibrated:
        raise _Misconfigured(
            f"the unit “{mapping.unit}” cannot be converted to the metric's unit "
            f"“{metric.unit}”. Change one of the two."
        )
    return _field_rule(
        field=mapping.field,
        metric=metric.pk,
        data_type=cast("DataType", mapping.data_type),
        scale=mapping.scale,
        offset=mapping.offset,
        decimal_mark=cast("Literal['.', ',']", mapping.decimal_mark),
        unit=mapping.unit or metric.unit,
        convert=convert or (1.0, 0.0),
        minimum=metric.minimum if mapping.minimum is None else mapping.minimum,
        maximum=metric.maximum if mapping.maximum is None else mapping.maximum,
    )


def _with_versions(
    rule: FieldRule, mapping: FieldMapping, versions: Collection[CalibrationVersion]
) -> FieldRule:
    calibrated = []
    for version in versions:
        version.mapping = mapping  # loaded with its metric
        calibrated.append((version.valid_from, calibrated_rule(rule, version)))
    return replace(rule, versions=tuple(calibrated))


def calibrated_rule(rule: FieldRule, version: CalibrationVersion) -> FieldRule:
    """The rule for entries that a calibration governs; ValueError when the two do not fit."""
    metric = version.mapping.metric
    convert = units.conversion(version.unit, metric.unit)
    if convert is None:
        raise _Misconfigured(
            f"its calibration gives “{version.unit}”, which cannot be converted to the metric's "
            f"unit “{metric.unit}”. Change the calibration or the metric."
        )
    return replace(rule, scale=1.0, offset=0.0, convert=convert, calibration=version.calibration())


def route_of(connection: Connection) -> Route:
    """What governs requests to an account: one budget per account, one breaker per host."""
    return Route(
        host=host_of(connection.base_url),
        group=f"connection:{connection.pk}",
        rate=RatePolicy(
            limit=connection.rate_limit,
            window_s=float(connection.rate_window_s),
            jitter_allowance_s=connection.rate_jitter_s,
            pause_s=float(connection.refusal_pause_s),
            slowest=connection.slowest_percent / 100,
            recovery=connection.recovery_percent / 100,
            revision=connection.revision,
        ),
        breaker=BreakerPolicy(
            failures=connection.breaker_failures,
            open_s=float(connection.breaker_open_s),
            open_max_s=float(connection.breaker_open_max_s),
            window_s=float(connection.breaker_window_s),
            min_calls=connection.breaker_min_calls,
            ratio=connection.breaker_ratio_percent / 100,
        ),
        timeouts=Timeouts(
            connect_s=connection.connect_timeout_s,
            read_s=connection.read_timeout_s,
            total_s=connection.connect_timeout_s + connection.read_timeout_s + 1.0,
        ),
    )


def adapter_config(source: Source) -> ThingSpeakConfig:
    """The adapter's settings; the key is decrypted here, used at once and kept nowhere.

    Raises SecretUnreadable when the stored key was encrypted with another key.
    """
    channel = source if isinstance(source, ThingSpeakChannel) else source.thingspeakchannel
    key = channel.read_key or channel.connection.account_key
    return ThingSpeakConfig(
        base_url=channel.connection.base_url,
        channel_id=channel.channel_id,
        read_key=key.reveal() or None,
    )
