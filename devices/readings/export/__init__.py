"""Readings as files that other programs read: CSV, JSON lines, spreadsheets, Parquet."""

from devices.readings.export.formats import FORMATS, Format
from devices.readings.export.table import TIERS, Column, ExportRequest, Kind, Table, table_of

__all__ = [
    "FORMATS",
    "TIERS",
    "Column",
    "ExportRequest",
    "Format",
    "Kind",
    "Table",
    "table_of",
]
