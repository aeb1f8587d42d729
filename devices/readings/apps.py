"""The app of the time series."""

from __future__ import annotations

from django.apps import AppConfig, apps
from django.db.models import F
from django.db.models.signals import post_delete


class ReadingsConfig(AppConfig):
    """Own label, own migrations: configuration and billions of rows part here."""

    name = "devices.readings"
    label = "readings"
    verbose_name = "Readings"

    def ready(self) -> None:
        """Tell writers in all processes when a slot has gone."""
        post_delete.connect(_slot_gone, sender="readings.Slot")
        from devices.readings import checks  # noqa: F401  # registers itself once apps are loaded


def _slot_gone(**_: object) -> None:
    watermark = apps.get_model("readings", "Watermark")
    watermark._default_manager.update(slots_gone=F("slots_gone") + 1)
