"""From what people configured to what pure code works with: rules, policies, adapter settings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple, cast

from devices import units
from devices.models import Connection, FieldMapping, Source, ThingSpeakChannel
from ingestion.normalise import DataType, FieldRule
from ingestion.resilience.policy import BreakerPolicy, RatePolicy, Route, Timeouts
from ingestion.resilience.transport import host_of
from ingestion.sources.thingspeak import ThingSpeakConfig


class _Misconfigured(Exception):
    """A mapping that cannot work; the message says what to change."""


class Rules(NamedTuple):
    """What is to be made of a source's fields, and which mappings cannot work, in words."""

    usable: tuple[FieldRule, ...]
    problems: tuple[str, ...]


def field_rules(mappings: Iterable[FieldMapping]) -> Rules:
    """Rules of the enabled mappings; the metric's own limits apply where a mapping has none.

    A mapping that cannot work is left out and told of: it must not stop its neighbours.
    """
    usable, problems = [], []
    for mapping in mappings:
        if not mapping.enabled:
            continue
        try:
            usable.append(_rule(mapping))
        except (_Misconfigured, ValueError) as error:
            problems.append(f"Field {mapping.field}: {error}")
    return Rules(tuple(usable), tuple(problems))


def _rule(mapping: FieldMapping) -> FieldRule:
    metric = mapping.metric
    convert = units.conversion(mapping.unit or metric.unit, metric.unit)
    if convert is None:
        raise _Misconfigured(
            f"the unit “{mapping.unit}” cannot be converted to the metric's unit "
            f"“{metric.unit}”. Change one of the two."
        )
    return FieldRule(
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
