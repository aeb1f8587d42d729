"""System checks: a configuration that would lose data is refused at start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections

from devices.models import KeyCheck
from devices.models.key_check import KeyMismatch


@register(Tags.database)
def encryption_key_fits(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """devices.E001: the encryption key is not the one this database was written with."""
    for alias in databases or []:
        if KeyCheck._meta.db_table not in connections[alias].introspection.table_names():
            continue
        try:
            KeyCheck.verify()
        except KeyMismatch as error:
            return [Error(str(error), id="devices.E001")]
    return []
