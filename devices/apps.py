"""The app of everything people configure."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class DevicesConfig(AppConfig):
    """Stores the key check once the tables exist."""

    name = "devices"
    verbose_name = "Devices"

    def ready(self) -> None:
        """Register checks and the key check's first row."""
        from devices import checks  # noqa: F401, PLC0415  # registers itself once apps are loaded

        post_migrate.connect(_ensure_key_check, sender=self)


def _ensure_key_check(**kwargs: Any) -> None:
    from devices.models import KeyCheck  # noqa: PLC0415  # models load after apps

    KeyCheck.ensure()
