"""System checks: what cannot hold readings is named before anybody needs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connection

from devices.readings.store import RowsAway, RowsRefused, store_at

OLDEST_POSTGRESQL = 15


@register(Tags.database)
def postgresql_is_new_enough(
    databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """readings.E002: the tables' statements need a newer PostgreSQL; the suite ran on none older.

    A database that does not answer is told of elsewhere.
    """
    if not databases or connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version_num')::int / 10000")
        (version,) = cursor.fetchone()
    if version >= OLDEST_POSTGRESQL:
        return []
    return [
        Error(
            f"The database is PostgreSQL {version}; this needs {OLDEST_POSTGRESQL} or newer.",
            hint="Upgrade the server, or name another in DATABASE_URL.",
            id="readings.E002",
        )
    ]


@register(Tags.database)
def readings_engine_answers(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """readings.E001: READINGS_URL names an engine that cannot be reached or does not let us in."""
    if not databases or settings.READINGS_ADDRESS is None:
        return []
    try:
        store_at(settings.READINGS_ADDRESS).ready()
    except (RowsAway, RowsRefused) as error:
        return [Error(str(error), id="readings.E001")]
    return []
