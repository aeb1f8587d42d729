"""The app of alerts and events."""

from __future__ import annotations

from django.apps import AppConfig


class AlertsConfig(AppConfig):
    """Alerts have their own label, migrations and admin section."""

    name = "devices.alerts"
    label = "alerts"
    verbose_name = "Alerts"
