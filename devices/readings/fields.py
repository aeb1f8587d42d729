"""The column type of instants: each engine in its fastest form."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from devices.readings.instants import from_ms, to_ms


class InstantField(models.DateTimeField):  # type: ignore[type-arg]  # not subscriptable at run time
    """A time column: integer milliseconds on SQLite (half the bytes of text), else timestamptz."""

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        """The column's type."""
        return "integer" if connection.vendor == "sqlite" else "timestamp with time zone"

    def get_internal_type(self) -> str:
        """Our own: SQLite's converter for DateTimeField expects text."""
        return "InstantField"

    def get_db_prep_value(
        self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False
    ) -> Any:
        """The value as the engine stores it."""
        value = value if prepared else self.get_prep_value(value)
        if value is None:
            return None
        return to_ms(value) if connection.vendor == "sqlite" else value

    def from_db_value(
        self, value: Any, expression: object, connection: BaseDatabaseWrapper
    ) -> datetime | None:
        """The value as aware UTC."""
        return from_ms(value) if isinstance(value, int) else value
