"""The snapshot of this process, collected with its own gate."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from ingestion.equipment import equipment
from ingestion.observe.scope import Kept
from ingestion.observe.snapshot import Now, look
from ingestion.process import per_process


@per_process
def kept() -> Kept:
    """What this process collected last."""
    return Kept()


def current(now: datetime) -> Now:
    """How ingestion stands; at most a moment old."""
    return kept().get(partial(_look, now))


def _look(now: datetime) -> Now:
    return look(now, equipment().gate)
