"""Readings in the admin: what the store holds, and how long it is kept."""

from devices.readings.admin import imports, lists, retention

__all__ = ["imports", "lists", "retention"]
