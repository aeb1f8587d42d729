"""Machines whose clocks are some seconds apart carry out each other's messages all the same."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from ingestion.dispatch import EXPIRES_S

APART_S = 2


def test_no_message_expires_before_a_clock_that_is_ahead_has_seen_it() -> None:
    entries: list[Any] = list(settings.CELERY_BEAT_SCHEDULE.values())
    expiries = [entry["options"]["expires"] for entry in entries]
    assert min([*expiries, EXPIRES_S]) >= 2 * APART_S
