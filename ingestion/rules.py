"""From what people configured to what pure code works with: rules, policies, adapter settings."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Literal, NamedTuple, cast

from devices import units
from devices.alerts.state import SourceState
from devices.models import Connection, FieldMapping, Source, ThingSpeakChannel
from ingestion.normalise import DataType, FieldRule
from ingestion.resilience.policy import BreakerPolicy, RatePolicy, Route, Timeouts
from ingestion.resilience.transport import host_of
from ingestion.sources.thingspeak import ThingSpeakConfig


class _Misconfigured(Exception):
    """A mapping that cannot work; the message says what to change."""


class Problem(NamedTuple):
    """Why a mapping is left out: for the source's state, and in words that say what to do."""

    state: SourceState
    text: str


class Rules(NamedTuple):
    """What is to be made of a source's fields, and which mappings are left out."""

    usable: tuple[FieldRule, ...]
    problems: tuple[Problem, ...]


def field_rules(source: Source, labels: Mapping[str, str] | None = None) -> Rules:
    """Rules of the enabled mappings; the metric's own limits apply where a mapping has none.

    `labels` are the names that the source gives its fields now, as far as it told. A mapping
    that cannot work, or whose field was renamed, is left out and told of: it must neither stop
    its neighbours nor store something else under the old name.
    """
    usable: list[FieldRule] = []
    problems: list[Problem] = []
    for mapping in source.mappings.all():
        if not mapping.enabled:
            continue
        renamed = _renamed(mapping, labels)
        if renamed:
            problems.append(Problem(SourceState.SCHEMA_CHANGED, renamed))
            continue
        try:
            usable.append(_rule(mapping, source))
        except (_Misconfigured, ValueError) as error:
            problems.append(Problem(SourceState.FAILING, f"Field {mapping.field}: {error}"))
    return Rules(tuple(usable), tuple(problems))


def _renamed(mapping: FieldMapping, labels: Mapping[str, str] | None) -> str:
    """What happened to the field's name at the source, in words; empty when it is the same."""
    if not mapping.remote_label or labels is None:
        return ""
    now = labels.get(mapping.field)
    if now == mapping.remote_label:
        return ""
    was = f"The source's {mapping.field} was called “{mapping.remote_label}” when it was mapped"
    change = f"is now called “{now}”" if now else "does not exist any more"
    return (
        f"{was} and {change}. Nothing is stored for {mapping.metric.label} until somebody has "
        "looked: check the mapping on the channel's page, then accept the present field names. "
        "What arrives meanwhile is kept and stored afterwards."
    )


# The same mapping gives the same rule at every poll: a value, whose checks need no repetition.
_field_rule = lru_cache(maxsize=16_384)(FieldRule)


def _rule(mapping: FieldMapping, source: Source) -> FieldRule:
    metric = mapping.metric
    if metric.device_id != source.device_id:
        raise _Misconfigured("it feeds a metric of another device. Choose one of this device.")
    convert = units.conversion(mapping.unit or metric.unit, metric.unit)
    if convert is None:
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
        convert=(convert.factor, convert.shift),
        minimum=metric.minimum if mapping.minimum is None else mapping.minimum,
        maximum=metric.maximum if mapping.maximum is None else mapping.maximum,
    )


def route_of(connection: Connection) -> Route:
    """What governs requests to an account: one budget per account, one breaker per host."""
    return Route(
        host=host_of(connection.base_url),
        group=f"connection:{connection.pk}",
        rate=RatePolicy(limit=connection.rate_limit, window_s=float(connection.rate_window_s)),
        breaker=BreakerPolicy(
            failures=connection.breaker_failures, open_s=float(connection.breaker_open_s)
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
