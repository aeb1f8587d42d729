"""A copy of the whole site in one file, for either database engine, and its way back."""

from devices.readings.backup.contents import BackupUnusable, Contents
from devices.readings.backup.restoring import check, restore
from devices.readings.backup.writing import write_backup

__all__ = ["BackupUnusable", "Contents", "check", "restore", "write_backup"]
