"""The app of the time series."""

from __future__ import annotations

from django.apps import AppConfig


class ReadingsConfig(AppConfig):
    """Own label, own migrations: configuration and billions of rows part here."""

    name = "devices.readings"
    label = "readings"
    verbose_name = "Readings"
