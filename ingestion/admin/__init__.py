"""The admin of the way in: sources with verify and poll now, their state, log and rejections."""

from __future__ import annotations

from ingestion.admin import (
    beat,
    channels,
    connections,
    drift_lists,
    gaps,
    imports,
    logs,
    mappings,
    slack,
    status,
)
from ingestion.admin.calibration import pages

__all__ = [
    "beat",
    "channels",
    "connections",
    "drift_lists",
    "gaps",
    "imports",
    "logs",
    "mappings",
    "pages",
    "slack",
    "status",
]
