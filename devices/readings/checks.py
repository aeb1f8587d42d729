"""System checks: a readings engine that is not there is named before anybody needs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

from devices.readings.store import RowsAway, RowsRefused, store_at


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
