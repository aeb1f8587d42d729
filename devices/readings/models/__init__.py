"""The tables of the time series. Only the store writes them; others speak in metrics."""

from devices.readings.models.archived import ArchivedFile, ArchivedMetric, ArchiveState
from devices.readings.models.imports import ReadingImport, ReadingImportPiece
from devices.readings.models.latest import Latest, LatestRow, LatestText
from devices.readings.models.lists import ReceivedEntry, RollupEntry
from devices.readings.models.retention import KeptFrom, RetentionRule
from devices.readings.models.rows import SLOTS, Received, Row, Slot, StateRun, Stream, TextValue
from devices.readings.models.tiers import (
    DayZone,
    LateLog,
    RollupDay,
    RollupHour,
    RollupMonth,
    Summary,
    Watermark,
)

__all__ = [
    "SLOTS",
    "ArchiveState",
    "ArchivedFile",
    "ArchivedMetric",
    "DayZone",
    "KeptFrom",
    "LateLog",
    "Latest",
    "LatestRow",
    "LatestText",
    "ReadingImport",
    "ReadingImportPiece",
    "Received",
    "ReceivedEntry",
    "RetentionRule",
    "RollupDay",
    "RollupEntry",
    "RollupHour",
    "RollupMonth",
    "Row",
    "Slot",
    "StateRun",
    "Stream",
    "Summary",
    "TextValue",
    "Watermark",
]
