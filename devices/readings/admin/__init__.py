"""Readings in the admin: what the store holds, and how long it is kept."""

from devices.readings.admin import lists, retention

__all__ = ["lists", "retention"]
