"""The app of everything people configure."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class DevicesConfig(AppConfig):
    """Stores what a new database begins with, once its tables exist."""

    name = "devices"
    verbose_name = "Devices"

    def ready(self) -> None:
        """Register checks, and what a new database begins with."""
        from devices import checks  # noqa: F401  # registers itself once apps are loaded

        post_migrate.connect(_begin, sender=self)


def _begin(**_: Any) -> None:
    """The key check and the standard device types; a database that has them stays as it is."""
    # Models load after apps.
    from devices.models import KeyCheck
    from devices.models.standard_types import ensure_standard_types

    KeyCheck.ensure()
    ensure_standard_types()
