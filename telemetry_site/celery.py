"""The Celery application: its worker refuses to start with a key that does not fit."""

from __future__ import annotations

import os
import threading
import warnings
from typing import Any

from celery import Celery
from celery.signals import (
    after_setup_logger,
    task_postrun,
    task_prerun,
    worker_init,
    worker_ready,
    worker_shutdown,
)
from django.db import close_old_connections, connection

from telemetry_site.garbage import leave_alone_what_is_here

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "telemetry_site.settings")

# Whoever starts the site as root does so knowingly; the worker reads JSON only, never pickle.
warnings.filterwarnings("ignore", "You're running the worker with superuser privileges")

app = Celery("telemetry_site")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["ingestion"])
# Celery would open a new session with the database for each task: 8 ms for a batch of polls.
app.conf["CELERY_DB_REUSE_MAX"] = 1_000_000
SESSION_S = 60
"""A worker keeps a session with the database for so long; then it opens another."""


@task_prerun.connect
@task_postrun.connect
def keep_sound_sessions(sender: Any, **_: Any) -> None:
    """Leave a session that is too old or broken, as Django does between two requests."""
    if not sender.request.is_eager:
        close_old_connections()


@worker_init.connect
def keep_sessions(**_: Any) -> None:
    """Children of a worker are few and stay: each keeps its session from task to task."""
    if connection.vendor == "postgresql":
        connection.settings_dict["CONN_MAX_AGE"] = SESSION_S


@worker_init.connect
@after_setup_logger.connect  # in beat: `beat_init` comes after it has read its schedule
def refuse_wrong_key(**_: Any) -> None:
    """Stop before the first poll when stored credentials cannot be read."""
    # Models exist only after Celery's Django fix-up has run, that is not at import.
    from telemetry_site import guard

    guard.refuse_wrong_key()


@worker_init.connect
def keep_what_stays(**_: Any) -> None:
    """Everything is imported by now; children begin with what their parent has."""
    leave_alone_what_is_here()


_stop = threading.Event()


@worker_ready.connect
def start_heartbeat(sender: Any, **_: Any) -> None:
    """Report that a worker is alive, from its main process, for as long as it runs.

    The dispatcher carries out nothing but ticks, which report themselves.
    """
    from ingestion import pulse

    if str(sender.hostname).startswith("dispatcher@"):
        return
    threading.Thread(
        target=pulse.keep_beating, args=(pulse.WORKER, _stop), name="heartbeat", daemon=True
    ).start()


@worker_shutdown.connect
def stop_heartbeat(**_: Any) -> None:
    """End the heartbeat with the worker."""
    _stop.set()
