"""The app of the time series."""

from __future__ import annotations

from django.apps import AppConfig, apps
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.models import F
from django.db.models.signals import post_delete


class ReadingsConfig(AppConfig):
    """Own label, own migrations: configuration and billions of rows part here."""

    name = "devices.readings"
    label = "readings"
    verbose_name = "Readings"

    def ready(self) -> None:
        """Tell writers of slots that have gone, name our jobs, keep PostgreSQL from compiling."""
        # They need models, which exist only now.
        from devices import jobs
        from devices.readings import checks  # noqa: F401  # registers itself
        from devices.readings.imports import working

        jobs.register(working.IMPORT, working.import_step)
        jobs.register(working.CHECK, working.check_step)
        post_delete.connect(_slot_gone, sender="readings.Slot")
        connection_created.connect(_without_jit)


def _without_jit(connection: BaseDatabaseWrapper, **_: object) -> None:
    """A question to fifteen years of months took 10 s to compile and 20 ms to answer.

    Not among the options of the connection: a pooler in between may refuse these.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET jit = off")


def _slot_gone(**_: object) -> None:
    watermark = apps.get_model("readings", "Watermark")
    watermark._default_manager.update(slots_gone=F("slots_gone") + 1)
