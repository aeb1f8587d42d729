"""The Celery application: its worker refuses to start with a key that does not fit."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import beat_init, worker_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "telemetry_site.settings")

app = Celery("telemetry_site")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["ingestion"])


@worker_init.connect
@beat_init.connect
def refuse_wrong_key(**_: Any) -> None:
    """Stop before the first poll when stored credentials cannot be read."""
    # Models exist only after Celery's Django fix-up has run, that is not at import.
    from devices.models import KeyCheck  # noqa: PLC0415

    KeyCheck.verify()
