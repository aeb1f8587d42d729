"""Instants as the store keeps them, to the millisecond. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
MILLISECOND = timedelta(milliseconds=1)


def to_ms(at: datetime) -> int:
    """Whole milliseconds since 1970-01-01 UTC, rounded down."""
    return (at - EPOCH) // MILLISECOND


def from_ms(milliseconds: int) -> datetime:
    """The aware UTC instant of so many milliseconds since 1970-01-01 UTC."""
    return EPOCH + timedelta(milliseconds=milliseconds)


def to_millisecond(at: datetime) -> datetime:
    """The instant without what is finer than a millisecond: readings are identified by it."""
    finer = at.microsecond % 1000
    return at.replace(microsecond=at.microsecond - finer) if finer else at


def hour_of(at: datetime) -> datetime:
    """The beginning of the UTC hour that holds the instant."""
    return at - (at - EPOCH) % HOUR
